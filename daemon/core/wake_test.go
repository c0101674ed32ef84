package core_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

// opens is somebody's open() of the device of a driver.
func (b *bench) opens(module string) []core.Effect {
	return b.step(core.Asked{ID: 9, Request: control.WakeRequest{Name: "char-major-1-" + module}})
}

// wakes tells whether a driver begins to wake.
func wakes(effects []core.Effect, module string) bool {
	return slices.Contains(notesOf(effects, module), "wake")
}

// hides tells whether nodes are taken away.
func hides(effects []core.Effect) bool {
	return slices.ContainsFunc(effects, func(e core.Effect) bool { _, ok := e.(core.HideNodes); return ok })
}

// sleepsWithLib has a go to sleep, for whose devices the kernel asks only while lib is
// out.
func (b *bench) sleepsWithLib() {
	b.t.Helper()
	cover := b.fallsAsleep(b.after(2*time.Second), "a", "lib")
	b.step(core.Tended{Op: cover})
	exit := exitOf(b.step(core.Counted{Name: "lib", References: 1, Holders: []string{"a"}}), "a")
	exit = b.exit(b.step(core.Unloaded{Op: exit}), "lib", core.Counted{})
	b.tended(b.step(core.Unloaded{Op: exit}))
	if got := b.sleepOf("a"); !strings.Contains(got, "it sleeps since") {
		b.t.Fatalf("it is said: %s", got)
	}
}

// failsToWake has it sleep so, and then somebody open its device, though its file is gone.
func (b *bench) failsToWake() []core.Effect {
	b.t.Helper()
	b.sleepsWithLib()
	b.opens("a")
	b.goes("lib")
	return b.fails("a", syscall.ENOENT)
}

// asleepBefore is a machine before which another one has put a to sleep so.
func asleepBefore(t *testing.T, limits core.Limits, dep string) *bench {
	t.Helper()
	b := &bench{t: t, m: core.New(limits), ops: make(map[string]core.OpID)}
	b.step(core.Inherited{Persist: core.Persist{Asleep: []control.Sleeper{{
		Module: "a", Devices: []string{"/a"}, Must: []string{"lib"}, Openings: []control.Opening{{Alias: "char-major-1-a", Name: "a"}},
	}}}})
	b.policed(dep, sleepyAlias, "", sleepy)
	b.step(core.Seen{Device: rules.Device{Path: "/a", Modalias: "t:a"}, Scan: 1})
	b.step(core.Scanned{Scan: 1})
	return b
}

func TestADriverWakesBeforeTheKernelWouldNotAskForItAnyMore(t *testing.T) {
	t.Run("another device needs what must be out", func(t *testing.T) {
		b := restBench(t)
		b.sleepsWithLib()
		effects := b.plug("/c", "t:c")
		if !wakes(effects, "a") {
			t.Error("a sleeps on")
		}
		if !hides(effects) {
			t.Error("its node stays, and the other's may have that name and another number")
		}
		b.goes("lib")
		b.loading("a") // it is to have its number again, so c waits
		b.goes("a")
		b.loading("c")
	})
	t.Run("and both give names to what is of the same kind", func(t *testing.T) {
		limits := core.DefaultLimits
		limits.KeepNames = true
		b := asleepBefore(t, limits, "kernel/sound/lib.ko:\nkernel/sound/a.ko: kernel/sound/lib.ko\nkernel/sound/c.ko: kernel/sound/lib.ko\n")
		b.plug("/c", "t:c")
		b.goes("lib")
		b.loading("a") // and neither waits for the other
		b.goes("a")
		b.loading("c")
	})
	t.Run("somebody else puts it in", func(t *testing.T) {
		b := restBench(t)
		b.sleepsWithLib()
		if !wakes(b.step(core.ModuleIs{Name: "lib", State: control.Coming}), "a") {
			t.Error("a sleeps on")
		}
	})
	t.Run("the daemon before this one has put it to sleep", func(t *testing.T) {
		b := asleepBefore(t, core.DefaultLimits, sleepyDep)
		if !wakes(b.step(core.ModuleIs{Name: "lib", State: control.Live}), "a") {
			t.Error("a sleeps on")
		}
	})
}

