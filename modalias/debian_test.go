package modalias_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/modalias"
)

// debianAliases returns the aliases of Debian's modules.
func debianAliases(t *testing.T, arch debian.Architecture) (all []string) {
	t.Helper()
	kernel, err := arch.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(kernel.Root, "lib/modules", kernel.Version, "modules.alias"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "alias" {
			all = append(all, words[1])
		}
	}
	return all
}

// otherNames are aliases that look like those of a bus and are requests of the
// kernel's, or of udev's, for something that is no device.
var otherNames = []string{"devname:", "ip_set_bitmap:", "ip_set_hash:", "ip_set_list:", "usbfunc:"}

// neverMatch are aliases of Debian's kernels (6.1.192) that no device can have,
// however their authors meant them. A later kernel may have mended some.
var neverMatch = map[debian.Architecture][]string{
	debian.AMD64: {
		// A field of DMI begins with a tag, and the last one ends with a colon.
		"dmi:*:*Acer*:TM8573T:",
		"dmi:*:*Acer*:TravelMate*7730G:",
		// The name of a constant where its value should be.
		"nd:tND_DEVICE_BTT*",
		// file2alias.c writes nothing for a last digit that may be anything.
		"usb:v0763p1031d010dc*dsc*dp*ic*isc*ip*in*",
		// The kernel prints GUIDs in upper case.
		"wmi:59142400-C6A3-40fa-BADB-8A2652834100",
		"wmi:5FB7F034-2C63-45e9-BE91-3D44E2C707E4",
		"wmi:F6E4FE6E-909D-47cb-8BAB-C9F6F2F8D396",
	},
	debian.ARM64: {
		"nd:tND_DEVICE_BTT*",
		// Names of drivers, which are no devices of that bus.
		"pci:hisi_sas_v3_hw",
		"pci:hns-nic",
		// Devices on this bus are those of a device tree, and say so.
		"spmi:spmi-pmic",
		"usb:v0763p1031d010dc*dsc*dp*ic*isc*ip*in*",
	},
}

func TestEveryAliasOfADeviceFitsOneForm(t *testing.T) {
	for arch, known := range neverMatch {
		t.Run(string(arch), func(t *testing.T) {
			for _, alias := range fitNone(t, debianAliases(t, arch)) {
				if !slices.Contains(known, alias) {
					t.Errorf("%s fits no form", alias)
				}
			}
		})
	}
}

// fitNone holds aliases to be of one bus if they are about devices, and of none
// otherwise. It returns those that should be and are not.
func fitNone(t *testing.T, aliases []string) (none []string) {
	t.Helper()
	fit := 0
	for _, alias := range aliases {
		buses := fits(alias)
		forDevices := strings.Contains(alias, ":") &&
			!slices.ContainsFunc(otherNames, func(prefix string) bool { return strings.HasPrefix(alias, prefix) })
		switch {
		case len(buses) > 1:
			t.Errorf("%s fits %s", alias, buses)
		case len(buses) == 1 && !forDevices:
			t.Errorf("%s is no device's, and fits %s", alias, buses)
		case len(buses) == 1:
			fit++
		case forDevices:
			none = append(none, alias)
		}
	}
	if fit < 20000 {
		t.Errorf("only %d of %d aliases fit a form", fit, len(aliases))
	}
	return none
}

// fits are the buses whose ids a pattern can match.
func fits(pattern string) (buses []string) {
	for f := range modalias.Forms() {
		if f.Fits(pattern) {
			buses = append(buses, f.Bus)
		}
	}
	return buses
}
