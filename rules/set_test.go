package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

const dir = "/lib/modules/6.1"

// tables are what the tests below are about: a driver with a library, a rival
// of it, a driver that is built in, and modules that softdeps can lead to.
var tables = map[string]string{
	"modules.dep": `drv.ko: lib.ko core.ko
lib.ko: core.ko
core.ko:
rival.ko: core.ko
extra.ko:
early.ko: core.ko
late.ko: drv.ko lib.ko core.ko
`,
	"modules.alias": `alias pci:v1d* drv
alias pci:v1d2* rival
alias pci:v3* gone
alias extra-* extra
`,
	"modules.symbols":         "alias symbol:lib_open lib\n",
	"modules.builtin":         "kernel/built.ko\n",
	"modules.builtin.modinfo": "built.alias=pci:v4*\x00",
}

func newSet(t interface {
	Helper()
	Fatal(...any)
}, conf, cmdline string) *rules.Set {
	t.Helper()
	installed, err := match.Parse(dir, tables)
	if err != nil {
		t.Fatal(err)
	}
	return rules.NewSet(installed, modprobed.Parse(cmdline, modprobed.File{Name: "x.conf", Text: conf}))
}

// steps prints the steps of a decision: the module, "?" if it is dispensable,
// and what it waits for.
func steps(d rules.Decision) string {
	var list []string
	for _, s := range d.Steps {
		text := s.Module
		if s.Soft {
			text += "?"
		}
		if len(s.Needs) > 0 {
			text += " needs " + strings.Join(s.Needs, ",")
		}
		if len(s.After) > 0 {
			text += " after " + strings.Join(s.After, ",")
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

// says prints reasons.
func says(list []rules.Reason) string {
	var lines []string
	for _, r := range list {
		lines = append(lines, fmt.Sprintf("%s:%d: %s", strings.TrimPrefix(r.Source, dir+"/"), r.Line, r.Says))
	}
	return strings.Join(lines, "\n")
}

// against prints the reasons of all refusals.
func against(d rules.Decision) string {
	var because []rules.Reason
	for _, r := range d.Refused {
		because = append(because, r.Because...)
	}
	return says(because)
}

func TestNothingComesOfIt(t *testing.T) {
	for _, tt := range []struct {
		name, conf, cmdline, asked string
		refused                    string
	}{
		{"nobody knows the name", "", "", "pci:v9d9", ""},
		{"not a name", "", "", "pci:v1d]", `name:0: name "pci:v1d]", byte 7: "]" without "["`},
		{"an alias of a module that is not installed", "", "", "pci:v3d3",
			"modules.alias:3: alias pci:v3* gone\n" + dir + ":0: gone is not installed"},
		{"an alias line that leads nowhere hides the tables", "alias pci:v1* off", "", "pci:v1d1",
			"x.conf:1: alias pci:v1* off\n" + dir + ":0: off is not installed"},
		{"aliases of aliases are not followed", "alias nick pci:v1d1", "", "nick",
			"x.conf:1: alias nick pci:v1d1\n" + dir + ":0: pci:v1d1 is not installed"},
		{"a remove line puts nothing in", "remove ghost /bin/true", "", "ghost",
			"x.conf:1: remove ghost /bin/true\n" + dir + ":0: ghost is not installed"},
		{"a blacklisted module by its alias", "blacklist drv", "", "pci:v1d1",
			"modules.alias:1: alias pci:v1d* drv\nx.conf:1: blacklist drv"},
		{"a module that the kernel command line blacklists", "", "modprobe.blacklist=drv", "pci:v1d1",
			"modules.alias:1: alias pci:v1d* drv\nkernel command line:0: modprobe.blacklist=drv"},
		{"a module that the kernel refuses, even by its name", "", "module_blacklist=drv", "drv",
			"modules.dep:1: drv is the name of a module\nkernel command line:0: module_blacklist=drv"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newSet(t, tt.conf, tt.cmdline).Resolve(tt.asked)
			if len(d.Modules) > 0 || len(d.Steps) > 0 {
				t.Errorf("modules %v, steps %s", d.Modules, steps(d))
			}
			if diff := cmp.Diff(tt.refused, against(d)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestADeviceWithoutModaliasNeedsNothing(t *testing.T) {
	d := newSet(t, "alias * drv", "").Decide(rules.Device{Path: "/devices/x"})
	if diff := cmp.Diff(rules.Decision{}, d); diff != "" {
		t.Error(diff)
	}
}

// The first place that knows a name ends the search.
func TestSevenPlaces(t *testing.T) {
	const because = `
alias early pci-of-mine
alias nick early
alias nick extra
alias drv-* drv
install nosuch /bin/true
remove symbol:lib_open /bin/true
`
	for _, tt := range []struct{ name, asked, modules, reason string }{
		{"alias lines, all of them", "nick", "early extra", "x.conf:3: alias nick early"},
		{"alias lines before the name of a module", "drv-x", "drv", "x.conf:5: alias drv-* drv"},
		{"the name of a module", "lib", "lib", "modules.dep:2: lib is the name of a module"},
		{"a symbol before a command", "symbol:lib_open", "lib", "modules.symbols:1: alias symbol:lib_open lib"},
		{"the name of an install line", "nosuch", "nosuch", "x.conf:6: install nosuch /bin/true"},
		{"aliases of modules, in order", "pci:v1d2", "drv rival", "modules.alias:1: alias pci:v1d* drv"},
		{"dashes are underscores", "extra-1", "extra", "modules.alias:4: alias extra_* extra"},
		{"the name of a built-in module", "built", "built", "modules.builtin:1: built is built in"},
		{"aliases of built-in modules", "pci:v4", "built", "modules.builtin.modinfo:0: alias pci:v4* built"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newSet(t, because, "").Resolve(tt.asked)
			if got := strings.Join(d.Modules, " "); got != tt.modules {
				t.Errorf("modules %q, want %q", got, tt.modules)
			}
			if got := says(d.Reasons); !strings.HasPrefix(got, tt.reason) {
				t.Errorf("reasons are\n%s\nwant first\n%s", got, tt.reason)
			}
		})
	}
}

func TestBlacklistsByHowTheModuleWasReached(t *testing.T) {
	for _, tt := range []struct {
		name, conf, asked string
		hotplug           bool
		want              string
	}{
		{"by its name", "blacklist drv", "drv", false, "drv"},
		{"by its name, for hot-plug", "blacklist drv", "drv", true, ""},
		{"one of two by an alias", "blacklist drv", "pci:v1d2", false, "rival"},
		{"by an alias line", "blacklist drv\nalias nick drv", "nick", false, ""},
		{"built in already", "blacklist built", "pci:v4", true, "built"},
		{"another name", "blacklist drv-x", "pci:v1d1", true, "drv"},
		{"what is needed", "blacklist core", "pci:v1d1", true, "drv"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSet(t, tt.conf, "")
			d := s.Resolve(tt.asked)
			if tt.hotplug {
				d = s.Decide(rules.Device{Modalias: tt.asked})
			}
			if got := strings.Join(d.Modules, " "); got != tt.want {
				t.Errorf("modules %q, want %q", got, tt.want)
			}
			if len(d.Modules) == 0 && len(d.Refused) == 0 {
				t.Error("nothing says why not")
			}
		})
	}
}

func TestOrder(t *testing.T) {
	for _, tt := range []struct{ name, conf, asked, want string }{
		{"what is needed goes first", "", "drv", "core; lib needs core; drv needs core,lib"},
		{"two modules of one device share what they need", "", "pci:v1d2",
			"core; lib needs core; drv needs core,lib; rival needs core"},
		{"what is built in has no step", "", "built", ""},
		{"a pre-softdep goes after what is needed", "softdep drv pre: early", "drv",
			"core; lib needs core; early? needs core; drv needs core,lib after early"},
		{"a softdep may be an alias", "softdep drv pre: extra-1", "drv",
			"core; lib needs core; extra?; drv needs core,lib after extra"},
		{"all softdep lines count", "softdep drv pre: early\nsoftdep d* pre: extra", "drv",
			"core; lib needs core; early? needs core; extra?; drv needs core,lib after early,extra"},
		{"a post-softdep waits for who named it", "softdep lib post: extra", "drv",
			"core; lib needs core; extra? after lib; drv needs core,lib"},
		{"one that needs it anyhow waits only once", "softdep drv post: late", "drv",
			"core; lib needs core; drv needs core,lib; late? needs core,lib,drv"},
		{"softdeps of what is needed apply", "softdep core pre: extra", "lib", "extra?; core after extra; lib needs core"},
		{"softdeps of softdeps apply", "softdep lib pre: early\nsoftdep early pre: extra", "lib",
			"core; extra?; early? needs core after extra; lib needs core after early"},
		{"a softdep on what is not there", "softdep drv pre: nobody post: pci:v3", "core", "core"},
		{"a softdep on what is built in", "softdep core pre: built", "core", "core"},
		{"a softdep that is needed too is not dispensable", "softdep core pre: extra\nalias both core\nalias both extra", "both",
			"extra; core after extra"},
		{"softdeps in a circle", "softdep core pre: extra\nsoftdep extra pre: core", "core", "extra?; core after extra"},
		{"a softdep on oneself", "softdep core pre: core post: core", "core", "core"},
		{"a pre-softdep that needs the module comes after it", "softdep core pre: extra early", "core",
			"extra?; core after extra; early? needs core"},
		{"blacklists don't reach softdeps", "softdep core pre: extra\nblacklist extra", "core", "extra?; core after extra"},
		{"weakdeps load nothing", "weakdep core extra", "core", "core"},
		{"a softdep that is a command", "softdep core pre: cmd\ninstall cmd /bin/true", "core", "cmd?; core after cmd"},
		{"a bad name among softdeps", "softdep core pre: ex]tra extra", "core", "extra?; core after extra"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newSet(t, tt.conf, "").Resolve(tt.asked)
			if got := steps(d); got != tt.want {
				t.Errorf("steps are\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestStepsSayHow(t *testing.T) {
	s := newSet(t, `options drv a=1
install drv /sbin/special $CMDLINE_OPTS
softdep drv pre: extra
options pci:v1d1 only=this
options drv b=2
`, "quiet drv.c=3 lib.x")
	want := []rules.Step{
		{Module: "core", File: dir + "/core.ko"},
		{Module: "lib", File: dir + "/lib.ko", Options: "x", Needs: []string{"core"}},
		{Module: "extra", File: dir + "/extra.ko", Soft: true},
		{Module: "drv", File: dir + "/drv.ko", Options: "a=1 only=this b=2 c=3", Install: "/sbin/special $CMDLINE_OPTS",
			InstallBy: &rules.Reason{Source: "x.conf", Line: 2, Says: "install drv /sbin/special $CMDLINE_OPTS"},
			Needs:     []string{"core", "lib"}, After: []string{"extra"}},
	}
	d := s.Resolve("pci:v1d1")
	if diff := cmp.Diff(want, d.Steps); diff != "" {
		t.Error(diff)
	}
	reasons := `modules.alias:1: alias pci:v1d* drv
kernel command line:0: lib.x
x.conf:1: options drv a=1
x.conf:4: options pci:v1d1 only=this
x.conf:5: options drv b=2
kernel command line:0: drv.c=3
x.conf:2: install drv /sbin/special $CMDLINE_OPTS
x.conf:3: softdep drv pre: extra`
	if diff := cmp.Diff(reasons, says(d.Reasons)); diff != "" {
		t.Error(diff)
	}
	if got := s.Resolve("drv").Steps[3].Options; got != "a=1 b=2 c=3" {
		t.Errorf("options by its own name: %q", got)
	}
}

func TestInstallLineWithoutAModule(t *testing.T) {
	d := newSet(t, "install cmd /bin/true", "").Resolve("cmd")
	want := []rules.Step{{Module: "cmd", Install: "/bin/true", InstallBy: &rules.Reason{Source: "x.conf", Line: 1, Says: "install cmd /bin/true"}}}
	if diff := cmp.Diff(want, d.Steps); diff != "" {
		t.Error(diff)
	}
}

// Tables that contradict themselves are a reason to run depmod, not to wait for
// what never comes.
func TestDamagedDependencies(t *testing.T) {
	for _, tt := range []struct{ name, dep, want string }{
		{"a line is missing", "a.ko: b.ko c.ko\nb.ko:\n", "b; a needs b"},
		{"modules that need each other", "a.ko: b.ko\nb.ko: a.ko\n", "b; a needs b"},
		{"a module that needs itself", "a.ko: a.ko\n", "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			installed, err := match.Parse(dir, map[string]string{"modules.dep": tt.dep})
			if err != nil {
				t.Fatal(err)
			}
			d := rules.NewSet(installed, modprobed.Parse("")).Resolve("a")
			if got := steps(d); got != tt.want {
				t.Errorf("steps are %s, want %s", got, tt.want)
			}
			if missing := against(d); tt.name == "a line is missing" && !strings.Contains(missing, "a needs c") {
				t.Errorf("refused: %q", missing)
			}
		})
	}
}

// Whatever softdeps and tables say: each module has one step, every step waits
// for earlier ones only, and what a module needs is waited for.
func TestWaitingNeverGoesInCircles(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f"}
	name := rapid.SampledFrom(names)
	list := rapid.SliceOfNDistinct(name, 0, 3, rapid.ID)
	rapid.Check(t, func(t *rapid.T) {
		var dep, conf strings.Builder
		needs := map[string][]string{}
		for _, m := range slices.Backward(names) {
			// Needs point one way, and are named with theirs, as depmod does.
			for _, need := range list.Draw(t, "needs") {
				if need > m {
					needs[m] = append(append(needs[m], need), needs[need]...)
				}
			}
			slices.Sort(needs[m])
			needs[m] = slices.Compact(needs[m])
			fmt.Fprintf(&dep, "%s.ko:", m)
			for _, need := range needs[m] {
				fmt.Fprintf(&dep, " %s.ko", need)
			}
			dep.WriteByte('\n')
			for range rapid.IntRange(0, 2).Draw(t, "softdep lines") {
				fmt.Fprintf(&conf, "softdep %s pre: %s post: %s\n", m,
					strings.Join(list.Draw(t, "pre"), " "), strings.Join(list.Draw(t, "post"), " "))
			}
		}
		fmt.Fprintf(&conf, "alias all %s\nalias all %s\n", name.Draw(t, "one"), name.Draw(t, "other"))
		installed, err := match.Parse(dir, map[string]string{"modules.dep": dep.String()})
		if err != nil {
			t.Fatal(err)
		}
		d := rules.NewSet(installed, modprobed.Parse("", modprobed.File{Name: "x.conf", Text: conf.String()})).Resolve("all")
		var before []string
		for _, s := range d.Steps {
			if slices.Contains(before, s.Module) {
				t.Fatalf("%s has two steps: %s", s.Module, steps(d))
			}
			for _, w := range slices.Concat(s.Needs, s.After) {
				if !slices.Contains(before, w) {
					t.Fatalf("%s waits for %s: %s", s.Module, w, steps(d))
				}
			}
			for _, need := range needs[s.Module] {
				if !slices.Contains(s.Needs, need) {
					t.Fatalf("%s doesn't wait for %s: %s", s.Module, need, steps(d))
				}
			}
			before = append(before, s.Module)
		}
		for _, m := range d.Modules {
			if i := slices.Index(before, m); i < 0 || d.Steps[i].Soft {
				t.Fatalf("%s is not asked for in earnest: %s", m, steps(d))
			}
		}
	})
}

// Decisions of one set, made at the same time, are those made one by one.
func TestDecidingAtTheSameTime(t *testing.T) {
	const conf = "softdep drv pre: early post: late\noptions drv a=1\noptions pci:v1d1 b=2"
	names := []string{"pci:v1d1", "pci:v1d2", "drv", "late", "pci:v4", "extra-1", "nobody"}
	want := map[string]rules.Decision{}
	for _, name := range names {
		want[name] = newSet(t, conf, "").Resolve(name)
	}
	s := newSet(t, conf, "")
	var all sync.WaitGroup
	for i := range 4 * len(names) {
		all.Go(func() {
			name := names[i%len(names)]
			if diff := cmp.Diff(want[name], s.Resolve(name)); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		})
	}
	all.Wait()
}