func TestAWakeThatFailsTakesOutAgainWhatMustBeOut(t *testing.T) {
	b := restBench(t)
	effects := b.failsToWake()
	exit := b.exit(effects, "lib", core.Counted{})
	if exit == 0 {
		t.Fatalf("lib stays in: %v", effects)
	}
	if effects := b.step(core.Unloaded{Op: exit}); wakes(effects, "a") {
		t.Error("it wakes again, though nobody has called it")
	}
	if !wakes(b.opens("a"), "a") {
		t.Error("the next one to open it does not have it tried again")
	}
}

func TestADriverThatCannotWakeIsNotTriedAllTheTime(t *testing.T) {
	b := restBench(t)
	effects := b.failsToWake()
	if exit := b.exit(effects, "lib", core.Counted{References: 1}); exit != 0 {
		t.Error("lib is taken out, and somebody uses it")
	}
	if !hides(b.after(time.Minute)) {
		t.Error("its node stays, which nobody can open")
	}
	for range 10 {
		if effects := b.after(time.Minute); wakes(effects, "a") || hides(effects) {
			t.Fatal("it wakes again, though nothing has changed")
		}
	}
	delete(b.ops, "a")
	b.policed(sleepyDep, sleepyAlias, "", sleepy)
	if b.ops["a"] == 0 {
		t.Error("the tables were read again, and it is not tried once more")
	}
}

func TestADriverThatComesBackWithoutItsDeviceLeavesNoNodes(t *testing.T) {
	b := restBench(t)
	b.sleeps("b")
	b.opens("b")
	b.goes("b")
	b.after(10 * time.Second)
	effects := b.step(core.Opened{Module: "b"})
	i := slices.IndexFunc(effects, func(e core.Effect) bool { tend, ok := e.(core.Tend); return ok && tend.How == core.Uncover })
	if i < 0 {
		t.Fatalf("its nodes are left: %v", effects)
	}
	for _, e := range b.step(core.Tended{Op: effects[i].(core.Tend).Op}) {
		if p, ok := e.(core.Persist); ok && len(p.Asleep) == 0 {
			return
		}
	}
	t.Error("they are still written down")
}

func TestTheNodeOfADeviceThatWaitsIsNotTakenAwayForOneThatHasGone(t *testing.T) {
	b := &bench{t: t, m: core.New(core.DefaultLimits), ops: make(map[string]core.OpID)}
	node := []control.Opening{{Alias: "char-major-1-b", Name: "b"}}
	b.step(core.Inherited{Persist: core.Persist{
		Asleep: []control.Sleeper{{Module: "b", Openings: node, Made: true}},
		Known:  []control.Sleeper{{Module: "b", Devices: []string{"t:b"}, Openings: node}},
	}})
	b.policed(sleepyDep, sleepyAlias+"alias t:two b\nalias t:two c\n", "", "[[rule]]\nmodule = \"b\"\nstage = \"on-open\"\n")
	b.step(core.Seen{Device: rules.Device{Path: "/two", Modalias: "t:two", Driver: "c"}, Scan: 1})
	b.tended(b.step(core.Scanned{Scan: 1})) // the node may be another one's by now, so it is kept in mind
	b.goes("b")
	b.step(core.ModuleIs{Name: "b", State: control.Absent})
	b.after(time.Minute)
	b.tended(b.plug("/b", "t:b"))
	if got := b.sleepOf("b"); !strings.Contains(got, "wakes when somebody opens b") {
		t.Fatalf("it is said: %s", got)
	}
	for _, e := range b.step(core.Gone{Path: "/two"}) {
		if tend, ok := e.(core.Tend); ok && tend.How == core.Uncover {
			t.Error("its node is taken away")
		}
	}
}

func TestADriverThatIsPinnedWhileItSleepsWakes(t *testing.T) {
	b := restBench(t)
	b.sleeps("b")
	if !wakes(b.step(core.Asked{ID: 9, Request: control.PinRequest{Module: "b"}}), "b") {
		t.Error("it sleeps on")
	}
}

