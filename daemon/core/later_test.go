package core_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

const (
	laterDep   = "kernel/sound/card.ko: kernel/sound/snd.ko\nkernel/sound/snd.ko:\nkernel/sound/other.ko: kernel/sound/snd.ko\nkernel/drivers/net/nic.ko:\nkernel/drivers/regulator/pmic.ko:\nkernel/sound/extra.ko:\n"
	laterAlias = "alias t:card card\nalias t:other other\nalias t:nic nic\nalias t:pmic pmic\n"
	soundLater = "[[rule]]\nclass = \"sound\"\nstage = \"deferred\"\n"
)

// laterBench is a machine whose first scan has met a sound card and a network card.
func laterBench(t *testing.T, toml string) *bench {
	t.Helper()
	b := &bench{t: t, m: core.New(core.Limits{Slots: 4, Patience: time.Second}), ops: make(map[string]core.OpID)}
	b.policed(laterDep, laterAlias, "", toml)
	for _, name := range []string{"card", "nic"} {
		b.step(core.Seen{Device: rules.Device{Path: "/" + name, Modalias: "t:" + name}, Scan: 1})
	}
	b.now = 10 * time.Second
	b.step(core.Scanned{Scan: 1})
	return b
}

func TestWhatIsDeferredWaitsForTheEndOfTheBoot(t *testing.T) {
	b := laterBench(t, soundLater)
	b.loading("nic")
	b.live("nic")
	b.loading()
	b.result("/card", control.HeldBack)
	if w := b.ask(control.WhyRequest{Subject: "/card"}).(control.Story).Devices[0]; w.WaitsFor != "the end of the boot (kmodctl boot-complete)" {
		t.Errorf("%q", w.WaitsFor)
	}
	b.ask(control.ReleaseRequest{Name: "boot-complete"})
	b.loading("snd")
	b.live("snd")
	b.loading("card")
	b.result("/card", control.Loading)
	b.live("card")
	b.plug("/other", "t:other")
	b.loading("other")
}

func TestTheNextDaemonKnowsThatTheBootHasEnded(t *testing.T) {
	b := laterBench(t, soundLater)
	var told core.Persist
	for _, e := range b.step(core.Asked{ID: 1, Request: control.ReleaseRequest{Name: "boot-complete"}}) {
		if p, ok := e.(core.Persist); ok {
			told = p
		}
	}
	next := &bench{t: t, m: core.New(core.DefaultLimits), ops: make(map[string]core.OpID)}
	next.step(core.Inherited{Persist: told})
	next.policed(laterDep, laterAlias, "", soundLater)
	next.step(core.Seen{Device: rules.Device{Path: "/card", Modalias: "t:card"}, Scan: 1})
	next.step(core.Scanned{Scan: 1})
	next.loading("snd")
}

func TestWhatIsDeferredForATimeWaitsSoLongAfterTheFirstScan(t *testing.T) {
	b := laterBench(t, soundLater+"after = \"5s\"\n")
	b.live("nic")
	b.after(4 * time.Second)
	b.loading()
	if at, ok := b.m.Deadline(); !ok || at != 15*time.Second {
		t.Errorf("deadline %v %v", at, ok)
	}
	b.after(time.Second)
	b.loading("snd")
}

func TestWhatIsDeferredForAFileWaitsForThat(t *testing.T) {
	b := &bench{t: t, m: core.New(core.DefaultLimits), ops: make(map[string]core.OpID)}
	b.policed(laterDep, laterAlias, "", soundLater+"after = \"/run/go\"\n")
	b.step(core.Seen{Device: rules.Device{Path: "/card", Modalias: "t:card"}, Scan: 1})
	effects := b.step(core.Scanned{Scan: 1})
	if !slices.ContainsFunc(effects, func(e core.Effect) bool {
		a, ok := e.(core.AwaitPaths)
		return ok && slices.Equal(a.Paths, []string{"/run/go"})
	}) {
		t.Errorf("%v", effects)
	}
	effects = b.step(core.PathThere{Path: "/run/go"})
	b.loading("snd")
	if !slices.ContainsFunc(effects, func(e core.Effect) bool {
		a, ok := e.(core.AwaitPaths)
		return ok && len(a.Paths) == 0
	}) {
		t.Errorf("it is still looked for: %v", effects)
	}
}

