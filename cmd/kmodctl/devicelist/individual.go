package devicelist

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// kept are the variables of uevents whose values are numbers of kinds, by the
// functions that write them.
var kept = map[string]bool{
	"DEVTYPE": true, // drivers/base/core.c

	"PCI_CLASS": true, "PCI_ID": true, "PCI_SUBSYS_ID": true, "PCI_SLOT_NAME": true, // drivers/pci/pci-driver.c
	"PRODUCT": true, "TYPE": true, "INTERFACE": true, // drivers/usb/core: vendor, model and release; classes
	"HID_ID": true, // drivers/hid/hid-core.c

	"SDIO_CLASS": true, "SDIO_ID": true, "SDIO_REVISION": true, // drivers/mmc/core/sdio_bus.c
	"MMC_TYPE":   true,                                                             // drivers/mmc/core/bus.c
	"SERIO_TYPE": true, "SERIO_PROTO": true, "SERIO_ID": true, "SERIO_EXTRA": true, // drivers/input/serio/serio.c
	"CU_TYPE": true, "CU_MODEL": true, "DEV_TYPE": true, "DEV_MODEL": true, // drivers/s390/cio/device.c
	"W1_FID": true, // drivers/w1/w1.c, without W1_SLAVE_ID
}

// Keeps tells whether a list has a variable of devices' uevents. DRIVER and
// MODALIAS are in it in their own places.
func Keeps(variable string) bool {
	// The device tree's (drivers/of/device.c) are as they are in its source.
	return kept[variable] || strings.HasPrefix(variable, "OF_") || variable == "DRIVER" || variable == "MODALIAS"
}

// Keep returns the variables of an environment, as sysfs shows it, that a list
// has beside the driver and the MODALIAS.
func Keep(env []string) (list []string) {
	for _, variable := range env {
		name, value, ok := strings.Cut(variable, "=")
		if ok && Keeps(name) && name != "DRIVER" && name != "MODALIAS" && len(individuals(value)) == 0 {
			list = append(list, variable)
		}
	}
	return list
}

// telling finds what tells one board from another of its kind: a UUID, a MAC
// address, a number of 48 bits or more.
var telling = compiled(`(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}|[0-9a-f]{12,}`)

// compiled compiles an expression when it is first needed. Most processes of this
// program, such as those called modprobe, never do, and all would wait for it.
func compiled(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// individuals returns where in a text there is such a thing. Numbers that are
// addresses of memory, as paths have them from device trees, are none:
// NAME@ADDRESS, ADDRESS.NAME.
func individuals(s string) (spans [][2]int) {
	for _, at := range telling().FindAllStringIndex(s, -1) {
		before, after := s[:at[0]], s[at[1]:]
		address := strings.HasSuffix(before, "@") || len(after) > 1 && after[0] == '.' && isLetter(after[1])
		if !address {
			spans = append(spans, [2]int{at[0], at[1]})
		}
	}
	return spans
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// Mask replaces in the paths of devices what tells one board from another.
func Mask(devices []rules.Device) {
	kinds := kindsIn(devices)
	var found []string
	for _, d := range devices {
		for _, at := range individuals(d.Path) {
			if s := d.Path[at[0]:at[1]]; !kinds[plain(s)] {
				found = append(found, s)
			}
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	for i := range devices {
		devices[i].Path = masked(devices[i].Path, found)
	}
}

// masked is a path with the numbers of what was found instead of itself. They
// are equally long, so that their order is the one of what they stand for.
func masked(path string, found []string) string {
	var b strings.Builder
	from := 0
	for _, at := range individuals(path) {
		if n, ok := slices.BinarySearch(found, path[at[0]:at[1]]); ok {
			fmt.Fprintf(&b, "%s~%0*d", path[from:at[0]], len(fmt.Sprint(len(found))), n+1)
			from = at[1]
		}
	}
	return b.String() + path[from:]
}

// kindsIn returns the UUIDs that some MODALIAS has.
func kindsIn(devices []rules.Device) map[string]bool {
	kinds := make(map[string]bool)
	for _, d := range devices {
		for _, at := range telling().FindAllString(d.Modalias, -1) {
			kinds[plain(at)] = true
		}
	}
	return kinds
}

// plain is a UUID without what it may be written with or without.
func plain(uuid string) string { return strings.ToLower(strings.ReplaceAll(uuid, "-", "")) }

var (
	tellingNames = compiled(`(?i)mac_?addr|hwaddr|serial|uuid|guid|hostid|hostname|passw|secret|token`)
	ipAddress    = compiled(`\d+\.\d+\.\d+\.\d+|[0-9a-fA-F]*::[0-9a-fA-F]`)
)

// KeepWords returns the words of a kernel command line that a list has: those
// about modules that are refused, and the parameters of modules that are known.
// (What looks like a module's parameter may be a program's, such as
// systemd.hostname=.) The names of known modules' parameters that are left out
// all the same are in left.
func KeepWords(line string, known func(module string) bool) (words, left []string) {
	for _, w := range modprobed.Heeded(line) {
		name, value, _ := strings.Cut(w.Option, "=")
		switch {
		case w.Module != "" && !known(w.Module):
		case tellingNames().MatchString(name), telling().MatchString(value), ipAddress().MatchString(value):
			left = append(left, w.Module+"."+name)
		default:
			words = append(words, w.Text)
		}
	}
	return words, left
}