func TestANodeIsMadeAgainThatHasGoneWithAnotherDevice(t *testing.T) {
	b := restBench(t)
	b.sleeps("b")
	missing := false
	var mends func(effects []core.Effect) core.OpID
	mends = func(effects []core.Effect) core.OpID {
		for _, e := range effects {
			switch e := e.(type) {
			case core.LookNodes:
				return mends(b.step(core.NodesLooked{Module: e.Module, Missing: missing}))
			case core.Tend:
				if e.How == core.Mend {
					return e.Op
				}
			}
		}
		return 0
	}
	if mends(b.step(core.Gone{Path: "/other/b"})) != 0 {
		t.Error("it is there, and is made again")
	}
	missing = true
	for _, other := range []string{"/b/b", "/other/c"} { // its own, whose uevents come late, and another name's
		if mends(b.step(core.Gone{Path: other})) != 0 {
			t.Errorf("%s has gone, and it is made again", other)
		}
	}
	op := mends(b.step(core.Gone{Path: "/other/b"}))
	if op == 0 {
		t.Fatal("it is not made again")
	}
	b.step(core.Tended{Op: op, Unasked: true, Says: "no process"})
	if op = mends(b.after(time.Second)); op == 0 {
		t.Fatal("it is not tried again")
	}
	b.step(core.Tended{Op: op})
	if !wakes(b.opens("b"), "b") {
		t.Error("it does not wake")
	}
	b.step(core.Gone{Path: "/other/b"})
	b.goes("b")
	b.bound("/b", "b")
	effects := b.step(core.Opened{Module: "b", Works: []string{"char-major-1-b"}})
	if mends(effects) != 0 {
		t.Error("it is awake, and its node is made again")
	}
	b.tended(effects)
	uncovers := false
	for _, e := range b.step(core.Gone{Path: "/b"}) {
		tend, ok := e.(core.Tend)
		uncovers = uncovers || ok && tend.How == core.Uncover
	}
	if !uncovers {
		t.Error("its device has gone, and nobody takes away the node that the kernel has not made")
	}
}

// As it does for a module without an exit function.
func TestADriverThatTheKernelDoesNotLetGoIsNotTriedForEver(t *testing.T) {
	b := restBench(t)
	tries := 0
	var answer func(effects []core.Effect)
	answer = func(effects []core.Effect) {
		for _, e := range effects {
			switch e := e.(type) {
			case core.Survey:
				answer(b.step(core.Surveyed{Op: e.Op, Devices: []string{"/" + e.Module}, Openings: []control.Opening{{Alias: "char-major-1-" + e.Module, Name: e.Module}}}))
			case core.Tend:
				answer(b.step(core.Tended{Op: e.Op}))
			case core.Unload:
				tries++
				answer(b.step(core.Unloaded{Op: e.Op, Errno: syscall.EBUSY, Says: "device or resource busy"}))
			}
		}
	}
	b.step(core.Gone{Path: "/a"})
	for range 500 {
		answer(b.after(time.Minute))
	}
	if why := b.sleepOf("b"); tries != 3 || !strings.Contains(why, "taking it out was tried, and did not end well") {
		t.Errorf("it was tried %d times; it is said: %s", tries, why)
	}
}

func TestADeviceIsKnownByItsNodeAndByWhatIsBelowIt(t *testing.T) {
	b := restBench(t)
	b.sleeps("b")
	for _, subject := range []string{"b", "/dev/b", "/b/port/tty", "/sys/b/port"} {
		if s := b.why(subject); len(s.Devices) != 1 || s.Devices[0].Path != "/b" {
			t.Errorf("%s: it is told of %+v", subject, s.Devices)
		}
	}
	if _, known := b.ask(control.WhyRequest{Subject: "/dev/other"}).(control.Story); known {
		t.Error("it is told of a node that nobody knows")
	}
}

func TestTheNodesOfADriverThatCannotWakeComeBackWhenTheKernelAsksForItAgain(t *testing.T) {
	b := restBench(t)
	b.exit(b.failsToWake(), "lib", core.Counted{References: 1})
	b.after(time.Minute)
	for _, e := range b.step(core.ModuleIs{Name: "lib", State: control.Absent}) {
		look, ok := e.(core.LookNodes)
		if !ok {
			continue
		}
		for _, e := range b.step(core.NodesLooked{Module: look.Module, Missing: true}) {
			if tend, ok := e.(core.Tend); ok && tend.How == core.Mend {
				b.step(core.Tended{Op: tend.Op})
				if !wakes(b.opens("a"), "a") {
					t.Error("it does not wake")
				}
				return
			}
		}
	}
	t.Error("they do not")
}
