package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/uevent"
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
