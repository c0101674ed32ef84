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
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

// A bench drives one machine step by step.
type bench struct {
	t   *testing.T
	m   *core.Machine
	now time.Duration
	ops map[string]core.OpID // loads under way, by module
}

// newBench starts a machine with tables, whose first scan meets devices.
func newBench(t *testing.T, dep, alias, conf string, devices ...rules.Device) *bench {
	t.Helper()
	b := &bench{t: t, m: core.New(core.Limits{Slots: 4, Patience: time.Second}), ops: make(map[string]core.OpID)}
	b.rules(dep, alias, conf)
	for _, d := range devices {
		b.step(core.Seen{Device: d, Scan: 1})
	}
	b.step(core.Scanned{Scan: 1})
	return b
}

func (b *bench) rules(dep, alias, conf string) {
	b.t.Helper()
	b.policed(dep, alias, conf, "")
}

// policed gives the machine rules with a kmodd.toml.
func (b *bench) policed(dep, alias, conf, toml string) {
	b.t.Helper()
	tables, err := match.Parse("/lib/modules/test", map[string]string{"modules.dep": dep, "modules.alias": alias})
	if err != nil {
		b.t.Fatal(err)
	}
	p := policy.Parse(policy.File{Name: "k.toml", Text: toml})
	config := modprobed.Parse("", modprobed.File{Name: "x.conf", Text: conf})
	b.step(core.NewRules{Set: rules.NewSet(tables, config, rules.WithPolicy(p))})
}

// step tells the machine something and notes which loads it asks for.
func (b *bench) step(e core.Event) []core.Effect {
	effects := b.m.Step(b.now, e, nil)
	for _, effect := range effects {
		if load, ok := effect.(core.Load); ok {
			b.ops[load.Step.Module] = load.Op
		}
	}
	return effects
}

// loading checks which loads are under way.
func (b *bench) loading(want ...string) {
	b.t.Helper()
	for _, name := range want {
		if b.ops[name] == 0 {
			b.t.Errorf("%s is not being loaded", name)
		}
	}
	if len(b.ops) != len(want) {
		b.t.Errorf("loads under way: %v, want %v", b.ops, want)
	}
}

// live ends a load well.
func (b *bench) live(name string) {
	b.step(core.ModuleIs{Name: name, State: control.Live})
	b.step(core.Done{Op: b.ops[name]})
	delete(b.ops, name)
}

const plainDep = "a.ko:\nb.ko:\nc.ko: a.ko\n"

func TestRulesAboutVariablesDecideWhenAScanHasReadThem(t *testing.T) {
	disk := rules.Device{Path: "/d", Modalias: "t:c", Env: []string{"DEVTYPE=disk"}}
	tape := rules.Device{Path: "/t", Modalias: "t:c", Env: []string{"DEVTYPE=tape"}}
	bare := func(d rules.Device) rules.Device { d.Env = nil; return d }
	b := newBench(t, plainDep, plainAlias, "blacklist c\n", bare(disk), bare(tape))
	b.result("/d", control.Refused)
	b.policed(plainDep, plainAlias, "", "[[rule]]\nenv = { DEVTYPE = \"disk\" }\nstage = \"manual\"")
	b.loading()
	b.step(core.Seen{Device: disk, Scan: 2})
	b.step(core.Seen{Device: tape, Scan: 2})
	b.loading()
	b.step(core.Scanned{Scan: 2})
	b.loading("a")
	b.result("/d", control.Refused)
	b.result("/t", control.Loading)
}

func TestDriversThatCompeteForADeviceAreLoadedInTurn(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\nalias t:1 b\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	b.loading("a")
	b.live("a")
	b.loading("b")
}

