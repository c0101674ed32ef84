package rules_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// asking is a set of five modules, of which sound needs three, and a
// configuration for them.
func asking(t *testing.T, d modprobed.Dialect, conf string) *rules.Set {
	t.Helper()
	tables, err := match.Parse("/m", map[string]string{
		"modules.dep":     "sound.ko: codec.ko core.ko base.ko\ncodec.ko: core.ko base.ko\ncore.ko: base.ko\nbase.ko:\nother.ko:\n",
		"modules.alias":   "alias card:* sound\nalias card:* other\n",
		"modules.builtin": "kernel/inside.ko\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	return rules.NewSet(tables, d.Parse("", modprobed.File{Name: "conf", Text: conf}))
}

// names are the modules of steps.
func names(steps []rules.Step) (list []string) {
	for _, s := range steps {
		list = append(list, s.Module)
	}
	return list
}

func TestEachModuleOfANameIsDecidedByItself(t *testing.T) {
	s := asking(t, modprobed.Kmodd, "blacklist other\noptions card:1 a=1\ninstall core exit 0\nsoftdep sound post: other\n")
	answers := s.Ask("card:1", rules.Ask{})
	if len(answers) != 2 {
		t.Fatalf("%d answers, want two", len(answers))
	}
	sound, other := answers[0], answers[1]
	if diff := cmp.Diff([]string{"base", "core", "codec", "sound", "other"}, names(sound.Steps)); diff != "" {
		t.Error(diff)
	}
	if got := sound.Steps[3].Options; got != "a=1" {
		t.Errorf("options %q of what the alias leads to", got)
	}
	if !other.Blacklisted || other.Steps != nil || len(other.Refused) != 1 {
		t.Errorf("a blacklist does not hold for an alias: %+v", other)
	}
	if other := s.Ask("other", rules.Ask{})[0]; other.Blacklisted || len(other.Steps) != 1 {
		t.Errorf("a blacklist holds for a module's own name: %+v", other)
	}
	if other := s.Ask("other", rules.Ask{Blacklist: true})[0]; !other.Blacklisted || other.Steps != nil {
		t.Errorf("with Blacklist it does not: %+v", other)
	}
}

func TestBareIsWhatIsAskedForAndNotWhatItNeeds(t *testing.T) {
	s := asking(t, modprobed.Kmodd, "install sound exit 1\ninstall core exit 2\nsoftdep sound pre: other\nsoftdep core post: other\ninstall line exit 0\n")
	bare := s.Ask("sound", rules.Ask{Bare: true})[0]
	if diff := cmp.Diff([]string{"base", "core", "other", "codec", "sound"}, names(bare.Steps)); diff != "" {
		t.Error(diff)
	}
	if bare.Steps[1].Install != "exit 2" || bare.Steps[4].Install != "" {
		t.Errorf("install lines %q and %q", bare.Steps[1].Install, bare.Steps[4].Install)
	}
	if full := s.Ask("sound", rules.Ask{})[0]; full.Steps[len(full.Steps)-1].Install != "exit 1" {
		t.Error("the install line was forgotten with the bare module")
	}
	if line := s.Ask("line", rules.Ask{Bare: true})[0]; len(line.Modules) != 0 || len(line.Refused) != 1 {
		t.Errorf("nothing but an install line is something without it: %+v", line)
	}
}

func TestFoundTellsWhatMayNotBeLoadedToo(t *testing.T) {
	s := asking(t, modprobed.Kmodd, "alias nick other\nalias nick missing\nblacklist other\n")
	for name, want := range map[string][]string{
		"nick": {"other", "missing"}, "card:2": {"sound", "other"}, "inside": {"inside"}, "nothing": nil, "a]": nil,
	} {
		if diff := cmp.Diff(want, s.Found(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// without leaves out the reasons.
func without(outs []rules.Out) []rules.Out {
	for i := range outs {
		outs[i].Reasons = nil
		without(outs[i].Before)
		without(outs[i].After)
	}
	return outs
}

func TestRemovalIsTheOrderOfLoadingBackwards(t *testing.T) {
	const conf = "remove codec exit 0\nsoftdep codec pre: other base post: sound inside\nsoftdep codec post: core\nsoftdep sound pre: codec\n"
	codec := rules.Out{
		Module: "codec", Remove: "exit 0", Unused: []string{"core", "base"},
		Before: []rules.Out{
			{Module: "core", Unused: []string{"base"}},
			{Module: "inside", Builtin: true},
			{Module: "sound", Unused: []string{"codec", "core", "base"}},
		},
		After: []rules.Out{{Module: "base", Unused: []string{}}, {Module: "other", Unused: []string{}}},
	}
	s := asking(t, modprobed.Kmodd, conf)
	for _, test := range []struct {
		name string
		bare bool
		want []rules.Out
	}{
		{name: "nothing"},
		{name: "inside", want: []rules.Out{{Module: "inside", Builtin: true}}},
		{name: "codec", want: []rules.Out{codec}},
		{name: "codec", bare: true, want: []rules.Out{{Module: "codec", Unused: []string{"core", "base"}}}},
	} {
		if diff := cmp.Diff(test.want, without(s.Removal(test.name, test.bare)), cmp.Transformer("list", func(l []string) []string { return append([]string{}, l...) })); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	kmod := asking(t, modprobed.Kmod, conf).Removal("sound", true)
	if diff := cmp.Diff([]string{"base", "core", "codec"}, kmod[0].Unused); diff != "" {
		t.Errorf("kmod: %s", diff)
	}
	if got := s.Removal("codec", false)[0].Reasons; len(got) != 4 || got[1].Line != 1 || got[2].Line != 2 {
		t.Errorf("reasons %+v", got)
	}
}
