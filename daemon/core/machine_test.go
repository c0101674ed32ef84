package core_test

import (
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
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
	tables, err := match.Parse("/lib/modules/test", map[string]string{"modules.dep": dep, "modules.alias": alias})
	if err != nil {
		b.t.Fatal(err)
	}
	b.step(core.NewRules{Set: rules.NewSet(tables, modprobed.Parse("", modprobed.File{Name: "x.conf", Text: conf}))})
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

func TestDriversThatCompeteForADeviceAreLoadedInTurn(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\nalias t:1 b\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	b.loading("a")
	b.live("a")
	b.loading("b")
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
