package core_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

const (
	asideDep = "kernel/drivers/misc/gpu.ko: kernel/lib/core.ko kernel/lib/base.ko\nkernel/lib/core.ko: kernel/lib/base.ko\nkernel/lib/base.ko:\n" +
		"kernel/drivers/misc/solo.ko:\nkernel/drivers/misc/solo2.ko:\n" +
		"kernel/drivers/net/nic.ko:\nkernel/drivers/net/nic2.ko:\nkernel/drivers/net/nic3.ko: kernel/lib/base.ko\n"
	asideAlias = "alias t:gpu gpu\nalias t:solo solo\nalias t:two solo\nalias t:two solo2\nalias t:nic nic\nalias t:nic2 nic2\nalias t:nic3 nic3\n"
)

// An asideBench is a machine with its loads as they were asked for.
type asideBench struct {
	*bench
	asked map[string]core.Load
}

func newAsideBench(t *testing.T, limits core.Limits, toml string) asideBench {
	t.Helper()
	limits.Slots, limits.Patience = 8, core.DefaultLimits.Patience
	b := asideBench{&bench{t: t, m: core.New(limits), ops: make(map[string]core.OpID)}, make(map[string]core.Load)}
	b.policed(asideDep, asideAlias, "", toml)
	b.tell(core.Scanned{Scan: 1})
	return b
}

func (b asideBench) tell(e core.Event) {
	b.t.Helper()
	for _, effect := range b.step(e) {
		if load, ok := effect.(core.Load); ok {
			b.asked[load.Step.Module] = load
		}
	}
}

func (b asideBench) plug(names ...string) {
	b.t.Helper()
	for _, name := range names {
		b.tell(core.Seen{Device: rules.Device{Path: "/" + name, Modalias: "t:" + name}})
	}
}

// ends has a load end well.
func (b asideBench) ends(name string, says core.Done) {
	b.t.Helper()
	says.Op, says.Module = b.ops[name], name
	delete(b.ops, name)
	b.tell(says)
}

