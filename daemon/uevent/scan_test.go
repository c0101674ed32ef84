package uevent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// found is what a scan says of a device, copied.
type found struct{ Path, Subsystem, Driver, Modalias string }

func scanDevices(t *testing.T, s *Scanner) (devices []found, skipped int) {
	t.Helper()
	skipped, err := s.Devices(func(e *Event) bool {
		devices = append(devices, found{string(e.Path), string(e.Subsystem), string(e.Driver), string(e.Modalias)})
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(devices, func(a, b found) int { return strings.Compare(a.Path, b.Path) })
	return devices, skipped
}

func scanModules(t *testing.T, s *Scanner) (modules []string, skipped int) {
	t.Helper()
	skipped, err := s.Modules(func(name []byte, state string) bool {
		modules = append(modules, string(name)+" "+state)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(modules)
	return modules, skipped
}

func TestScanWithoutSysfsNamesTheCure(t *testing.T) {
	for _, root := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		skipped, err := NewScanner(root).Devices(func(*Event) bool { return true })
		if skipped != 0 || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "mount -t sysfs") {
			t.Errorf("%d skipped, error %v; want one that says how to mount sysfs", skipped, err)
		}
	}
}

func TestScanOfFileSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	if _, err := NewScanner(file).Modules(func([]byte, string) bool { return true }); err == nil {
		t.Error("a file was taken for a sysfs")
	}
}

func TestScanPassesOverWhatIsDamaged(t *testing.T) {
	s := NewScanner(sysfs(t, "damaged.txtar"))
	devices, skipped := scanDevices(t, s)
	want := []found{{Path: "/devices/good", Subsystem: "platform", Modalias: "platform:good"}}
	if diff := cmp.Diff(want, devices); diff != "" || skipped != 3 {
		t.Errorf("%d skipped, want 3; devices (-want +got):\n%s", skipped, diff)
	}
	if modules, skipped := scanModules(t, s); len(modules) != 0 || skipped != 1 {
		t.Errorf("modules %v, %d skipped, want none and 1", modules, skipped)
	}
}

func TestScanFindsEveryDeviceWithModalias(t *testing.T) {
	s := NewScanner(sysfs(t, "sysfs.txtar"))
	want := []found{
		{"/devices/LNXSYSTM:00/PRP0001:00", "acpi", "", "of:NdeviceT(null)Catmel,24c02"},
		{"/devices/pci0000:00/0000:00:03.0", "pci", "e1000", "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00"},
		{"/devices/pci0000:00/0000:00:03.0/mdio_bus/mdio-0/mdio-0:01", "mdio_bus", "", "of:Nethernet-phyT(null)"},
		{"/devices/pci0000:00/0000:00:04.0", "pci", "", "pci:v00001AF4d00001005sv00001AF4sd00000004bc00scFFi00"},
		{"/devices/platform/soc@0/30890000.serial", "platform", "", "of:NserialT(null)Cfsl,imx8mq-uartCfsl,imx6q-uart"},
		{"/devices/platform/with=sign", "platform", "", "platform:a=b"},
		{"/devices/virtual/input/input7", "input", "", "input:b0019v0000p0001e0000-e0,1,k74,ramlsfw"},
	}
	for range 2 { // the second time with used buffers
		devices, skipped := scanDevices(t, s)
		if diff := cmp.Diff(want, devices); diff != "" || skipped != 0 {
			t.Errorf("%d skipped; devices (-want +got):\n%s", skipped, diff)
		}
	}
}

func TestWholeScanReadsTheEnvironment(t *testing.T) {
	root := sysfs(t, "sysfs.txtar")
	for _, tt := range []struct {
		scanner *Scanner
		want    string
	}{
		{NewScanner(root), ""},
		{NewWholeScanner(root), "DRIVER=e1000\nPCI_CLASS=20000\nPCI_ID=8086:100E\nPCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME=0000:00:03.0\n" +
			"MODALIAS=pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00\n"},
	} {
		var got string
		_, err := tt.scanner.Devices(func(e *Event) bool {
			if string(e.Driver) == "e1000" {
				got = string(e.Environment())
			}
			return true
		})
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%v; environment (-want +got):\n%s", err, diff)
		}
	}
}