// They need a module whose load is slow: they wait for it either way, so there
// is no reason to give up their order.
func TestTheOrderOfDriversOutlastsASlowLoadThatTheyNeed(t *testing.T) {
	b := newBench(t, "a.ko:\nb.ko: a.ko\nc.ko: a.ko\n", "alias t:1 b\nalias t:1 c\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	b.loading("a")
	b.after(time.Second)
	b.live("a")
	b.loading("b")
	b.live("b")
	b.loading("c")
}

func TestInterfacesOfOneUSBDeviceAreServedInTheirOrder(t *testing.T) {
	alias := "alias t:first c\nalias t:second b\n"
	first := rules.Device{Path: "/usb1/1-1/1-1:1.0", Subsystem: "usb", Modalias: "t:first"}
	second := rules.Device{Path: "/usb1/1-1/1-1:1.1", Subsystem: "usb", Modalias: "t:second"}
	b := newBench(t, plainDep, alias, "", second, first)
	b.loading("a")
	b.live("a")
	b.loading("c")
	b.live("c")
	b.loading("b")
}

// fails ends a load badly.
func (b *bench) fails(name string, errno syscall.Errno) []core.Effect {
	effects := b.step(core.Done{Op: b.ops[name], Errno: errno, Says: name + " says " + errno.Error()})
	if after := b.ops[name]; after != 0 && !loads(effects, name) {
		delete(b.ops, name)
	}
	return effects
}

func loads(effects []core.Effect, name string) bool {
	for _, e := range effects {
		if load, ok := e.(core.Load); ok && load.Step.Module == name {
			return true
		}
	}
	return false
}

// after lets time pass.
func (b *bench) after(d time.Duration) []core.Effect {
	b.now += d
	return b.step(core.Tick{})
}

// plug tells of a device as a uevent does.
func (b *bench) plug(path, modalias string) []core.Effect {
	return b.step(core.Seen{Device: rules.Device{Path: path, Modalias: modalias}})
}

// ask has the machine answer.
func (b *bench) ask(r control.Request) any {
	b.t.Helper()
	for _, e := range b.step(core.Asked{ID: 7, Request: r}) {
		if reply, ok := e.(core.Reply); ok && reply.ID == 7 {
			if reply.Err != nil {
				return reply.Err
			}
			return reply.Value
		}
	}
	b.t.Fatalf("no reply to %T", r)
	return nil
}

// result checks what has become of a device.
func (b *bench) result(path string, want control.Result) {
	b.t.Helper()
	for _, d := range b.ask(control.DevicesRequest{}).([]control.Device) {
		if d.Path == path {
			if d.Result != want {
				b.t.Errorf("%s is %q, want %q", path, d.Result, want)
			}
			return
		}
	}
	b.t.Errorf("%s is not known", path)
}

// module returns what is known of a module.
func (b *bench) module(name string) control.Module {
	for _, m := range b.ask(control.ModulesRequest{}).([]control.Module) {
		if m.Name == name {
			return m
		}
	}
	return control.Module{Name: name, State: control.Absent}
}

const plainAlias = "alias t:a a\nalias t:b b\nalias t:c c\n"

func TestOneLoadHoweverManyDevicesAsk(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "",
		rules.Device{Path: "/d1", Modalias: "t:a"}, rules.Device{Path: "/d2", Modalias: "t:a"})
	b.loading("a")
	if loads(b.plug("/d3", "t:a"), "a") {
		t.Error("a is loaded a second time while its load is under way")
	}
	b.live("a")
	if loads(b.plug("/d4", "t:a"), "a") {
		t.Error("a is loaded though it is live")
	}
}

func TestDependentsGoOnWhenTheModuleIsLiveAndNotWhenTheCallReturns(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:c"})
	b.loading("a")
	if !loads(b.step(core.ModuleIs{Name: "a", State: control.Live}), "c") {
		t.Error("c waits for a call that has done its work")
	}
}

func TestACallThatHangsHoldsUpNothingUnrelated(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "")
	for _, path := range []string{"/d1", "/d2", "/d3", "/d4"} {
		b.plug(path, "t:"+path[1:])
	}
	alias := "alias t:a a\nalias t:b b\nalias t:c c\nalias t:d d\nalias t:e e\nalias t:f f\n"
	b = newBench(t, "a.ko:\nb.ko:\nc.ko:\nd.ko:\ne.ko:\nf.ko: a.ko\n", alias, "")
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		b.plug("/"+name, "t:"+name)
	}
	b.loading("a", "b", "c", "d") // all four slots
	effects := b.after(time.Second)
	if !loads(effects, "e") {
		t.Error("e still waits for a slot")
	}
	if loads(effects, "f") {
		t.Error("f does not wait for a, which it needs")
	}
	b.result("/f", control.Loading)
	if !loads(b.step(core.ModuleIs{Name: "a", State: control.Live}), "f") {
		t.Error("a is live after all, and f is not loaded")
	}
}

