package core_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

// settle has somebody wait until nothing is pending.
func (b *bench) settle(id uint64) []core.Effect {
	return b.step(core.Asked{ID: id, Request: control.SettleRequest{}})
}

// catchUp answers the CatchUp among some effects.
func (b *bench) catchUp(effects []core.Effect) []core.Effect {
	b.t.Helper()
	for _, e := range effects {
		if c, ok := e.(core.CatchUp); ok {
			return b.step(core.CaughtUp(c))
		}
	}
	b.t.Fatalf("it does not want to catch up: %+v", effects)
	return nil
}

// answered checks who is answered by some effects.
func (b *bench) answered(effects []core.Effect, want ...uint64) {
	b.t.Helper()
	var got []uint64
	for _, e := range effects {
		if reply, ok := e.(core.Reply); ok {
			got = append(got, reply.ID)
		}
	}
	if len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
		b.t.Errorf("answered: %v, want %v", got, want)
	}
}

// patient checks that nothing is done yet for who waits.
func (b *bench) patient(why string, effects []core.Effect) {
	b.t.Helper()
	for _, e := range effects {
		switch e.(type) {
		case core.Reply, core.CatchUp:
			b.t.Errorf("it takes it for settled %s: %+v", why, e)
		}
	}
}

func TestSettledIsWhatTheKernelSaidLastAndNotWhatIsKnown(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.patient("while a load is under way", b.settle(1))
	ended := b.step(core.ModuleIs{Name: "a", State: control.Live})
	// The load brought a device, whose uevent comes before the answer.
	b.plug("/d/e", "t:b")
	b.patient("with a device that came meanwhile", b.catchUp(ended))
	b.answered(b.catchUp(b.step(core.ModuleIs{Name: "b", State: control.Live})), 1)
}

// A load that began and ended in between may have brought something as well.
func TestALoadMeanwhileMakesItReadOnOnceMore(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "")
	waits := b.settle(1)
	b.plug("/d", "t:a")
	b.live("a")
	again := b.catchUp(waits)
	b.answered(again)
	b.answered(b.catchUp(again), 1)
}

func TestWhoComesLaterIsAnsweredLater(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "")
	first := b.settle(1)
	b.patient("while it reads on for somebody else", b.settle(2))
	then := b.catchUp(first)
	b.answered(then, 1)
	b.answered(b.catchUp(then), 2)
}

func TestSettlingWaitsForScans(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "")
	b.step(core.Lost{})
	b.patient("during a scan", b.settle(1))
	b.answered(b.catchUp(b.step(core.Scanned{Scan: 2})), 1)
}

func TestSettlingWaitsForWhatIsPutOff(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.step(core.Done{Op: b.ops["a"], Errno: syscall.EAGAIN, Says: "no process", Unasked: true})
	b.patient("before a load was tried again", b.settle(1))
}

// What takes longer than the machine's patience may never end.
func TestALoadThatHangsDoesNotKeepAnybodyWaiting(t *testing.T) {
	const dep = "a.ko:\nb.ko: a.ko\nc.ko: b.ko a.ko\nd.ko:\n"
	b := newBench(t, dep, "alias t:c c\n", "", rules.Device{Path: "/d", Modalias: "t:c"})
	b.patient("with patience", b.settle(1))
	b.answered(b.catchUp(b.after(time.Second)), 1)
	if s := b.ask(control.StatusRequest{}).(control.Status); !s.Settled || s.Modules[control.Waiting] != 2 {
		t.Errorf("status: %+v", s)
	}
	// What does not need it counts as before.
	b.rules(dep, "alias t:c c\nalias t:d d\n", "")
	b.step(core.Scanned{Scan: 2})
	b.plug("/e", "t:d")
	b.patient("with a load under way that goes on", b.settle(2))
}

func TestModulesThatSomebodyElseHangsOnDoNotKeepAnybodyWaiting(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "")
	b.step(core.ModuleIs{Name: "a", State: control.Coming, Scan: 1})
	b.plug("/d", "t:c")
	b.patient("with patience", b.settle(1))
	b.answered(b.catchUp(b.after(time.Second)), 1)
}

func TestWhoHasLeftIsForgotten(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "")
	settles := b.settle(1)
	b.step(core.Asked{ID: 2, Request: control.RescanRequest{}})
	b.answered(b.step(core.Withdrawn{ID: 1}), 1)
	b.answered(b.step(core.Withdrawn{ID: 2}), 2)
	b.answered(b.step(core.Withdrawn{ID: 2}))
	b.answered(b.catchUp(settles))
	b.answered(b.step(core.Scanned{Scan: 2}))
}
