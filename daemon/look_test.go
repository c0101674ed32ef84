package daemon

import (
	"testing"

	"github.com/kmodd/kmodd/daemon/core"
)

func TestADeviceThatIsNotThereHasNoDriver(t *testing.T) {
	if got := (&loop{}).look(core.Look{Path: "/devices/nowhere", Subsystem: "none"}); got.Driver != "" || got.Deferred || got.Path != "/devices/nowhere" {
		t.Errorf("look: %+v", got)
	}
}

// The list is as in debugfs, where reasons follow since Linux 5.10.
func TestDeferredDevicesAreThoseOfTheList(t *testing.T) {
	list := []byte("usb0\n3f980000.usb\tplatform: supplier phy not ready\n")
	for name, want := range map[string]bool{"usb": false, "supplier": false, "usb0": true, "3f980000.usb": true} {
		if got := lists(list, name); got != want {
			t.Errorf("%s: deferred is %v", name, got)
		}
	}
	if lists(nil, "usb0") {
		t.Error("an empty list names a device")
	}
}

func TestReadStartOfWhatIsNotThere(t *testing.T) {
	var buf [1]byte
	if n := readStart("/nowhere", buf[:]); n != 0 {
		t.Errorf("read %d bytes of nothing", n)
	}
}