func TestSomebodyWhoAsksForADeferredModuleHasIt(t *testing.T) {
	b := laterBench(t, soundLater+"after = \"request\"\n")
	b.live("nic")
	b.ask(control.ReleaseRequest{Name: "boot-complete"})
	b.loading()
	for _, name := range []string{"nic", "nothing"} {
		if err, ok := b.ask(control.ReleaseRequest{Name: name}).(error); !ok || !errors.As(err, new(*control.Error)) {
			t.Errorf("%s waits: %v", name, err)
		}
	}
	b.ask(control.ReleaseRequest{Name: "card"})
	b.loading("snd")
}

func TestWhatSomethingElseNeedsIsNotDeferred(t *testing.T) {
	b := laterBench(t, "[[rule]]\nmodule = [\"card\", \"snd\"]\nstage = \"deferred\"\n")
	b.live("nic")
	b.loading()
	b.plug("/other", "t:other")
	b.loading("snd")
	b.live("snd")
	b.loading("other")
	b.result("/card", control.HeldBack)
}

func TestWhatOthersRestOnIsNotDeferred(t *testing.T) {
	b := laterBench(t, "[[rule]]\nmodule = [\"pmic\", \"card\"]\nstage = \"deferred\"\n")
	b.live("nic")
	b.plug("/pmic", "t:pmic")
	b.loading("pmic")
	b.result("/card", control.HeldBack)
}

// The network card's probe is put off, for it lacks a supplier.
func TestASupplierThatAnotherDeviceNeedsIsNotDeferred(t *testing.T) {
	b := laterBench(t, soundLater)
	b.live("nic")
	b.loading()
	var asked []string
	b.now += 2 * time.Second
	for _, e := range b.step(core.Tick{}) {
		if look, ok := e.(core.LookForSuppliers); ok {
			asked = look.Held
		}
	}
	if !slices.Contains(asked, "/card") || slices.Contains(asked, "/nic") {
		t.Errorf("asked about %v", asked)
	}
	b.step(core.Supplying{Needs: []core.Need{{Device: "/nic", Supplier: "/unknown"}, {Device: "/nic", Supplier: "/card"}}})
	b.loading("snd")
}

func TestAModuleThatSomebodyElseHasPutInIsNotHeldBackAnyMore(t *testing.T) {
	b := laterBench(t, soundLater)
	b.live("nic")
	b.step(core.ModuleIs{Name: "snd", State: control.Live})
	b.result("/card", control.HeldBack)
	b.step(core.ModuleIs{Name: "card", State: control.Live})
	b.result("/card", control.Unbound)
}

func TestARuleThatDefersNoMoreReleases(t *testing.T) {
	b := laterBench(t, soundLater)
	b.live("nic")
	b.policed(laterDep, laterAlias, "", "")
	b.loading("snd")
}

func TestADeviceThatIsPulledOutWaitsForNothing(t *testing.T) {
	b := laterBench(t, soundLater+"after = \"5s\"\n")
	b.live("nic")
	b.step(core.Gone{Path: "/card"})
	if at, ok := b.m.Deadline(); ok && at <= 15*time.Second {
		t.Errorf("deadline %v", at)
	}
	b.after(10 * time.Second)
	b.loading()
}

func TestDeferredLoadsAreFewAtATime(t *testing.T) {
	b := &bench{t: t, m: core.New(core.DefaultLimits), ops: make(map[string]core.OpID)}
	dep, alias := "", ""
	for _, name := range []string{"a", "b", "c", "d"} {
		dep += "kernel/sound/" + name + ".ko:\n"
		alias += "alias t:" + name + " " + name + "\n"
	}
	b.policed(dep, alias, "", soundLater)
	for _, name := range []string{"a", "b", "c", "d"} {
		b.step(core.Seen{Device: rules.Device{Path: "/" + name, Modalias: "t:" + name}, Scan: 1})
	}
	b.step(core.Scanned{Scan: 1})
	b.ask(control.ReleaseRequest{Name: "boot-complete"})
	b.loading("a", "b")
	b.live("a")
	b.loading("b", "c")
}
