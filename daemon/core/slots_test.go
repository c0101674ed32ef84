package core_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

// A meter is a bench whose processors have as much to do as a test says.
type meter struct {
	*bench
	known   bool
	stalled time.Duration
}

// newMeter is a machine with some slots, two of them for the taking, on which a scan
// has met more modules than that.
func newMeter(t *testing.T, slots int, known bool) *meter {
	t.Helper()
	m := &meter{bench: newBench(t, crowdDep, crowdAlias, ""), known: known}
	m.m, m.now = core.New(core.Limits{Slots: slots, Few: 2, Patience: time.Second}), time.Minute
	m.policed(crowdDep, crowdAlias, "", "")
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		m.step(core.Seen{Device: rules.Device{Path: "/" + name, Modalias: "t:" + name}, Scan: 1})
	}
	m.answer(m.step(core.Scanned{Scan: 1}))
	return m
}

// answer answers whoever asks.
func (m *meter) answer(effects []core.Effect) {
	for _, e := range effects {
		if _, asked := e.(core.LookAtPressure); asked {
			m.step(core.Pressure{Stalled: m.stalled, Known: m.known})
		}
	}
}

// passes lets time pass in which some task has waited for a processor for a share of it.
func (m *meter) passes(d time.Duration, share float64) {
	m.stalled += time.Duration(float64(d) * share)
	m.answer(m.after(d))
}

func TestFewLoadsAreUnderWayWhileTasksWaitForAProcessor(t *testing.T) {
	m := newMeter(t, 4, true)
	m.passes(60*time.Millisecond, 1)
	m.passes(60*time.Millisecond, 1)
	m.loading("base", "a")
}

func TestMoreLoadsAreUnderWayWhileThoseAsleepLeaveTheProcessorsTime(t *testing.T) {
	m := newMeter(t, 4, true)
	m.passes(60*time.Millisecond, 0.1)
	m.passes(60*time.Millisecond, 0.1)
	m.loading("base", "a", "b", "c")
}

func TestOneBusyCrowdSaysNothingOfTheNext(t *testing.T) {
	m := newMeter(t, 4, true)
	m.passes(900*time.Millisecond, 0) // a second look so late is a first one
	m.loading("base", "a")
}

func TestAKernelThatDoesNotTellHasHalfOfTheSlots(t *testing.T) {
	b := newMeter(t, 6, false)
	b.loading("base", "a", "b")
}

func TestNobodyLooksAtTheProcessorsWhileNothingLacksASlot(t *testing.T) {
	m := newMeter(t, 4, true)
	for _, name := range []string{"base", "a", "b", "c", "d", "e"} {
		m.live(name)
	}
	for _, e := range m.after(time.Minute) {
		if _, asked := e.(core.LookAtPressure); asked {
			t.Error("asked how much the processors have to do, for nothing")
		}
	}
}

func TestFilesOfWhatWaitsAreReadAheadInTheOrderOfLoads(t *testing.T) {
	b := newBench(t, crowdDep, crowdAlias, "")
	b.m = core.New(core.Limits{Slots: 2, Patience: time.Second})
	b.policed(crowdDep, crowdAlias, "install b true\n", "")
	for _, name := range []string{"a", "b", "c", "e", "nic"} {
		b.step(core.Seen{Device: rules.Device{Path: "/" + name, Modalias: "t:" + name}, Scan: 1})
	}
	var files []string
	for _, e := range b.step(core.Scanned{Scan: 1}) {
		if ahead, ok := e.(core.ReadAhead); ok {
			files = append(files, ahead.Files...)
		}
	}
	b.loading("mii")
	const dir = "/lib/modules/test/kernel/"
	want := []string{dir + "drivers/net/nic.ko", dir + "lib/base.ko", dir + "sound/a.ko", dir + "sound/c.ko", dir + "sound/e.ko"}
	if !slices.Equal(files, want) {
		t.Errorf("read ahead %q, want %q", files, want)
	}
}
