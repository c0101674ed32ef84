package plan

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

// An installation is what plans are made with.
type installation struct {
	dep, alias, builtin, modprobe, policy string
}

func (in installation) set(t interface {
	Helper()
	Fatal(...any)
}) *rules.Set {
	t.Helper()
	tables, err := match.Parse("/lib/modules/6.1", map[string]string{
		"modules.dep": in.dep, "modules.alias": in.alias, "modules.builtin": in.builtin,
	})
	if err != nil {
		t.Fatal(err)
	}
	config := modprobed.Parse("", modprobed.File{Name: "local.conf", Text: in.modprobe})
	return rules.NewSet(tables, config, rules.WithPolicy(policy.Parse(policy.File{Name: "kmodd.toml", Text: in.policy})))
}

// shown is a plan in words: a line for each module and for each device.
func shown(p Plan) string {
	var b strings.Builder
	for _, m := range p.Modules {
		fmt.Fprintf(&b, "%s %s", m.Name, m.State)
		for _, list := range []struct {
			what string
			of   []string
		}{{"for", m.Devices}, {"needed by", m.Needed}, {"softdep of", m.Softdep}} {
			if len(list.of) > 0 {
				fmt.Fprintf(&b, ", %s %s", list.what, strings.Join(list.of, " "))
			}
		}
		for _, l := range m.Lines {
			fmt.Fprintf(&b, ", by %s:%d", l.Source, l.Line)
		}
		b.WriteByte('\n')
	}
	for _, d := range p.Devices {
		fmt.Fprintf(&b, "%s: %s", d.Path, d.Result)
		for _, r := range d.Refused {
			fmt.Fprintf(&b, "; %s: %v", r.Module, rules.Reason(r.Because[len(r.Because)-1]))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// sample is a machine with two cards, of which one has a softdep, and a bridge
// whose driver is built in.
var sample = installation{
	dep:     "a.ko: base.ko\nbase.ko:\nb.ko: base.ko\nearly.ko:\nlate.ko:\nother.ko:\n",
	alias:   "alias pci:a a\nalias pci:b b\nalias pci:bridge bridge\nalias pci:b other\n",
	builtin: "bridge.ko\n",
}

func (in installation) with(modprobe, policy string) installation {
	in.modprobe, in.policy = modprobe, policy
	return in
}

func TestMake(t *testing.T) {
	devices := []rules.Device{
		{Path: "/2", Subsystem: "pci", Modalias: "pci:b"}, // in no order
		{Path: "/1", Subsystem: "pci", Modalias: "pci:a"},
		{Path: "/3", Subsystem: "pci", Modalias: "pci:bridge"},
		{Path: "/4", Subsystem: "pci", Modalias: "pci:nobody"},
		{Path: "/5", Subsystem: "pci", Modalias: "pci:a"},
	}
	const rest = "/3: built in\n/4: no module\n/5: modules\n"
	for _, tt := range []struct {
		name  string
		in    installation
		board Board
		want  string
	}{
		{"nothing there", sample, Board{}, ""},
		{"by path, needs first, each once", sample, Board{},
			"base absent, needed by a b\na absent, for /1 /5\nb absent, for /2\nother absent, for /2\n/1: modules\n/2: modules\n" + rest},
		{"what is in is shown", sample, Board{Modules: map[string]control.State{"base": control.Live, "b": control.Coming, "other": control.Going, "foreign": control.Live}},
			"base live, needed by a b\na absent, for /1 /5\nb coming, for /2\nother going, for /2\n/1: modules\n/2: modules\n" + rest},
		{"softdeps", sample.with("softdep a pre: early post: late", ""), Board{},
			"base absent, needed by a b\nearly absent, softdep of a\na absent, for /1 /5\nlate absent, softdep of a\nb absent, for /2\nother absent, for /2\n/1: modules\n/2: modules\n" + rest},
		{"what a line wants comes first", sample,
			Board{Wanted: []core.Want{{Name: "other", By: rules.Reason{Source: "x.conf", Line: 3, Says: "other"}}, {Name: "nobody", By: rules.Reason{Source: "x.conf", Line: 4}}}},
			"other absent, for /2, by x.conf:3\nbase absent, needed by a b\na absent, for /1 /5\nb absent, for /2\n/1: modules\n/2: modules\n" + rest},
		{"a blacklist", sample.with("blacklist a\nblacklist b", ""), Board{},
			"other absent, for /2\n/1: refused; a: local.conf:1: blacklist a\n/2: modules; b: local.conf:2: blacklist b\n/3: built in\n/4: no module\n/5: refused; a: local.conf:1: blacklist a\n"},
		{"a command that forbids what is needed", sample.with("install base /bin/false", ""), Board{},
			"other absent, for /2\n/1: refused; base: local.conf:1: install base /bin/false; a: local.conf:1: it needs base: install base /bin/false\n" +
				"/2: modules; base: local.conf:1: install base /bin/false; b: local.conf:1: it needs base: install base /bin/false\n" +
				"/3: built in\n/4: no module\n/5: refused; base: local.conf:1: install base /bin/false; a: local.conf:1: it needs base: install base /bin/false\n"},
		{"a command that forbids what is in already", sample.with("install base /bin/false", ""), Board{Modules: map[string]control.State{"base": control.Live}},
			"base live, needed by a b\na absent, for /1 /5\nb absent, for /2\nother absent, for /2\n/1: modules\n/2: modules\n" + rest},
		{"a device that is denied", sample.with("", "[[rule]]\nmodalias = \"pci:a\"\nstage = \"deny\"\n"), Board{},
			"base absent, needed by b\nb absent, for /2\nother absent, for /2\n/1: denied; a: kmodd.toml:3: a rule without a name: stage = \"deny\"\n/2: modules\n" +
				"/3: built in\n/4: no module\n/5: denied; a: kmodd.toml:3: a rule without a name: stage = \"deny\"\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want != "" {
				tt.board.Devices = devices
			}
			if diff := cmp.Diff(tt.want, shown(Make(tt.in.set(t), tt.board))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	board := Board{
		Devices: []rules.Device{
			{Path: "/1", Modalias: "pci:a"}, {Path: "/2", Modalias: "pci:b"}, {Path: "/3", Modalias: "pci:x"}, {Path: "/4", Modalias: "usb:x"},
		},
		Modules: map[string]control.State{"base": control.Live},
	}
	in := sample.with("blacklist a", "[[rule]]\nmodalias = \"usb:*\"\nstage = \"deny\"\n")
	want := Summary{Devices: 4, ToLoad: 2, There: 1, Refused: 1, Denied: 1, NoModule: 1}
	if diff := cmp.Diff(want, Make(in.set(t), board).Summary); diff != "" {
		t.Error(diff)
	}
}

// The daemon's machine asks for modules in the order in which its documentation
// says that they are wanted, whatever the tables say.
func TestOrder(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f"}
	rapid.Check(t, func(t *rapid.T) {
		var in installation
		for i, name := range names {
			needs := rapid.SliceOfDistinct(rapid.SampledFrom(append([]string{""}, names[i+1:]...)), rapid.ID).Draw(t, "needs")
			in.dep += name + ".ko: " + strings.Join(slices.Collect(func(yield func(string) bool) {
				for _, need := range needs {
					if need != "" && !yield(need+".ko") {
						return
					}
				}
			}), " ") + "\n"
			if rapid.Bool().Draw(t, "soft") {
				in.modprobe += fmt.Sprintf("softdep %s pre: %s post: %s\n", name, rapid.SampledFrom(names).Draw(t, "pre"), rapid.SampledFrom(names).Draw(t, "post"))
			}
		}
		var board Board
		for i, modules := range rapid.SliceOfN(rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID), 0, 4).Draw(t, "devices") {
			for _, module := range modules {
				in.alias += fmt.Sprintf("alias usb:%d %s\n", i, module)
			}
			board.Devices = append(board.Devices, rules.Device{
				Path: fmt.Sprintf("/usb1/1-%d/1-1:1.%d", rapid.IntRange(1, 2).Draw(t, "port"), i), Subsystem: "usb", Modalias: fmt.Sprintf("usb:%d", i),
			})
		}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 2, rapid.ID).Draw(t, "wanted") {
			board.Wanted = append(board.Wanted, core.Want{Name: name})
		}
		set := in.set(t)
		var want []string
		take := func(d rules.Decision) {
			for _, s := range d.Steps {
				want = once(want, s.Module)
			}
		}
		for _, w := range board.Wanted {
			take(set.Want(w.Name))
		}
		slices.SortFunc(board.Devices, func(a, b rules.Device) int { return strings.Compare(a.Path, b.Path) })
		for _, d := range board.Devices {
			take(set.Decide(d))
		}
		var got []string
		for _, m := range Make(set, board).Modules {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v\n%s", in, diff)
		}
	})
}

// docs/plan.md names every key of the JSON.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/plan.md")
	if err != nil {
		t.Fatal(err)
	}
	var look func(reflect.Type)
	look = func(kind reflect.Type) {
		for i := range kind.NumField() {
			field := kind.Field(i)
			if key, _, _ := strings.Cut(field.Tag.Get("json"), ","); !strings.Contains(string(doc), "`"+key+"`") {
				t.Errorf("docs/plan.md does not name the key %q", key)
			}
			element := field.Type
			for element.Kind() == reflect.Slice || element.Kind() == reflect.Pointer {
				element = element.Elem()
			}
			if element.Kind() == reflect.Struct {
				look(element)
			}
		}
	}
	look(reflect.TypeFor[Plan]())
}