func TestAFailureIsPassedOnWithItsReason(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:c"})
	b.fails("a", syscall.ENOEXEC)
	b.result("/d", control.Failed)
	if m := b.module("c"); m.State != control.Broken || !strings.Contains(m.Error, "needs a: a says exec format error") {
		t.Errorf("c is %s: %s", m.State, m.Error)
	}
}

func TestADriverHasItsDeviceWhenItsProbeHasEnded(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.step(core.Looked{Path: "/d", Driver: "a", Probing: true})
	b.result("/d", control.Loading)
	b.after(time.Hour)
	b.result("/d", control.Loading)
	if !looksAt(b.step(core.ModuleIs{Name: "a", State: control.Live}), "/d") {
		t.Error("a is live, and nobody looks whether it has kept the device")
	}
	b.step(core.Looked{Path: "/d", Driver: "a"})
	b.result("/d", control.Bound)
}

func TestADriverWithoutHardwareHasNotFailed(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.fails("a", syscall.ENODEV)
	b.result("/d", control.Unbound)
	if m := b.module("a"); m.State != control.Declined {
		t.Errorf("a is %s", m.State)
	}
}

func TestAFailedModuleIsTriedAgainForTheNextDeviceAndUnderNewRulesOnly(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.fails("a", syscall.ENOEXEC)
	if effects := b.after(time.Hour); loads(effects, "a") {
		t.Error("a is tried again without a reason")
	}
	if !loads(b.plug("/e", "t:a"), "a") {
		t.Error("a is not tried again for a new device")
	}
	b.fails("a", syscall.ENOEXEC)
	b.rules(plainDep, plainAlias, "")
	b.loading("a")
}

func TestBusyIsTriedOnceMore(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.fails("a", syscall.EBUSY)
	b.loading()
	asked := false
	for _, e := range b.after(200 * time.Millisecond) {
		_, is := e.(core.LookModule)
		asked = asked || is
	}
	if !asked {
		t.Fatal("it does not look what has become of the other load")
	}
	b.step(core.ModuleIs{Name: "a", State: control.Absent})
	b.loading("a")
	b.fails("a", syscall.EBUSY)
	b.loading()
	b.result("/d", control.Failed)
}

// The kernel refuses it then, for its symbols are not there (ENOENT).
func TestALoadThatLostWhatItNeedsOnTheWayIsTriedAgain(t *testing.T) {
	for _, back := range []bool{false, true} {
		b := newBench(t, plainDep, "alias t:1 c\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
		b.live("a")
		b.now += time.Millisecond
		b.loading("c")
		b.step(core.ModuleIs{Name: "a", State: control.Absent})
		if b.now += time.Millisecond; back {
			b.step(core.ModuleIs{Name: "a", State: control.Live}) // by somebody else
		}
		b.fails("c", syscall.ENOENT)
		if !back {
			b.loading("a")
			b.live("a")
		}
		b.loading("c")
		b.fails("c", syscall.ENOENT)
		b.loading()
	}
}

func TestWhatSomebodyTakesOutStaysOutUntilADeviceComes(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.live("a")
	b.step(core.ModuleIs{Name: "a", State: control.Absent})
	b.step(core.Asked{ID: 1, Request: control.RescanRequest{}})
	b.step(core.Seen{Device: rules.Device{Path: "/d", Modalias: "t:a"}, Scan: 2})
	b.step(core.Scanned{Scan: 2})
	b.loading()
	b.step(core.Gone{Path: "/d"})
	b.plug("/d", "t:a")
	b.loading("a")
}

func TestAfterALossTheScanSaysWhatIsThere(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.live("a")
	b.step(core.Lost{})
	b.step(core.ModuleIs{Name: "a", State: control.Live, Scan: 2})
	b.step(core.Seen{Device: rules.Device{Path: "/e", Modalias: "t:b"}, Scan: 2})
	b.step(core.Scanned{Scan: 2})
	b.loading("b")
	if got := len(b.ask(control.DevicesRequest{}).([]control.Device)); got != 1 {
		t.Errorf("%d devices are known, one is there", got)
	}
}

func TestAScanThatSkippedSomethingForgetsNothing(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.step(core.Lost{})
	b.step(core.Scanned{Scan: 2, Skipped: 1})
	b.result("/d", control.Loading)
}

func TestABlacklistIsObeyedAndNamed(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "blacklist a\n", rules.Device{Path: "/d", Modalias: "t:a"})
	b.loading()
	b.result("/d", control.Refused)
	story := b.ask(control.WhyRequest{Subject: "/sys/d"}).(control.Story)
	want := []control.Refusal{{Module: "a", Because: []control.Reason{
		{Source: "/lib/modules/test/modules.alias", Line: 1, Says: "alias t:a a"},
		{Source: "x.conf", Line: 1, Says: "blacklist a"},
	}}}
	if diff := cmp.Diff(want, story.Devices[0].Refused); diff != "" {
		t.Error(diff)
	}
}

