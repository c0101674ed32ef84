package core_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

const wasSet = "x=1\x00y=2"

// takenOut has b, whose device goes, taken out when its parameters are as wasSet says.
func takenOut(t *testing.T) (b *bench, effects []core.Effect) {
	t.Helper()
	b = unusedBench(t, "")
	b.step(core.Gone{Path: "/b"})
	op := b.exit(b.after(time.Minute), "b", core.Counted{})
	b.step(core.ModuleIs{Name: "b", State: control.Absent}) // which the uevent tells before the call has ended
	return b, b.step(core.Unloaded{Op: op, Settings: wasSet})
}

// setAt returns what is to be set of a module that is loaded, and whether it is.
func setAt(effects []core.Effect, module string) (settings string, loaded bool) {
	for _, e := range effects {
		if l, ok := e.(core.Load); ok && l.Step.Module == module {
			return l.Settings, true
		}
	}
	return "", false
}

// written returns what is written down last of settings, and whether anything is.
func written(effects []core.Effect) (settings []control.Settings, ok bool) {
	for _, e := range effects {
		if p, is := e.(core.Persist); is {
			settings, ok = p.Settings, true
		}
	}
	return settings, ok
}

func TestWhatWasSetOfAModuleIsSetAgainOnce(t *testing.T) {
	b, effects := takenOut(t)
	want := []control.Settings{{Module: "b", Values: wasSet}}
	if got, _ := written(effects); !cmp.Equal(got, want) {
		t.Errorf("written down: %q", got)
	}
	if got, _ := setAt(b.plug("/b", "t:b"), "b"); got != wasSet {
		t.Fatalf("%q is to be set", got)
	}
	effects = b.fails("b", syscall.EIO)
	if got, ok := written(effects); ok && !cmp.Equal(got, want) {
		t.Errorf("the load has failed, and it is written down: %q", got)
	}
	b.step(core.Gone{Path: "/b"})
	if got, _ := setAt(b.plug("/b", "t:b"), "b"); got != wasSet {
		t.Fatalf("at the second attempt %q is to be set", got)
	}
	b.step(core.ModuleIs{Name: "b", State: control.Live})
	effects = b.step(core.Done{Op: b.ops["b"], Module: "b", Unset: "y is no longer \"2\""})
	if got := notesOf(effects, "b"); !slices.Equal(got, []string{"unset"}) {
		t.Errorf("it is told: %q", got)
	}
	if got, ok := written(effects); !ok || len(got) > 0 {
		t.Errorf("written down afterwards: %q", got)
	}
	b.step(core.Gone{Path: "/b"})
	b.step(core.Unloaded{Op: b.exit(b.after(2*time.Minute), "b", core.Counted{})})
	if got, loaded := setAt(b.plug("/b", "t:b"), "b"); !loaded || got != "" {
		t.Errorf("once more %q is to be set", got)
	}
}

func TestNewOptionsCountForMoreThanWhatWasSet(t *testing.T) {
	b, _ := takenOut(t)
	b.policed(unusedDep, unusedAlias, "options b x=7\n", "")
	if got, loaded := setAt(b.plug("/b", "t:b"), "b"); !loaded || got != "" {
		t.Errorf("%q is to be set", got)
	}
}

func TestWhatWasSetIsForgottenWhenSomebodyElsePutsTheModuleIn(t *testing.T) {
	b, _ := takenOut(t)
	if got, ok := written(b.step(core.ModuleIs{Name: "b", State: control.Live})); !ok || len(got) > 0 {
		t.Errorf("written down: %q", got)
	}
}

func TestASuccessorKnowsWhatWasSet(t *testing.T) {
	b := newBench(t, "", "", "")
	b.step(core.Inherited{Persist: core.Persist{Settings: []control.Settings{{Module: "b", Options: "x=7", Values: wasSet}}}})
	b.policed(sleepyDep, sleepyAlias, "options b x=7\n", "")
	b.step(core.Scanned{Scan: 2})
	if got, _ := setAt(b.step(core.Seen{Device: rules.Device{Path: "/b", Modalias: "t:b"}}), "b"); got != wasSet {
		t.Errorf("%q is to be set", got)
	}
}

func TestWhoeverOpensASleeperWaitsForWhatWasSet(t *testing.T) {
	for _, tt := range []struct {
		name  string
		looks func(b *bench) []core.Effect
	}{
		{"until it is", func(b *bench) []core.Effect {
			return b.step(core.Done{Op: b.ops["b"], Module: "b"})
		}},
		{"a second at most", func(b *bench) []core.Effect { return b.after(time.Second) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := restBench(t)
			effects := b.after(2 * time.Second)
			b.surveyed(effects, "b", "")
			cover := b.fallsAsleep(b.after(2*time.Second), "b")
			exit := exitOf(b.step(core.Tended{Op: cover}), "b")
			b.step(core.ModuleIs{Name: "b", State: control.Absent})
			b.step(core.Unloaded{Op: exit, Settings: wasSet})
			if why := b.sleepOf("b"); !strings.Contains(why, "it sleeps") {
				t.Fatalf("it is said: %s", why)
			}
			if got, _ := setAt(b.step(core.Asked{ID: 9, Request: control.WakeRequest{Name: "char-major-1-b"}}), "b"); got != wasSet {
				t.Fatalf("%q is to be set", got)
			}
			effects = append(b.step(core.ModuleIs{Name: "b", State: control.Live}), b.after(time.Second/2)...)
			if looksOpen(effects) {
				t.Error("it is looked at whether it works before that")
			}
			if !looksOpen(tt.looks(b)) {
				t.Error("nobody looks whether it works")
			}
		})
	}
}

func looksOpen(effects []core.Effect) bool {
	return slices.ContainsFunc(effects, func(e core.Effect) bool { _, ok := e.(core.LookOpen); return ok })
}
