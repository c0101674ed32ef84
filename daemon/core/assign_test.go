package core_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

const (
	assignDep   = "core.ko:\na.ko: core.ko\nb.ko:\n"
	assignAlias = "alias t:d* a\nalias t:d* b\n"
	preferAB    = "[[rule]]\nmodalias = \"t:d*\"\nprefer = [\"a\", \"b\"]\nbind_timeout = \"3s\"\n"
	denyD       = "[[rule]]\nmodalias = \"t:d*\"\nstage = \"deny\"\n"
)

func assignBench(t *testing.T, toml string, devices ...rules.Device) *bench {
	t.Helper()
	b := newBench(t, "", "", "")
	b.policed(assignDep, assignAlias, "", toml)
	for _, d := range devices {
		b.step(core.Seen{Device: d, Scan: 2})
	}
	b.step(core.Scanned{Scan: 2})
	return b
}

// assigns returns the assignments among effects.
func assigns(effects []core.Effect) (found []core.Assign) {
	for _, e := range effects {
		if a, ok := e.(core.Assign); ok {
			found = append(found, a)
		}
	}
	return found
}

// assigned expects one assignment, and returns its operation.
func (b *bench) assigned(effects []core.Effect, want core.Assign) core.OpID {
	b.t.Helper()
	got := assigns(effects)
	if len(got) != 1 {
		b.t.Fatalf("%d assignments, want %+v: %+v", len(got), want, effects)
	}
	want.Op = got[0].Op
	if diff := cmp.Diff(want, got[0]); diff != "" {
		b.t.Error(diff)
	}
	return want.Op
}

func (b *bench) goes(name string) []core.Effect {
	b.t.Helper()
	op := b.ops[name]
	delete(b.ops, name)
	return b.step(core.Done{Op: op, Module: name})
}

func TestThePreferredDriverIsLoadedAloneAndAskedWhetherItHasTheDevice(t *testing.T) {
	b := assignBench(t, preferAB)
	b.plug("/d", "t:d1")
	b.loading("core")
	b.goes("core")
	b.loading("a")
	b.result("/d", control.Loading)
	op := b.assigned(b.goes("a"), core.Assign{Path: "/d", Owner: core.OfModule, Module: "a", Gently: true})
	b.step(core.Bound{Path: "/d", Driver: "a-driver"})
	b.step(core.Assigned{Op: op, Module: "a"})
	// The driver was bound after the question, so it is asked once more.
	b.loading()
	b.result("/d", control.Bound)
	b.after(time.Hour)
	b.loading()
}

func TestADriverThatDoesNotTakeTheDeviceInTimeMakesRoomForTheNext(t *testing.T) {
	b := assignBench(t, preferAB)
	b.plug("/d", "t:d1")
	b.goes("core")
	op := b.assigned(b.goes("a"), core.Assign{Path: "/d", Owner: core.OfModule, Module: "a", Gently: true})
	b.step(core.Assigned{Op: op, Held: true, Says: "assign d: ENODEV: driver a does not take it"})
	b.result("/d", control.Loading)
	if says := b.why("/d").Devices[0].Assignment; !strings.HasPrefix(says, "a has 3s to take it: ") {
		t.Errorf("why says %q", says)
	}
	b.after(2 * time.Second)
	b.loading()
	b.after(time.Second)
	b.loading("b")
	op = b.assigned(b.goes("b"), core.Assign{Path: "/d", Owner: core.OfModule, Module: "b", Gently: true, Held: true})
	b.step(core.Bound{Path: "/d", Driver: "b"})
	b.step(core.Assigned{Op: op, Module: "b", Held: true})
	b.result("/d", control.Bound)
}

func TestADriverThatCanNotBeHadMakesRoomAtOnce(t *testing.T) {
	b := assignBench(t, preferAB)
	b.plug("/d", "t:d1")
	b.fails("core", 5)
	b.loading("b")
}

func TestADeviceThatNobodyTookIsForWhoeverMatches(t *testing.T) {
	b := assignBench(t, preferAB)
	b.plug("/d", "t:d1")
	b.fails("core", 5)
	op := b.assigned(b.fails("b", 5), core.Assign{Path: "/d", Owner: core.Anybody})
	b.step(core.Assigned{Op: op})
	b.after(time.Hour)
	b.loading()
	b.result("/d", control.Failed)
}