func TestSoftdepsThatWaitForEachOtherAreLetGo(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "softdep a pre: b\nsoftdep b pre: a\n",
		rules.Device{Path: "/d", Modalias: "t:a"}, rules.Device{Path: "/e", Modalias: "t:b"})
	for range 2 {
		for name := range b.ops {
			b.live(name)
			break
		}
	}
	if a, other := b.module("a"), b.module("b"); a.State != control.Live || other.State != control.Live {
		t.Errorf("a is %s, b is %s", a.State, other.State)
	}
}

func TestModulesThatNeedEachOtherFailAndHoldUpNothing(t *testing.T) {
	b := newBench(t, "a.ko: b.ko\nb.ko: a.ko\nc.ko:\n", plainAlias, "",
		rules.Device{Path: "/d", Modalias: "t:a"}, rules.Device{Path: "/e", Modalias: "t:c"})
	b.loading("b", "c") // the kernel is asked: the tables may be wrong
	b.live("c")
	b.fails("b", syscall.ENOENT)
	b.loading()
	b.result("/d", control.Failed)
}

func TestWhyTellsOfAModaliasThatNoDeviceHas(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "")
	story := b.ask(control.WhyRequest{Subject: "t:c"}).(control.Story)
	if len(story.Devices) != 1 || !slices.Equal(story.Devices[0].Modules, []string{"c"}) {
		t.Errorf("it tells %+v", story)
	}
	if err, ok := b.ask(control.WhyRequest{Subject: "nothing"}).(error); !ok || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("of an unknown name it says %v", err)
	}
}

func TestADeviceThatMovesKeepsWhatIsKnownOfIt(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "",
		rules.Device{Path: "/net/eth0/x", Modalias: "t:a"}, rules.Device{Path: "/net/eth01", Modalias: "t:b"})
	b.step(core.Bound{Path: "/net/eth0/x", Driver: "a"})
	b.step(core.Moved{From: "/net/eth0", To: "/net/lan"})
	b.result("/net/lan/x", control.Bound)
	b.result("/net/eth01", control.Loading)
}

func TestADeferredDeviceIsSaidToWait(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	b.live("a")
	b.step(core.Looked{Path: "/d", Deferred: true})
	b.result("/d", control.Deferred)
	b.step(core.Bound{Path: "/d", Driver: "a"})
	b.result("/d", control.Bound)
}

func TestARescanIsAnsweredWhenItIsOver(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "")
	replies := func(effects []core.Effect) (n int) {
		for _, e := range effects {
			if _, ok := e.(core.Reply); ok {
				n++
			}
		}
		return n
	}
	if n := replies(b.step(core.Asked{ID: 3, Request: control.RescanRequest{}})); n != 0 {
		t.Error("answered before the scan")
	}
	if n := replies(b.step(core.Scanned{Scan: 2})); n != 1 {
		t.Errorf("%d replies at the end of the scan", n)
	}
}

func TestALoadThatCouldNotBeginIsTriedAgain(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "", rules.Device{Path: "/d", Modalias: "t:a"})
	for _, pause := range []time.Duration{100, 200, 400} {
		b.step(core.Done{Op: b.ops["a"], Errno: syscall.EAGAIN, Says: "no process", Unasked: true})
		delete(b.ops, "a")
		b.result("/d", control.Loading)
		b.after(pause*time.Millisecond - 1)
		b.loading()
		b.after(1)
		b.loading("a")
	}
	b.live("a")
	b.result("/d", control.Unbound)
}

func TestWhyTellsOfAModuleThatIsOutWhyItIs(t *testing.T) {
	b := newBench(t, plainDep, plainAlias, "blacklist a\n", rules.Device{Path: "/d", Modalias: "t:a"})
	story := b.ask(control.WhyRequest{Subject: "a"}).(control.Story)
	if len(story.Devices) != 1 || len(story.Devices[0].Refused) == 0 {
		t.Errorf("of a module that was refused it tells %+v", story)
	}
	story = b.ask(control.WhyRequest{Subject: "b"}).(control.Story)
	if len(story.Modules) != 1 || story.Modules[0].State != control.Absent {
		t.Errorf("of a module that nothing asked for it tells %+v", story)
	}
}

