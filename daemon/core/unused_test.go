package core_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

const (
	unusedDep   = "core.ko:\nlib.ko:\na.ko: lib.ko core.ko\nb.ko: core.ko\n"
	unusedAlias = "alias t:a a\nalias t:b b\n"
)

// unusedBench has a and what it needs in for a device /a, and b for /b.
func unusedBench(t *testing.T, toml string) *bench {
	t.Helper()
	b := newBench(t, "", "", "")
	b.policed(unusedDep, unusedAlias, "", toml)
	b.step(core.Scanned{Scan: 2})
	b.plug("/a", "t:a")
	for _, name := range []string{"lib", "core", "a"} {
		b.now++
		b.goes(name)
	}
	b.plug("/b", "t:b")
	b.now++
	b.goes("b")
	return b
}

// asks returns the modules among effects whose use is asked for.
func asks(effects []core.Effect) (names []string) {
	for _, e := range effects {
		if u, ok := e.(core.LookUse); ok {
			names = append(names, u.Name)
		}
	}
	return names
}

// exit expects that a module is asked about, says who uses it, and returns the
// operation of its unload, 0 if there is none.
func (b *bench) exit(effects []core.Effect, name string, use core.Counted) core.OpID {
	b.t.Helper()
	if got := asks(effects); !slices.Equal(got, []string{name}) {
		b.t.Fatalf("asks about %q, want %q", got, name)
	}
	use.Name = name
	said := b.step(use)
	written := false
	for _, e := range said {
		switch e := e.(type) {
		case core.Persist:
			written = slices.Contains(e.Unloading, name)
		case core.Unload:
			if !written || e.Name != name {
				b.t.Errorf("%s is taken out, written down: %v", e.Name, written)
			}
			return e.Op
		}
	}
	return 0
}

func TestModulesGoAMinuteAfterTheirHardwareThoseThatCameLastFirst(t *testing.T) {
	b := unusedBench(t, "")
	b.step(core.Gone{Path: "/a"})
	if got := asks(b.after(time.Minute - 1)); got != nil {
		t.Fatalf("asks about %q too early", got)
	}
	effects := b.after(1)
	for _, name := range []string{"a", "lib"} {
		op := b.exit(effects, name, core.Counted{})
		if op == 0 {
			t.Fatalf("%s is not taken out", name)
		}
		effects = b.step(core.Unloaded{Op: op})
	}
	// What b needs stays, and b.
	if got := asks(append(effects, b.after(time.Hour)...)); got != nil {
		t.Errorf("asks about %q", got)
	}
	if m := b.module("core"); m.State != control.Live {
		t.Errorf("core is %s", m.State)
	}
}

func TestAModuleThatSomebodyUsesStaysAndSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name string
		use  core.Counted
		says string
	}{
		{"a user", core.Counted{References: 2}, "it is in use: its reference count is 2"},
		{"a module", core.Counted{References: 1, Holders: []string{"x"}}, "it is needed by x"},
		{"a device that rules do not lead to", core.Counted{Drives: "1-1:1.0"}, "it drives 1-1:1.0"},
		{"nobody knows", core.Counted{References: -1}, "this kernel does not say whether it is in use"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := unusedBench(t, "")
			b.step(core.Gone{Path: "/b"})
			if op := b.exit(b.after(time.Minute), "b", tt.use); op != 0 {
				t.Error("it is taken out")
			}
			if says := b.module("b").Unused; !strings.HasPrefix(says, "nothing has called for it for 1m0s; "+tt.says) {
				t.Errorf("it says %q", says)
			}
			if got := asks(b.after(time.Minute - time.Second)); got != nil {
				t.Errorf("asks again too early: %q", got)
			}
			b.exit(b.after(core.DefaultLimits.Rest), "b", core.Counted{})
		})
	}
}

func TestADeviceThatComesBackInTimeKeepsItsDriver(t *testing.T) {
	b := unusedBench(t, "")
	b.step(core.Gone{Path: "/b"})
	b.after(59 * time.Second)
	b.plug("/b2", "t:b")
	b.loading()
	if got := asks(b.after(time.Hour)); got != nil {
		t.Errorf("asks about %q", got)
	}
}

func TestADeviceThatComesWhileItsDriverGoesGetsItBackAtOnce(t *testing.T) {
	b := unusedBench(t, "")
	b.step(core.Gone{Path: "/b"})
	op := b.exit(b.after(time.Minute), "b", core.Counted{})
	b.plug("/b", "t:b")
	b.loading()
	b.step(core.ModuleIs{Name: "b", State: control.Absent})
	b.loading("b")
	b.step(core.Unloaded{Op: op})
	b.loading("b")
	b.goes("b")
	// It had gone too soon: the next time it has twice as long.
	b.step(core.Gone{Path: "/b"})
	if got := asks(b.after(2*time.Minute - 1)); got != nil {
		t.Errorf("asks about %q too early", got)
	}
	b.exit(b.after(1), "b", core.Counted{})
}

