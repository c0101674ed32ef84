package usage

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/daemon/kernfs"
	"golang.org/x/sys/unix"
)

// oneDevice is a system with a device that has a driver, and below it one of
// that subsystem.
func oneDevice(t *testing.T, subsystem, name string) System {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"self", "1", "filesystems"} {
		must(t, os.MkdirAll(root+"/proc/"+dir, 0o700))
	}
	link(t, root, fmt.Sprintf(`sys/devices/soc/part/subsystem -> ../../../bus/platform
sys/devices/soc/part/driver -> ../../../bus/platform/drivers/part
sys/devices/soc/part/%s/subsystem -> ../../../../%s
`, name, subsystem))
	return System{Sys: root + "/sys", Proc: root + "/proc", Dev: root + "/dev", kernel: pretended{root}}
}

func TestWhatIsNeverIdleByDefault(t *testing.T) {
	for subsystem, is := range users() {
		found := oneDevice(t, "class/"+subsystem, "x0").Device("/devices/soc/part")
		if len(found) != 1 || found[0].State != Unknown || !found[0].Never || found[0].Says != "x0 is "+is {
			t.Errorf("%s: %+v", subsystem, found)
		}
	}
	for name, is := range map[string]string{"usb1": "a host of USB devices", "1-1": ""} {
		found := oneDevice(t, "bus/usb", name).Device("/devices/soc/part")
		if len(found) != 1 || found[0].Never != (is != "") || !strings.HasSuffix(found[0].Says, is) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestWhatOthersReferTo(t *testing.T) {
	for _, p := range providers {
		s := oneDevice(t, "bus/platform", "child")
		write(t, filepath.Join(s.Sys, "devices/soc/part/of_node", p.property), nil)
		found := s.Device("/devices/soc/part")
		if len(found) != 1 || found[0].State != Unknown || !found[0].Never || found[0].Says != "part gives other devices "+p.is {
			t.Errorf("%s: %+v", p.property, found)
		}
	}
}

func TestPlacesOfModules(t *testing.T) {
	for place, want := range map[string]string{
		"drivers/watchdog": "a watchdog", "drivers/hid/i2c-hid": "an input device", "fs/nls": "a file system",
		"drivers/mmc/host": "a host of memory cards", "drivers/mmc/core": "", "drivers/net/phy/aquantia": "a PHY",
		"net/netfilter/ipvs": "a packet filter", "net/bluetooth": "", "drivers/usb/serial": "", "": "", "drivers": "",
	} {
		if got := neverModule(place); got != want {
			t.Errorf("%s: %q, want %q", place, got, want)
		}
	}
}

// The list of a module's drivers ends where one has a / in its name.
func TestDevicesOfDriversThatTheModuleDoesNotList(t *testing.T) {
	s := oneDevice(t, "class/phy", "phy0")
	write(t, s.Sys+"/module/phys/drivers", nil)
	write(t, s.Sys+"/module/phys/refcnt", []byte("0"))
	write(t, s.Sys+"/module/phys/initstate", []byte("live"))
	link(t, s.Sys, `bus/platform/drivers/A!B/module -> ../../../../module/phys
bus/platform/drivers/A!B/part -> ../../../../devices/soc/part
`)
	want := []string{"/devices/soc/part"}
	if got := s.Drives("phys"); !slices.Equal(got, want) {
		t.Errorf("it drives %q, want %q", got, want)
	}
	if f, used := NotIdle(s.Module("phys")); !used || f.Says != "phy0 is a PHY" {
		t.Errorf("%+v", f)
	}
}

// A walk ends, however deep and wide the tree is, and says so.
func TestAWalkIsBounded(t *testing.T) {
	root := t.TempDir()
	must(t, os.MkdirAll(root+"/devices/x"+strings.Repeat("/d", maxDepth+5), 0o700))
	found := System{Sys: root, Proc: root + "/proc"}.Device("/devices/x")
	if len(found) != 1 || found[0].Kind != KindWalk || found[0].State != Unknown {
		t.Errorf("%+v", found)
	}
	for i := range 3 {
		write(t, fmt.Sprintf("%s/devices/wide/d%d/uevent", root, i), nil)
	}
	q := newInquiry(System{Sys: root, Proc: root + "/proc"})
	q.walk.most = 2
	q.walk.from("/devices/wide")
	if found = q.answer(); len(found) != 1 || found[0].Kind != KindWalk {
		t.Errorf("%+v", found)
	}
}

// Symbolic links are no devices below.
func TestAWalkDoesNotFollowLinks(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/devices/x/uevent", nil)
	link(t, root, "devices/x/again -> ../x\ndevices/x/up -> ../..\n")
	q := newInquiry(System{Sys: root})
	q.walk.from("/devices/x")
	if len(q.walk.devices) != 1 {
		t.Errorf("%+v", q.walk.devices)
	}
}

// Attributes that take a device's lock, or do worse, are pipes here: who opens one
// waits for ever.
func TestWhatMustNotBeReadIsNotRead(t *testing.T) {
	s := oneDevice(t, "class/net", "net0")
	for _, name := range []string{"uevent", "waiting_for_supplier", "power/control", "net0/uevent", "net0/carrier", "net0/speed", "config", "remove"} {
		path := filepath.Join(s.Sys, "devices/soc/part", name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, unix.Mkfifo(path, 0o600))
	}
	s.Device("/devices/soc/part")
	if !kernfs.Exists(unix.AT_FDCWD, nul(s.Sys)) {
		t.Error("it is gone")
	}
}

func TestComparePaths(t *testing.T) {
	order := []string{"/a", "/a/b", "/a/b/c", "/a/b-1", "/a-b", "/a-b/c", "/a.b", "/b"}
	for i := range order {
		for j := range order {
			got, want := comparePaths(order[i], order[j]), i-j
			if (got < 0) != (want < 0) || (got > 0) != (want > 0) {
				t.Errorf("%s and %s: %d", order[i], order[j], got)
			}
		}
	}
}