// looksAt tells whether the effects ask what has become of a device.
func looksAt(effects []core.Effect, path string) bool {
	return slices.ContainsFunc(effects, func(e core.Effect) bool {
		look, ok := e.(core.Look)
		return ok && look.Path == path
	})
}

func TestADeviceThatNoDriverTookIsLookedAtAgainAFewTimesAndThenNoMore(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	b.live("a")
	b.step(core.Looked{Path: "/d"})
	looks := 0
	for {
		at, ok := b.m.Deadline()
		if !ok {
			break
		}
		if looks++; looks > 10 {
			t.Fatal("it is looked at for ever")
		}
		if !looksAt(b.after(at-b.now), "/d") {
			t.Fatalf("it is not looked at after %v", at)
		}
		b.step(core.Looked{Path: "/d"})
	}
	if looks < 2 || b.now < 10*time.Second {
		t.Errorf("%d more looks, the last one after %v", looks, b.now)
	}
}

func TestADeviceThatADriverTookIsNotLookedAtAgain(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	b.live("a")
	b.step(core.Looked{Path: "/d"})
	b.step(core.Bound{Path: "/d", Driver: "a"})
	if at, ok := b.m.Deadline(); ok {
		t.Errorf("something is to happen after %v", at)
	}
}

// noted returns what the last note of a word says.
func noted(effects []core.Effect, what string) (reasons []control.Reason) {
	for _, e := range effects {
		if n, ok := e.(core.Note); ok && n.What == what {
			reasons = n.Reasons
		}
	}
	return reasons
}

func TestWhatTheKernelSaidOfAFailedLoadIsKeptUntilTheNextOne(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	said := []string{"a: it burns", "a: it still burns"}
	effects := b.step(core.Done{Op: b.ops["a"], Errno: syscall.EIO, Says: "load a: EIO", Log: said})
	want := []control.Reason{{Source: "kernel", Says: "load a: EIO"}, {Source: control.KernelLog, Says: said[0]}, {Source: control.KernelLog, Says: said[1]}}
	if got := noted(effects, "failed"); !slices.Equal(got, want) {
		t.Errorf("noted: %v", got)
	}
	if got := b.ask(control.WhyRequest{Subject: "a"}).(control.Story).Modules[0].Log; !slices.Equal(got, said) {
		t.Errorf("why: %q", got)
	}
	b.plug("/e", "t:1")
	b.live("a")
	if got := b.ask(control.WhyRequest{Subject: "a"}).(control.Story).Modules[0].Log; got != nil {
		t.Errorf("why, after a load that went well: %q", got)
	}
}

func TestWhatTheKernelSaidOfADeviceIsToldOnceAndKeptUntilADriverHasIt(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	b.live("a")
	said := []string{"a d: no answer"}
	if got := noted(b.step(core.Looked{Path: "/d", Log: said}), "not taken"); len(got) != 1 || got[0].Says != said[0] {
		t.Errorf("noted: %v", got)
	}
	if got := noted(b.step(core.Looked{Path: "/d", Log: said}), "not taken"); got != nil {
		t.Errorf("noted again: %v", got)
	}
	if got := b.ask(control.WhyRequest{Subject: "/d"}).(control.Story).Devices[0].Log; !slices.Equal(got, said) {
		t.Errorf("why: %q", got)
	}
	b.step(core.Bound{Path: "/d", Driver: "a"})
	if got := b.ask(control.WhyRequest{Subject: "/d"}).(control.Story).Devices[0].Log; got != nil {
		t.Errorf("why, of a device with a driver: %q", got)
	}
}

func TestWhatTheKernelSaidOfALoadThatWentWellIsANote(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	if got := noted(b.step(core.Done{Op: b.ops["a"], Module: "a", Log: []string{"a: hello"}}), "said"); len(got) != 1 || got[0].Says != "a: hello" {
		t.Errorf("noted: %v", got)
	}
}

// probes returns the probes among effects.
func probes(effects []core.Effect) (found []core.Probe) {
	for _, e := range effects {
		if p, ok := e.(core.Probe); ok {
			found = append(found, p)
		}
	}
	return found
}

