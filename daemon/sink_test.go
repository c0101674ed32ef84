package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/uevent"
	"github.com/kmodd/kmodd/daemon/uevent/inject"
	"github.com/kmodd/kmodd/rules"
)

// What an event leads to. Loading on change would bring back what an
// administrator has just removed.
func TestOnlyAddBringsADevice(t *testing.T) {
	card := func(a uevent.Action) *uevent.Event {
		return &uevent.Event{Action: a, Path: []byte("/devices/x"), Subsystem: []byte("pci"), Modalias: []byte("pci:v1"), Driver: []byte("drv")}
	}
	module := func(a uevent.Action) *uevent.Event {
		return &uevent.Event{Action: a, Path: []byte("/module/e1000e"), Subsystem: []byte("module")}
	}
	moved := card(uevent.Move)
	moved.OldPath = []byte("/devices/y")
	nameless := card(uevent.Add)
	nameless.Modalias = nil
	for _, tt := range []struct {
		name  string
		event *uevent.Event
		want  core.Event
	}{
		{"change", card(uevent.Change), nil},
		{"online", card(uevent.Online), nil},
		{"an action that is not known", card("strange"), nil},
		{"add without a MODALIAS", nameless, nil},
		{"a module's change", module(uevent.Change), nil},
		{"add", card(uevent.Add), core.Seen{Device: rules.Device{Path: "/devices/x", Subsystem: "pci", Modalias: "pci:v1", Driver: "drv"}}},
		{"remove", card(uevent.Remove), core.Gone{Path: "/devices/x"}},
		{"move", moved, core.Moved{From: "/devices/y", To: "/devices/x"}},
		{"bind", card(uevent.Bind), core.Bound{Path: "/devices/x", Driver: "drv"}},
		{"unbind", card(uevent.Unbind), core.Bound{Path: "/devices/x"}},
		{"a module is live", module(uevent.Add), core.ModuleIs{Name: "e1000e", State: control.Live}},
		{"a module has gone", module(uevent.Remove), core.ModuleIs{Name: "e1000e", State: control.Absent}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &loop{events: make(chan core.Event, 1), done: make(chan struct{})}
			sink{l}.Event(tt.event)
			var got core.Event
			select {
			case got = <-l.events:
			default:
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// "udevadm trigger --action=remove" takes no device away, and the "add" that it has
// said of every folder below /sys/module at boot puts none in: those of what is built
// into the kernel are there as well.
func TestWhatSomebodyHasWrittenToAUeventFileHasNotHappened(t *testing.T) {
	const device, module = "/devices/x", "/module/vt"
	seen := core.Seen{Device: rules.Device{Path: device, Subsystem: "usb", Modalias: "usb:x", Driver: "drv"}, Synthetic: true}
	for _, tt := range []struct {
		action, path, subsystem string
		want                    core.Event
	}{
		{"remove", device, "usb", nil},
		{"bind", device, "usb", nil},
		{"unbind", device, "usb", nil},
		{"move", device, "usb", nil},
		{"add", module, "module", nil},
		{"remove", module, "module", nil},
		{"add", device, "usb", seen},
	} {
		l := &loop{events: make(chan core.Event, 1), done: make(chan struct{})}
		var e uevent.Event
		if err := uevent.Parse(inject.Message(tt.action, tt.path, "SUBSYSTEM="+tt.subsystem, "MODALIAS=usb:x", "DRIVER=drv", "SYNTH_UUID=0"), &e); err != nil {
			t.Fatal(err)
		}
		sink{l}.Event(&e)
		var got core.Event
		select {
		case got = <-l.events:
		default:
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s@%s: %s", tt.action, tt.path, diff)
		}
	}
}