func TestTheTimeIsWhatRulesSay(t *testing.T) {
	for _, tt := range []struct {
		name, toml string
		want       time.Duration // 0 for never
	}{
		{"a setting", "gone_timeout = \"5s\"\n", 5 * time.Second},
		{"off", "gone_timeout = \"off\"\n", 0},
		{"a rule", "gone_timeout = \"off\"\n[[rule]]\nmodule = \"b\"\nidle = \"7s\"\n", 7 * time.Second},
		{"a rule that is off", "[[rule]]\nmodule = \"b\"\nidle = \"off\"\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := unusedBench(t, tt.toml)
			b.step(core.Gone{Path: "/b"})
			if tt.want == 0 {
				if got := asks(b.after(24 * time.Hour)); got != nil {
					t.Errorf("asks about %q", got)
				}
				return
			}
			if got := asks(b.after(tt.want - 1)); got != nil {
				t.Errorf("asks about %q too early", got)
			}
			b.exit(b.after(1), "b", core.Counted{})
		})
	}
}

func TestOnAKernelForRealTimeNothingGoesUnlessTheOperatorSaysSo(t *testing.T) {
	for toml, goes := range map[string]bool{"": false, "gone_timeout = \"5s\"\n": true, "[[rule]]\nmodule = \"b\"\nidle = \"7s\"\n": true} {
		b := &bench{t: t, m: core.New(core.Limits{Slots: 4, Patience: time.Second, KeepUnused: true}), ops: make(map[string]core.OpID)}
		b.policed(unusedDep, unusedAlias, "", toml)
		b.step(core.Scanned{Scan: 1})
		b.plug("/b", "t:b")
		b.goes("core")
		b.goes("b")
		b.step(core.Gone{Path: "/b"})
		if got := asks(b.after(time.Hour)); (got != nil) != goes {
			t.Errorf("asks about %q with %q", got, toml)
		}
	}
}

func TestAPinIsForAModuleOfThatName(t *testing.T) {
	b := unusedBench(t, "")
	for name, pins := range map[string]bool{"b": true, "t:b": false, "nothing": false, "": false} {
		if err, refused := b.ask(control.PinRequest{Module: name}).(error); refused == pins {
			t.Errorf("pin %q: %v", name, err)
		}
	}
}

func TestAPinnedModuleStaysAlsoForTheNextDaemon(t *testing.T) {
	b := unusedBench(t, "")
	b.ask(control.PinRequest{Module: "b"})
	b.step(core.Gone{Path: "/b"})
	if got := asks(b.after(time.Hour)); got != nil {
		t.Errorf("asks about %q", got)
	}
	if m := b.module("b"); !m.Pin || !strings.Contains(m.Unused, "it is pinned") {
		t.Errorf("got %+v", m)
	}

	next := &bench{t: t, m: core.New(core.DefaultLimits), ops: make(map[string]core.OpID)}
	next.step(core.Inherited{
		Modules: []control.Module{{Name: "b", State: control.Live, Ours: true}},
		Persist: core.Persist{Pinned: []string{"b"}},
	})
	next.policed(unusedDep, unusedAlias, "", "")
	next.step(core.ModuleIs{Name: "b", State: control.Live, Scan: 1})
	next.step(core.Scanned{Scan: 1})
	if got := asks(next.after(time.Hour)); got != nil {
		t.Errorf("the next one asks about %q", got)
	}
	next.ask(control.PinRequest{Module: "b", Unpin: true})
	next.exit(next.after(time.Hour), "b", core.Counted{})
}

func TestWhatSomebodyElseHasLoadedStays(t *testing.T) {
	b := unusedBench(t, "")
	b.step(core.ModuleIs{Name: "other", State: control.Live})
	b.step(core.Gone{Path: "/a"})
	b.step(core.Gone{Path: "/b"})
	if got := asks(b.after(time.Hour)); slices.Contains(got, "other") {
		t.Errorf("asks about %q", got)
	}
}

