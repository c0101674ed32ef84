package kernel_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// A desktop is a tree that looks like a part of /sys: a PCI card that driver old
// has, an interface of a USB device that driver hid has, and a serio device of
// driver pad, whose bus has no driver_override. What would be done stays written
// in its files; the links don't change.
func desktop(t *testing.T) string {
	t.Helper()
	sys := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, to string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(sys, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(sys, name)); err != nil {
			t.Fatal(err)
		}
	}
	for bus, driver := range map[string]string{"pci": "old", "usb": "hid", "serio": "pad"} {
		for _, name := range []string{driver, "new"} {
			write("bus/"+bus+"/drivers/"+name+"/bind", "")
			write("bus/"+bus+"/drivers/"+name+"/unbind", "")
			write("bus/"+bus+"/drivers/"+name+"/uevent", "")
			link("bus/"+bus+"/drivers/"+name+"/module", "../../../../module/"+name+"_module")
			link("module/"+name+"_module/drivers/"+bus+":"+name, "../../../bus/"+bus+"/drivers/"+name)
		}
		write("bus/"+bus+"/drivers_probe", "")
		link("devices/"+bus+"/dev0/driver", "../../../bus/"+bus+"/drivers/"+driver)
		write("devices/"+bus+"/free/uevent", "")
	}
	write("devices/pci/dev0/driver_override", "(null)\n")
	write("devices/pci/free/driver_override", "(null)\n")
	write("devices/usb/dev0/bInterfaceNumber", "00\n")
	write("devices/usb/dev0/authorized", "1\n")
	return sys
}

