package core_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

// ran ends an install command: with an exit status of its own, and with what
// the kernel then says of the module.
func (b *bench) ran(name string, says string, state control.State) []core.Effect {
	b.t.Helper()
	if b.ops[name] == 0 {
		b.t.Fatalf("no command of %s runs", name)
	}
	done := core.Done{Op: b.ops[name], Module: name, State: state}
	if says != "" {
		done.Errno, done.Says = syscall.EIO, says
	}
	delete(b.ops, name)
	return b.step(done)
}

func (b *bench) state(name string, want control.State) {
	b.t.Helper()
	if m := b.module(name); m.State != want {
		b.t.Errorf("%s is %q, want %q (%s)", name, m.State, want, m.Error)
	}
}

const saysNo = "run a: its install command says no (exit status 1)"

func TestACommandThatDoesNothingButFailForbidsAModule(t *testing.T) {
	for _, command := range []string{"/bin/false", "false", "/usr/bin/false # not on this board"} {
		b := newBench(t, plainDep, plainAlias, "install a "+command+"\n", rules.Device{Path: "/d", Modalias: "t:c"}, rules.Device{Path: "/e", Modalias: "t:a"})
		b.loading("a")
		b.ran("a", saysNo, control.Absent)
		b.loading()
		b.state("a", control.Forbidden)
		b.state("c", control.Forbidden) // which needs it
		b.result("/d", control.Refused)
		b.result("/e", control.Refused)
		if m := b.module("a"); !strings.Contains(m.Error, "says no (exit status 1) (x.conf:1: install a "+command+")") {
			t.Errorf("its error: %s", m.Error)
		}
		b.after(time.Hour)
		b.loading()
	}
}

func TestAnotherCommandThatFailsIsAFaultOfTheModule(t *testing.T) {
	for _, command := range []string{"modprobe -i a", "test -e /etc/a && false", "/bin/false || modprobe -i a", ""} {
		b := newBench(t, plainDep, plainAlias, "install a exit 1 "+command+"\n", rules.Device{Path: "/d", Modalias: "t:c"})
		b.ran("a", saysNo, control.Absent)
		b.loading()
		b.state("a", control.Broken)
		b.result("/d", control.Failed)
	}
}

func TestACommandThatEndsWellCountsForWhatNeedsTheModule(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "install a /bin/true\n", rules.Device{Path: "/d", Modalias: "t:c"}, rules.Device{Path: "/e", Modalias: "t:a"})
	b.ran("a", "", control.Absent)
	b.state("a", control.Stood)
	b.loading("c")
	b.live("c")
	b.result("/d", control.Unbound)
	b.result("/e", control.Unbound)
	if s := b.ask(control.StatusRequest{}).(control.Status); !s.Settled {
		t.Errorf("not settled: %+v", s)
	}
}

func TestACommandRunsAgainForANewDeviceAndForNewRules(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "install a /bin/true\n", rules.Device{Path: "/d", Modalias: "t:a"})
	b.ran("a", "", control.Absent)
	b.rules(plainDep, plainAlias, "install a /bin/true\n")
	b.loading()
	b.plug("/e", "t:a")
	b.loading("a")
	b.ran("a", "", control.Absent)
	b.rules(plainDep, plainAlias, "")
	b.loading("a")
	b.live("a")
	b.state("a", control.Live)
}

func TestACommandThatLoadsItsModuleIsALoad(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "install a modprobe -i a\n", rules.Device{Path: "/d", Modalias: "t:c"})
	b.ran("a", "", control.Live)
	b.state("a", control.Live)
	if !b.module("a").Ours {
		t.Error("it is not ours")
	}
	b.loading("c")
}

// Its uevent may come long before its end, which then changes nothing.
func TestWhatNeedsAModuleDoesNotWaitForTheRestOfItsCommand(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "install a modprobe -i a; sleep 5; false\n", rules.Device{Path: "/d", Modalias: "t:c"})
	b.step(core.ModuleIs{Name: "a", State: control.Live})
	if b.ops["c"] == 0 {
		t.Error("c waits")
	}
	effects := b.ran("a", saysNo, control.Live)
	b.state("a", control.Live)
	for _, e := range effects {
		if note, ok := e.(core.Note); ok && note.What == "said" && strings.Contains(note.Reasons[0].Says, saysNo) {
			return
		}
	}
	t.Errorf("nothing is said of how it ended: %+v", effects)
}

func TestACommandThatHangsHoldsUpNothingElse(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "install a sleep 1000\n", rules.Device{Path: "/d", Modalias: "t:c"})
	b.after(time.Second)
	if s := b.ask(control.StatusRequest{}).(control.Status); !s.Settled {
		t.Errorf("not settled: %+v", s)
	}
	b.plug("/e", "t:b")
	if b.ops["b"] == 0 {
		t.Error("b waits")
	}
	b.ran("a", "run a: its install command has not ended after 1m0s and was killed, with its process group", control.Absent)
	b.state("a", control.Broken)
}

func TestWhatACommandLeavesBehindIsWaitedForOnce(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "install a modprobe -i a &\n", rules.Device{Path: "/d", Modalias: "t:a"})
	b.ran("a", "", control.Coming)
	b.loading()
	b.step(core.ModuleIs{Name: "a", State: control.Absent})
	b.loading("a") // it failed: once more
	b.ran("a", "", control.Coming)
	b.loading()
	b.state("a", control.Stood)
	b.step(core.ModuleIs{Name: "a", State: control.Live})
	b.state("a", control.Live)
}