func TestFirmwareThatWasThereInVainCountsWhenItChanges(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Subsystem: "t", Modalias: "t:1"})
	b.live("a")
	lacks := core.Looked{Path: "/d", Firmware: []string{"a.bin"}}
	b.step(lacks)
	first := probes(b.step(core.FirmwareFound{Name: "a.bin"}))
	if len(first) != 1 || first[0].Path != "/d" || first[0].Subsystem != "t" {
		t.Fatalf("probes: %v", first)
	}
	if !looksAt(b.step(core.Probed{Op: first[0].Op}), "/d") {
		t.Error("after the probe nobody looks")
	}
	b.step(lacks) // the kernel can't read it
	if got := probes(b.step(core.FirmwareFound{Name: "a.bin"})); got != nil {
		t.Errorf("the same file again: %v", got)
	}
	if got := probes(b.step(core.FirmwareFound{Name: "a.bin", Changed: true})); len(got) != 1 {
		t.Errorf("another file: %v", got)
	}
}

func TestProbesThatHangHoldUpOthersForAsLongAsLoadsDo(t *testing.T) {
	var devices []rules.Device
	for _, path := range []string{"/d1", "/d2", "/d3", "/d4", "/d5", "/d6"} {
		devices = append(devices, rules.Device{Path: path, Modalias: "t:1"})
	}
	b := newBench(t, plainDep, "alias t:1 a\n", "", devices...)
	b.live("a")
	for _, d := range devices {
		b.step(core.Looked{Path: d.Path, Firmware: []string{"a.bin"}})
	}
	first := probes(b.step(core.FirmwareFound{Name: "a.bin", Changed: true}))
	if len(first) != 4 {
		t.Fatalf("%d probes at once, want one for each slot", len(first))
	}
	if next := probes(b.step(core.Probed{Op: first[0].Op})); len(next) != 1 || next[0].Path != "/d5" {
		t.Errorf("after the first: %v", next)
	}
	gone := b.step(core.Gone{Path: "/d5"})
	if next := probes(gone); len(next) != 1 || next[0].Path != "/d6" || !slices.Contains(gone, core.Effect(core.Abandon{Op: first[0].Op + 4})) {
		t.Errorf("when one is unplugged: %v", gone)
	}
	effects := b.after(time.Second)
	abandoned := 0
	for _, e := range effects {
		if _, ok := e.(core.Abandon); ok {
			abandoned++
		}
	}
	if slow := noted(effects, "slow"); abandoned != 4 || len(slow) == 0 {
		t.Errorf("abandoned %d probes that hang, saying %v", abandoned, slow)
	}
	if next := probes(b.step(core.FirmwareFound{Name: "b.bin"})); next != nil {
		t.Errorf("and then: %v", next)
	}
}

func TestFirmwareIsAwaitedForAsLongAsADeviceLacksIt(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	b.live("a")
	awaits := func(effects []core.Effect) (names []string, asked bool) {
		for _, e := range effects {
			if await, ok := e.(core.AwaitFirmware); ok {
				return await.Names, true
			}
		}
		return nil, false
	}
	if names, asked := awaits(b.step(core.Looked{Path: "/d", Firmware: []string{"b.bin", "a.bin", "b.bin"}})); !asked || !slices.Equal(names, []string{"a.bin", "b.bin"}) {
		t.Errorf("awaited: %q, %v", names, asked)
	}
	if names, asked := awaits(b.step(core.Bound{Path: "/d", Driver: "a"})); !asked || len(names) > 0 {
		t.Errorf("awaited, when a driver has the device: %q, %v", names, asked)
	}
}

func TestFirmwareThatModulesNameCountsWhereTheKernelIsSilent(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	b.step(core.Done{Op: b.ops["a"], Module: "a", Firmware: []string{"a.bin"}})
	b.step(core.Looked{Path: "/d", Log: []string{"a d: burnt"}})
	lacks := func() []string { return b.ask(control.WhyRequest{Subject: "/d"}).(control.Story).Devices[0].Firmware }
	if got := lacks(); got != nil {
		t.Errorf("the kernel has said something else: %q", got)
	}
	b.step(core.Looked{Path: "/d"})
	if got := lacks(); !slices.Equal(got, []string{"a.bin"}) {
		t.Errorf("the kernel is silent: %q", got)
	}
}