func TestADeviceInUseIsNotGivenToAnother(t *testing.T) {
	b := assignBench(t, preferAB, rules.Device{Path: "/d", Modalias: "t:d1", Driver: "c"})
	b.goes("core")
	op := b.assigned(b.goes("a"), core.Assign{Path: "/d", Owner: core.OfModule, Module: "a", Gently: true})
	b.step(core.Assigned{Op: op, Module: "c", InUse: "a disk of it is mounted"})
	b.after(time.Hour)
	b.loading()
	if says := b.why("/d").Devices[0].Assignment; !strings.Contains(says, "a disk of it is mounted") {
		t.Errorf("why says %q", says)
	}
}

func TestADeviceThatHangsInAProbeHoldsUpNobodyWhoWaits(t *testing.T) {
	b := assignBench(t, preferAB)
	b.plug("/d", "t:d1")
	b.goes("core")
	b.assigned(b.goes("a"), core.Assign{Path: "/d", Owner: core.OfModule, Module: "a", Gently: true})
	b.patient("it may still take the device", b.settle(1))
	abandoned := b.after(2 * time.Second)
	if !slices.ContainsFunc(abandoned, func(e core.Effect) bool { _, ok := e.(core.Abandon); return ok }) {
		t.Errorf("it is not abandoned: %v", abandoned)
	}
	b.answered(b.catchUp(abandoned), 1)
}

func TestADeniedDeviceIsWrittenDownBeforeItIsTakenAway(t *testing.T) {
	b := assignBench(t, denyD)
	effects := b.plug("/d", "t:d1")
	held := slices.IndexFunc(effects, func(e core.Effect) bool {
		h, ok := e.(core.Persist)
		return ok && slices.Equal(h.Held, []string{"/d"})
	})
	taken := slices.IndexFunc(effects, func(e core.Effect) bool { _, ok := e.(core.Assign); return ok })
	if held < 0 || taken < held {
		t.Errorf("written down as number %d, taken away as number %d", held, taken)
	}
	op := b.assigned(effects, core.Assign{Path: "/d", Owner: core.Nobody})
	b.step(core.Assigned{Op: op, Held: true})
	b.result("/d", control.Refused)

	// A driver that takes it all the same is sent away, at some time less and less often.
	tries := 0
	for range 600 {
		for _, a := range assigns(slices.Concat(b.step(core.Bound{Path: "/d", Driver: "x"}), b.after(time.Second))) {
			tries++
			b.step(core.Assigned{Op: a.Op})
			b.step(core.Bound{Path: "/d"})
		}
	}
	if tries < 5 || tries > 15 {
		t.Errorf("%d tries in ten minutes", tries)
	}
}

func TestWhatADaemonBeforeKeptDriversFromIsReleasedWhenNobodyDeniesItAnyMore(t *testing.T) {
	b := &bench{t: t, m: core.New(core.Limits{Slots: 4, Patience: time.Second}), ops: make(map[string]core.OpID)}
	b.step(core.Inherited{Persist: core.Persist{Held: []string{"/d", "/gone"}}})
	b.policed(assignDep, assignAlias, "", "")
	b.step(core.Seen{Device: rules.Device{Path: "/d", Modalias: "t:d1"}, Scan: 1})
	effects := b.step(core.Scanned{Scan: 1})
	op := b.assigned(effects, core.Assign{Path: "/d", Owner: core.Anybody, Held: true})
	b.loading("core")
	effects = b.step(core.Assigned{Op: op})
	if !slices.ContainsFunc(effects, func(e core.Effect) bool { h, ok := e.(core.Persist); return ok && len(h.Held) == 0 }) {
		t.Errorf("it is not written down that nothing is kept any more: %v", effects)
	}
}

func TestADeviceThatRulesBeginToDenyIsTakenGentlyAndTriedUntilNobodyUsesIt(t *testing.T) {
	b := assignBench(t, "", rules.Device{Path: "/d", Modalias: "t:d1", Driver: "a"})
	b.policed(assignDep, assignAlias, "", denyD)
	b.step(core.Seen{Device: rules.Device{Path: "/d", Modalias: "t:d1", Driver: "a"}, Scan: 3})
	effects := b.step(core.Scanned{Scan: 3})
	for _, pause := range []time.Duration{2 * time.Second, 4 * time.Second} {
		if len(assigns(effects)) == 0 { // at once when rules were read
			break
		}
		op := b.assigned(effects, core.Assign{Path: "/d", Owner: core.Nobody, Gently: true})
		b.step(core.Assigned{Op: op, Module: "a", InUse: "somebody"})
		b.answered(b.catchUp(b.settle(uint64(pause))), uint64(pause)) // which nobody waits for
		if early := assigns(b.after(pause - time.Millisecond)); early != nil {
			t.Errorf("tried again before %v", pause)
		}
		effects = b.after(time.Millisecond)
	}
}
