package policy_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/rules/policy"
)

func TestClassOf(t *testing.T) {
	for _, tt := range []struct{ name, file, device, want string }{
		{"no file and no device", "", "", "other"},
		{"by its directory", "kernel/drivers/net/wireless/intel/iwlwifi/iwlwifi.ko", "", "wifi"},
		{"by a directory above", "kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko.xz", "", "network"},
		{"a directory whose name goes on", "kernel/drivers/netfs/x.ko", "", "other"},
		{"its directory before the device's code", "kernel/drivers/bluetooth/btusb.ko", "usb:v8087p0025d0002dcE0dsc01dp01icFFisc01ip01in00", "bluetooth"},
		{"by the interface, in a place for everything", "extra/cam.ko", "usb:v1234p5678d0100dcEFdsc02dp01ic0Eisc01ip00in00", "camera"},
		{"by the longest code", "updates/dkms/bt.ko", "usb:v1p1d1dc00dsc00dp00icE0isc01ip01in00", "bluetooth"},
		{"by a shorter code", "updates/dkms/wl.ko", "pci:v000014E4d00004331sv0000106Bsd000000D6bc02sc80i00", "wifi"},
		{"a code that says nothing", "kernel/drivers/misc/x.ko", "usb:v1p1d1dcFFdscFFdpFFicFFiscFFipFFin00", "other"},
		{"a device of another bus", "kernel/drivers/misc/x.ko", "acpi:ic0E:", "other"},
		{"half a code", "kernel/drivers/misc/x.ko", "usb:v1ic0", "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := policy.ClassOf(tt.file, tt.device)
			if got.Name != tt.want || got.Because == "" {
				t.Errorf("class %q because %q, want %q", got.Name, got.Because, tt.want)
			}
			if !slices.Contains(policy.Classes(), got.Name) {
				t.Errorf("%q is not among the classes", got.Name)
			}
		})
	}
}

// A board's owner who writes class = ["wifi"] means all of them.
func TestDebiansWirelessDriversAreOfOneClass(t *testing.T) {
	kernel, err := debian.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dep, err := os.ReadFile(kernel.Root + "/lib/modules/" + kernel.Version + "/modules.dep")
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for line := range strings.Lines(string(dep)) {
		file, needs, _ := strings.Cut(line, ":")
		class := policy.ClassOf(file, "").Name
		count[class]++
		if strings.Contains(needs, "/cfg80211.ko") && strings.Contains(file, "drivers/") && class != "wifi" {
			t.Errorf("%s needs cfg80211 and is of class %s", file, class)
		}
	}
	for _, class := range []string{"wifi", "network", "storage", "sound", "camera", "input", "gpu", "bluetooth", "serial", "watchdog", "thermal"} {
		if count[class] == 0 {
			t.Errorf("Debian's kernel has no module of class %s", class)
		}
	}
	if all := len(strings.Split(string(dep), "\n")); count[policy.Other] > all/4 {
		t.Errorf("%d of %d modules are of no class", count[policy.Other], all)
	}
	t.Log(count)
}