func TestScanDoesNotWaitForAProbe(t *testing.T) {
	root := sysfs(t, "sysfs.txtar")
	uevent := filepath.Join(root, "devices/pci0000:00/0000:00:03.0/uevent")
	if err := os.Remove(uevent); err != nil {
		t.Fatal(err)
	}
	// Opening it waits as reading it does while the device is probed.
	if err := unix.Mkfifo(uevent, 0o600); err != nil {
		t.Fatal(err)
	}
	met := make(chan int)
	go func() {
		devices, _ := scanDevices(t, NewScanner(root))
		met <- len(devices)
	}()
	select {
	case n := <-met:
		if n != 7 {
			t.Errorf("%d devices met, want 7", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for a device's uevent file though the device has a modalias file")
	}
}

func TestScanTellsTheStatesOfModules(t *testing.T) {
	modules, skipped := scanModules(t, NewScanner(sysfs(t, "sysfs.txtar")))
	if diff := cmp.Diff([]string{"btusb coming", "e1000 live", "floppy going"}, modules); diff != "" || skipped != 0 {
		t.Errorf("%d skipped; modules (-want +got):\n%s", skipped, diff)
	}
}

func TestScanStopsWhenTold(t *testing.T) {
	s := NewScanner(sysfs(t, "sysfs.txtar"))
	devices, modules := 0, 0
	_, err1 := s.Devices(func(*Event) bool { devices++; return devices < 2 })
	_, err2 := s.Modules(func([]byte, string) bool { modules++; return modules < 2 })
	if devices != 2 || modules != 2 || err1 != nil || err2 != nil {
		t.Errorf("met %d devices and %d modules after the second said stop: %v, %v", devices, modules, err1, err2)
	}
}

// TestScanAgreesWithTheTree holds the claim that buses and classes lead to
// every device, on the sysfs of the machine that runs the test.
func TestScanAgreesWithTheTree(t *testing.T) {
	devices, _ := scanDevices(t, NewScanner("/sys"))
	met := map[string]string{}
	for _, d := range devices {
		met["/sys"+d.Path] = d.Modalias
	}
	inTree := map[string]string{}
	err := filepath.WalkDir("/sys/devices", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Name() != "uevent" {
			return nil // gone, or not for us
		}
		content, _ := os.ReadFile(path)
		for line := range strings.Lines(string(content)) {
			if alias, ok := strings.CutPrefix(line, "MODALIAS="); ok {
				inTree[filepath.Dir(path)] = strings.TrimSuffix(alias, "\n")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inTree, met); diff != "" {
		t.Errorf("(-walk of /sys/devices +scan):\n%s", diff)
	}
}

func TestScanAllocatesNothingPerDevice(t *testing.T) {
	s := NewScanner(manyDevices(t, 100))
	n := 0
	allocs := testing.AllocsPerRun(5, func() {
		if _, err := s.Devices(func(*Event) bool { n++; return true }); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 5 || n != 600 {
		t.Errorf("%v allocations for each scan of 100 devices, %d met in 6 scans", allocs, n)
	}
}

func BenchmarkScan(b *testing.B) {
	s := NewScanner(manyDevices(b, 500))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if _, err := s.Devices(func(*Event) bool { n++; return true }); err != nil || n != 500 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkScanStandardLibrary does the same with what the standard library
// has for it.
func BenchmarkScanStandardLibrary(b *testing.B) {
	bus := filepath.Join(manyDevices(b, 500), "bus/pci/devices")
	b.ReportAllocs()
	for b.Loop() {
		entries, err := os.ReadDir(bus)
		if err != nil || len(entries) != 500 {
			b.Fatal(len(entries), err)
		}
		for _, e := range entries {
			dir := filepath.Join(bus, e.Name())
			if _, err := os.ReadFile(filepath.Join(dir, "uevent")); err != nil {
				b.Fatal(err)
			}
			if _, err := os.Readlink(dir); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// manyDevices makes a sysfs with n PCI devices.
func manyDevices(t testing.TB, n int) (root string) {
	t.Helper()
	root = t.TempDir()
	for i := range n {
		name := fmt.Sprintf("0000:%02x:%02x.0", i>>5, i&31)
		write(t, filepath.Join(root, "devices/pci0000:00", name, "uevent"),
			"DRIVER=e1000\nPCI_CLASS=20000\nPCI_ID=8086:100E\nPCI_SLOT_NAME="+name+
				"\nMODALIAS=pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00\n")
		link(t, "../../../devices/pci0000:00/"+name, filepath.Join(root, "bus/pci/devices", name))
	}
	return root
}