func TestWhatSpeaksAgainstAProbeAside(t *testing.T) {
	tests := []struct {
		name, toml string
		twin       string // the modalias of another device, "" for none
		limits     core.Limits
		device     string
		base       core.Done // what the load of base tells
		module     string
		want       core.Async
		look       []string
		after      core.Done // what its own load tells
		says       string
	}{
		{name: "a rule", toml: "[[rule]]\nmodule = \"solo\"\nasync = false", device: "solo", module: "solo",
			want: core.AsyncUnasked, says: "one after the other, as a rule says"},
		{name: "no device asked for it", device: "gpu", module: "base", want: core.AsyncUnasked, says: "one after the other: no device asked for it"},
		{name: "another driver may take the device", device: "two", module: "solo", want: core.AsyncUnasked,
			says: "one after the other: other drivers may take its device"},
		{name: "several devices have their numbers of it", twin: "t:solo", device: "solo", module: "solo", want: core.AsyncUnasked,
			says: "one after the other: it has several devices, which get their numbers in the order of probes"},
		{name: "names", limits: core.Limits{KeepNames: true}, device: "nic", module: "nic", want: core.AsyncUnasked,
			says: "one after the other: the order of probes gives its devices their names, and no udevd is there that would give them others"},
		{name: "it may request others", device: "solo", module: "solo", want: core.AsyncIfSafe, after: core.Done{Requests: core.RequestsOthers},
			says: "one after the other: it may load other modules by itself"},
		{name: "nobody knows what it does", device: "solo", module: "solo", want: core.AsyncIfSafe,
			says: "one after the other: its file is packed, and was not looked into"},
		{name: "what it needs may request others", device: "nic3", module: "nic3", base: core.Done{Requests: core.RequestsOthers}, want: core.AsyncUnasked,
			says: "one after the other: what it needs may load other modules by itself, or nobody knows"},
		{name: "nobody knows what that does which it needs", device: "nic3", module: "nic3", want: core.AsyncIfSafe,
			look: []string{"/lib/modules/test/kernel/lib/base.ko"}, after: core.Done{Requests: core.RequestsNone},
			says: "one after the other: what it needs may load other modules by itself, or nobody knows"},
		{name: "nothing", device: "nic3", module: "nic3", base: core.Done{Requests: core.RequestsNone}, want: core.AsyncIfSafe,
			after: core.Done{Requests: core.RequestsNone, Async: true}, says: "asynchronously: nothing speaks against it"},
		{name: "nothing, where udevd gives names", device: "nic", module: "nic", want: core.AsyncIfSafe,
			after: core.Done{Requests: core.RequestsNone, Async: true}, says: "asynchronously: nothing speaks against it"},
		{name: "a rule that says nothing but auto", toml: "[[rule]]\nmodule = \"solo\"\nasync = \"auto\"", device: "solo", module: "solo", want: core.AsyncIfSafe,
			after: core.Done{Requests: core.RequestsNone, Async: true}, says: "asynchronously: nothing speaks against it"},
		{name: "nothing that a rule would heed", toml: "[[rule]]\nmodule = \"*\"\nasync = true", limits: core.Limits{KeepNames: true},
			device: "nic3", module: "nic3", base: core.Done{Requests: core.RequestsOthers}, want: core.AsyncAlways,
			after: core.Done{Requests: core.RequestsOthers, Async: true}, says: "asynchronously, as a rule says"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newAsideBench(t, tt.limits, tt.toml)
			if tt.twin != "" {
				b.tell(core.Seen{Device: rules.Device{Path: "/twin", Modalias: tt.twin}, Scan: 3})
			}
			b.tell(core.Seen{Device: rules.Device{Path: "/" + tt.device, Modalias: "t:" + tt.device}, Scan: 3})
			b.tell(core.Scanned{Scan: 3})
			for _, need := range []string{"base", "core"} {
				if b.ops[need] != 0 && need != tt.module {
					b.ends(need, tt.base)
				}
			}
			load := b.asked[tt.module]
			if load.Async != tt.want || !slices.Equal(load.LookInto, tt.look) {
				t.Errorf("asked for %d, to look into %v, want %d, %v", load.Async, load.LookInto, tt.want, tt.look)
			}
			b.ends(tt.module, tt.after)
			if m := b.module(tt.module); m.Probes != tt.says || m.State != control.Live {
				t.Errorf("it is %s, and probes %q, want %q", m.State, m.Probes, tt.says)
			}
		})
	}
}

func TestAKernelThatDoesNotKnowTheParameterIsNotAskedAgain(t *testing.T) {
	b := newAsideBench(t, core.Limits{}, "[[rule]]\nmodule = \"*\"\nasync = true")
	b.plug("solo")
	b.ends("solo", core.Done{Async: true, NoAsync: true})
	b.plug("nic")
	if load := b.asked["nic"]; load.Async != core.AsyncNever {
		t.Errorf("asked for %d", load.Async)
	}
	b.ends("nic", core.Done{})
	if m := b.module("nic"); m.Probes != "one after the other: this kernel has no async_probe" {
		t.Errorf("%q", m.Probes)
	}
}

// Whatever order their loads end in, and whatever they wait for, network cards get
// their names in the order of their paths.
func TestWhereNobodyGivesNamesModulesThatDoGoInOneAfterTheOther(t *testing.T) {
	for _, keep := range []bool{true, false} {
		t.Run(fmt.Sprint("names are kept: ", keep), func(t *testing.T) {
			b := newAsideBench(t, core.Limits{KeepNames: keep}, "")
			for _, name := range []string{"nic3", "nic", "solo", "nic2"} {
				b.tell(core.Seen{Device: rules.Device{Path: "/" + name, Modalias: "t:" + name}, Scan: 3})
			}
			b.tell(core.Scanned{Scan: 3})
			var order []string
			for len(b.ops) > 0 {
				now := b.names()
				order = append(order, strings.Join(now, " "))
				for _, name := range now {
					b.ends(name, core.Done{})
				}
			}
			want := []string{"base nic nic2", "nic3", "solo"}
			if keep {
				want = []string{"base nic", "nic2", "nic3", "solo"}
			}
			if diff := cmp.Diff(want, order); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// names are those of the loads under way, sorted.
func (b asideBench) names() (names []string) {
	for name := range b.ops {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
