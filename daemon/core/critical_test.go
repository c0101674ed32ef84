package core_test

import (
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

const (
	crowdDep = "kernel/sound/a.ko:\nkernel/sound/b.ko:\nkernel/sound/c.ko:\nkernel/sound/d.ko:\nkernel/sound/e.ko: kernel/lib/base.ko\n" +
		"kernel/drivers/net/nic.ko: kernel/drivers/net/mii.ko\nkernel/drivers/net/mii.ko: \n" +
		"kernel/drivers/ata/disk.ko: kernel/lib/base.ko\nkernel/lib/base.ko:\n"
	crowdAlias = "alias t:a a\nalias t:b b\nalias t:c c\nalias t:d d\nalias t:e e\nalias t:nic nic\nalias t:disk disk\n"
)

// crowdBench is a machine whose four slots are for the taking, and the devices that its
// first scan met.
func crowdBench(t *testing.T, toml string, names ...string) *bench {
	t.Helper()
	b := newBench(t, crowdDep, crowdAlias, "")
	if toml != "" {
		b.policed(crowdDep, crowdAlias, "", toml)
		b.step(core.Scanned{Scan: 2})
	}
	for _, name := range names {
		b.step(core.Seen{Device: rules.Device{Path: "/" + name, Modalias: "t:" + name}, Scan: 3})
	}
	b.step(core.Scanned{Scan: 3})
	return b
}

func TestWhatIsCriticalGoesBeforeWhatAScanMetEarlier(t *testing.T) {
	b := crowdBench(t, "", "a", "b", "c", "d", "disk", "e", "nic")
	b.loading("base", "mii")
	b.live("mii")
	b.loading("base", "nic")
	b.live("base")
	b.loading("disk", "nic")
	b.live("nic")
	b.live("disk")
	b.loading("a", "b", "c", "d")
}

func TestACriticalLoadHoldsUpNobodyForLong(t *testing.T) {
	b := crowdBench(t, "", "a", "nic")
	b.loading("mii")
	b.after(400 * time.Millisecond)
	b.loading("mii")
	b.after(200 * time.Millisecond)
	b.loading("mii", "a")
}

func TestWhatIsCriticalNeedsNoSlotThatOthersHave(t *testing.T) {
	b := crowdBench(t, "", "a", "b", "c", "d", "e")
	b.loading("base", "a", "b", "c")
	b.step(core.Seen{Device: rules.Device{Path: "/nic", Modalias: "t:nic"}})
	b.loading("base", "a", "b", "c", "mii")
}

// base waits for a slot, for e's sake, when the disk comes that needs it.
func TestWhatSomethingCriticalNeedsIsCriticalFromThenOn(t *testing.T) {
	b := crowdBench(t, "", "a", "b", "c", "d")
	b.step(core.Seen{Device: rules.Device{Path: "/e", Modalias: "t:e"}})
	b.loading("a", "b", "c", "d")
	b.step(core.Seen{Device: rules.Device{Path: "/disk", Modalias: "t:disk"}})
	b.loading("a", "b", "c", "d", "base")
}

func TestARuleSaysOtherwiseThanTheClass(t *testing.T) {
	b := crowdBench(t, "[[rule]]\nmodule = \"c\"\nstage = \"critical\"\n[[rule]]\nclass = \"network\"\nstage = \"normal\"\n", "a", "c", "nic")
	b.loading("c")
	b.live("c")
	b.loading("a", "mii")
}

func TestAModuleSaysWhetherItIsCritical(t *testing.T) {
	b := crowdBench(t, "", "a", "disk")
	for name, want := range map[string]bool{"a": false, "disk": true, "base": true} {
		if m := b.module(name); m.Critical != want {
			t.Errorf("%s: %+v", name, m)
		}
	}
	b.live("base")
	b.live("disk")
	if m := b.module("disk"); !m.Critical || m.State != control.Live {
		t.Errorf("%+v", m)
	}
}