func TestAssignWritesWhatEachBusUnderstands(t *testing.T) {
	for _, tt := range []struct {
		name, bus, device string
		owner             kernel.Owner
		module            string
		writes            map[string]string // by file below /sys
		says              string            // of the error
	}{
		{"a driver that keeps it", "pci", "dev0", kernel.Nobody, "", map[string]string{
			"devices/pci/dev0/driver_override": "kmodd-denies-it", "bus/pci/drivers/old/unbind": "dev0"}, ""},
		{"no driver yet", "pci", "free", kernel.Nobody, "", map[string]string{"devices/pci/free/driver_override": "kmodd-denies-it"}, ""},
		{"an interface of a USB device", "usb", "dev0", kernel.Nobody, "", map[string]string{
			"devices/usb/dev0/authorized": "0"}, ""},
		{"a bus that can't keep drivers away", "serio", "dev0", kernel.Nobody, "", map[string]string{"bus/serio/drivers/pad/unbind": "dev0"}, ""},
		{"another driver", "pci", "dev0", kernel.OfModule, "new_module", map[string]string{
			"devices/pci/dev0/driver_override": "new", "bus/pci/drivers/old/unbind": "dev0", "bus/pci/drivers/new/bind": "dev0"}, ""},
		{"a driver on a bus without overrides", "serio", "free", kernel.OfModule, "new_module", map[string]string{"bus/serio/drivers/new/bind": "free"}, ""},
		{"the driver that has it", "pci", "dev0", kernel.OfModule, "old_module", nil, ""},
		{"a module without a driver there", "pci", "dev0", kernel.OfModule, "hid_module", nil, "hid_module has no driver for devices of pci"},
		{"anybody", "pci", "free", kernel.Anybody, "", map[string]string{"devices/pci/free/driver_override": "\n", "bus/pci/drivers_probe": "free"}, ""},
		{"a device that has gone", "pci", "gone", kernel.Nobody, "", nil, "the device has gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys := desktop(t)
			before := contents(t, sys)
			a := kernel.Assignment{Path: "/devices/" + tt.bus + "/" + tt.device, Bus: tt.bus, Owner: tt.owner, Module: tt.module, Ours: true}
			_, err := kernel.System{Sys: sys}.Assign(a, nil)
			// In this tree links never change, so a driver never lets go.
			if err != nil && !strings.Contains(err.Error(), tt.says) || err == nil && tt.says != "" {
				t.Errorf("error %v, want %q", err, tt.says)
			}
			for file, text := range contents(t, sys) {
				want, ok := tt.writes[file]
				if !ok {
					want = before[file]
				}
				if text != want {
					t.Errorf("%s is %q, want %q", file, text, want)
				}
			}
		})
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestADeviceInUseIsLeftAloneOnlyWhereItIsAskedForGently(t *testing.T) {
	used := func(path string) string { return "somebody at " + path }
	for _, tt := range []struct {
		name string
		a    kernel.Assignment
		left bool
	}{
		{"gently", kernel.Assignment{Owner: kernel.Nobody, Gently: true}, true},
		{"gently, for another driver", kernel.Assignment{Owner: kernel.OfModule, Module: "new_module", Gently: true}, true},
		{"by force", kernel.Assignment{Owner: kernel.Nobody}, false},
		{"its own driver", kernel.Assignment{Owner: kernel.OfModule, Module: "old_module", Gently: true}, false},
		{"back to anybody", kernel.Assignment{Owner: kernel.Anybody, Gently: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys := desktop(t)
			before := contents(t, sys)
			tt.a.Path, tt.a.Bus = "/devices/pci/dev0", "pci"
			got, err := kernel.System{Sys: sys}.Assign(tt.a, used)
			var refusal *kernel.Error
			left := errors.As(err, &refusal) && refusal.Op == kernel.OpInUse
			if left != tt.left || left && (refusal.Words != "somebody at /devices/pci/dev0" || errors.Is(err, unix.EBUSY)) {
				t.Errorf("error %v", err)
			}
			if left && contents(t, sys)["devices/pci/dev0/driver_override"] != before["devices/pci/dev0/driver_override"] {
				t.Error("it was changed all the same")
			}
			if left && (got.Module != "old_module" || got.Held) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// What somebody else has written into driver_override is theirs; and what has to be
// undone is told, also of a driver that did not take the device, and of a bus on
// which nothing stays written.
func TestWhatHasToBeUndoneIsToldAndWhatIsSomebodyElsesIsNotTouched(t *testing.T) {
	sys := desktop(t)
	file := filepath.Join(sys, "devices/pci/free/driver_override")
	assign := func(a kernel.Assignment) (kernel.Assigned, error) { return kernel.System{Sys: sys}.Assign(a, nil) }
	card := kernel.Assignment{Path: "/devices/pci/free", Bus: "pci", Owner: kernel.OfModule, Module: "new_module"}
	if got, _ := assign(card); !got.Held {
		t.Errorf("of a driver that did not take the device: %+v", got)
	}
	if err := os.WriteFile(file, []byte("vfio-pci\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := assign(card)
	if err == nil || !strings.Contains(err.Error(), "somebody has given it to driver vfio-pci") || got.Held {
		t.Errorf("of somebody else's: %+v, %v", got, err)
	}
	card.Owner = kernel.Anybody
	if _, err := assign(card); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "vfio-pci\n" {
		t.Errorf("it became %q", text)
	}
	if got, err := assign(kernel.Assignment{Path: "/devices/serio/free", Bus: "serio", Owner: kernel.Nobody}); err != nil || !got.Held {
		t.Errorf("of a bus without overrides: %+v, %v", got, err)
	}
}

func TestADriverThatIsStillBeingRegisteredIsSentAwayWhenItCanBe(t *testing.T) {
	sys := desktop(t)
	driver := filepath.Join(sys, "bus/serio/drivers/pad")
	for _, late := range []string{"uevent", "unbind"} {
		if err := os.Remove(filepath.Join(driver, late)); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		for _, late := range []string{"uevent", "unbind"} {
			if err := os.WriteFile(filepath.Join(driver, late), nil, 0o600); err != nil {
				t.Error(err)
			}
		}
	}()
	_, err := kernel.System{Sys: sys}.Assign(kernel.Assignment{Path: "/devices/serio/dev0", Bus: "serio", Owner: kernel.Nobody}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if told, err := os.ReadFile(filepath.Join(driver, "unbind")); string(told) != "dev0" {
		t.Errorf("unbind was told %q: %v", told, err)
	}
}