func TestAModuleThatDidNotComeBackFromItsExitIsNotTriedAgainAndHoldsUpNobody(t *testing.T) {
	b := unusedBench(t, "")
	b.step(core.Gone{Path: "/b"})
	op := b.exit(b.after(time.Minute), "b", core.Counted{})
	said := b.step(core.Unloaded{Op: op, Errno: syscall.EIO, Died: true, Says: "unload b: the worker process ended without an answer"})
	if !slices.ContainsFunc(said, func(e core.Effect) bool { n, ok := e.(core.Note); return ok && n.What == "stuck" }) {
		t.Errorf("nobody is told: %v", said)
	}
	b.step(core.Gone{Path: "/a"})
	b.exit(b.after(time.Hour), "a", core.Counted{})
	if got := asks(b.after(time.Hour)); slices.Contains(got, "b") {
		t.Errorf("asks about %q", got)
	}
}

func TestALostRaceIsNotRunAgainAtOnce(t *testing.T) {
	b := unusedBench(t, "")
	b.step(core.Gone{Path: "/b"})
	op := b.exit(b.after(time.Minute), "b", core.Counted{})
	b.step(core.Unloaded{Op: op, Errno: syscall.EAGAIN, Says: "in use"})
	if m := b.module("b"); m.State != control.Live || !m.Ours {
		t.Errorf("got %+v", m)
	}
	if got := asks(b.after(2*time.Minute - time.Second)); got != nil {
		t.Errorf("asks about %q too early", got)
	}
	b.exit(b.after(core.DefaultLimits.Rest), "b", core.Counted{})
}

func TestWhatIsWantedForADeviceThatHasGoneIsNotPutInAnyMore(t *testing.T) {
	b := newBench(t, unusedDep, unusedAlias, "")
	b.plug("/a", "t:a")
	b.loading("lib", "core")
	b.step(core.Gone{Path: "/a"})
	b.goes("lib")
	b.goes("core")
	b.loading()
	b.exit(b.after(time.Minute), "lib", core.Counted{})
}

func TestTimesBeginAnewAfterASuspend(t *testing.T) {
	b := unusedBench(t, "")
	b.step(core.Gone{Path: "/b"})
	b.after(59 * time.Second)
	b.step(core.Resumed{})
	if got := asks(b.after(59 * time.Second)); got != nil {
		t.Errorf("asks about %q too early", got)
	}
	b.exit(b.after(time.Second), "b", core.Counted{})
}

func TestAModuleThatTheDaemonBeforeWasTakingOutIsLikeOthersWhenItHasGone(t *testing.T) {
	b := &bench{t: t, m: core.New(core.DefaultLimits), ops: make(map[string]core.OpID)}
	b.step(core.Inherited{Persist: core.Persist{Unloading: []string{"b"}}})
	b.policed(unusedDep, unusedAlias, "", "")
	b.step(core.ModuleIs{Name: "b", State: control.Going, Scan: 1})
	b.step(core.Scanned{Scan: 1})
	said := b.step(core.ModuleIs{Name: "b", State: control.Absent})
	if !slices.ContainsFunc(said, func(e core.Effect) bool { p, ok := e.(core.Persist); return ok && p.Unloading == nil }) {
		t.Errorf("it stays written down: %v", said)
	}
	b.plug("/b", "t:b")
	b.goes("core")
	b.now++
	b.goes("b")
	b.step(core.Gone{Path: "/b"})
	b.exit(b.after(time.Minute), "b", core.Counted{})
}

func TestWhatALineWantsStaysWhoeverPutsItIn(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		b := newBench(t, "", "", "")
		tables, err := match.Parse("/lib/modules/test", map[string]string{"modules.dep": unusedDep, "modules.alias": unusedAlias})
		if err != nil {
			t.Fatal(err)
		}
		set := rules.NewSet(tables, modprobed.Parse(""))
		b.step(core.NewRules{Set: set, Wanted: []core.Want{{Name: "a", By: rules.Reason{Source: "x.conf", Line: 1}, Elsewhere: elsewhere}}})
		b.step(core.Scanned{Scan: 2})
		if elsewhere {
			b.loading()
			b.plug("/a", "t:a")
		}
		for _, name := range []string{"lib", "core", "a"} {
			b.goes(name)
		}
		b.step(core.Gone{Path: "/a"})
		if got := asks(b.after(time.Hour)); got != nil {
			t.Errorf("elsewhere %v: asks about %q", elsewhere, got)
		}
	}
}

func TestTimesThatAreTooLongNeverCome(t *testing.T) {
	b := unusedBench(t, "gone_timeout = \"2562047h47m16s\"\n")
	b.step(core.Gone{Path: "/b"})
	if got := asks(b.after(24 * time.Hour)); got != nil {
		t.Errorf("asks about %q", got)
	}
}
