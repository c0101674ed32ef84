package policy

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// A Class is what a module drives, and how that is known.
type Class struct {
	Name    string // one of [Classes]
	Because string
}

const (
	// Other is the class of what belongs to no other one.
	Other = "other"
	// Netfilter is the class of packet filters.
	Netfilter = "netfilter"
)

// byPlace says which class of modules is kept where below the kernel's
// directory: the longest path counts. An empty class is that of a place for
// everything, where the device's own class code says more.
var byPlace = []struct{ dir, class string }{
	{"arch", Other},
	{"block", "storage"},
	{"crypto", "crypto"},
	{"drivers/accel", "gpu"},
	{"drivers/ata", "storage"},
	{"drivers/block", "storage"},
	{"drivers/bluetooth", "bluetooth"},
	{"drivers/cdrom", "storage"},
	{"drivers/char/hw_random", "random"},
	{"drivers/char/tpm", "tpm"},
	{"drivers/clk", "clock"},
	{"drivers/cpufreq", "power"},
	{"drivers/cpuidle", "power"},
	{"drivers/crypto", "crypto"},
	{"drivers/firewire", "bus"},
	{"drivers/gpio", "gpio"},
	{"drivers/gpu", "gpu"},
	{"drivers/hid", "input"},
	{"drivers/hwmon", "sensor"},
	{"drivers/i2c", "bus"},
	{"drivers/i3c", "bus"},
	{"drivers/iio", "sensor"},
	{"drivers/infiniband", "network"},
	{"drivers/input", "input"},
	{"drivers/input/joystick", "joystick"},
	{"drivers/iommu", "iommu"},
	{"drivers/leds", "led"},
	{"drivers/mailbox", "mailbox"},
	{"drivers/md", "storage"},
	{"drivers/media", "media"},
	{"drivers/media/i2c", "camera"},
	{"drivers/media/platform", "camera"},
	{"drivers/media/rc", "remote"},
	{"drivers/media/usb/gspca", "camera"},
	{"drivers/media/usb/uvc", "camera"},
	{"drivers/memstick", "storage"},
	{"drivers/message", "storage"},
	{"drivers/mfd", "mfd"},
	{"drivers/mmc", "storage"},
	{"drivers/mtd", "storage"},
	{"drivers/net", "network"},
	{"drivers/net/can", "can"},
	{"drivers/net/wireless", "wifi"},
	{"drivers/nvdimm", "storage"},
	{"drivers/nvme", "storage"},
	{"drivers/pci", "bus"},
	{"drivers/pcmcia", "bus"},
	{"drivers/phy", "phy"},
	{"drivers/pinctrl", "pinctrl"},
	{"drivers/pmdomain", "power"},
	{"drivers/power", "power"},
	{"drivers/pps", "clock"},
	{"drivers/ptp", "clock"},
	{"drivers/pwm", "pwm"},
	{"drivers/regulator", "regulator"},
	{"drivers/reset", "reset"},
	{"drivers/rtc", "rtc"},
	{"drivers/scsi", "storage"},
	{"drivers/soundwire", "sound"},
	{"drivers/spi", "bus"},
	{"drivers/staging/ks7010", "wifi"},
	{"drivers/staging/media", "camera"},
	{"drivers/staging/r8188eu", "wifi"},
	{"drivers/staging/rtl8192e", "wifi"},
	{"drivers/staging/rtl8192u", "wifi"},
	{"drivers/staging/rtl8712", "wifi"},
	{"drivers/staging/rtl8723bs", "wifi"},
	{"drivers/staging/vt6655", "wifi"},
	{"drivers/staging/vt6656", "wifi"},
	{"drivers/staging/wlan-ng", "wifi"},
	{"drivers/target", "storage"},
	{"drivers/thermal", "thermal"},
	{"drivers/thunderbolt", "bus"},
	{"drivers/tty", "serial"},
	{"drivers/ufs", "storage"},
	{"drivers/usb/atm", "network"},
	{"drivers/usb/chipidea", "usb-host"},
	{"drivers/usb/common", "usb-host"},
	{"drivers/usb/core", "usb-host"},
	{"drivers/usb/dwc2", "usb-host"},
	{"drivers/usb/dwc3", "usb-host"},
	{"drivers/usb/gadget", "usb-gadget"},
	{"drivers/usb/host", "usb-host"},
	{"drivers/usb/image", "camera"},
	{"drivers/usb/musb", "usb-host"},
	{"drivers/usb/phy", "phy"},
	{"drivers/usb/serial", "serial"},
	{"drivers/usb/storage", "storage"},
	{"drivers/video", "gpu"},
	{"drivers/virtio", "bus"},
	{"drivers/w1", "bus"},
	{"drivers/watchdog", "watchdog"},
	{"fs", "filesystem"},
	{"net", "network"},
	{"net/bluetooth", "bluetooth"},
	{"net/bridge/netfilter", Netfilter},
	{"net/can", "can"},
	{"net/ipv4/netfilter", Netfilter},
	{"net/ipv6/netfilter", Netfilter},
	{"net/mac80211", "wifi"},
	{"net/netfilter", Netfilter},
	{"net/wireless", "wifi"},
	{"sound", "sound"},

	{"", ""}, // drivers/misc, drivers/platform, drivers/staging, drivers/usb/class, extra, updates, …
}

// byCode says what the class codes of PCI (bc, sc, i: include/linux/pci_ids.h)
// and of USB interfaces (ic, isc, ip: usb.org's list of class codes) stand for:
// the longest prefix of the digits counts.
var byCode = sync.OnceValue(func() map[string][]struct{ digits, class string } {
	return map[string][]struct{ digits, class string }{
		"PCI": {
			{"01", "storage"},
			{"02", "network"},
			{"0280", "wifi"}, // "other network controller", which wireless cards say of themselves
			{"03", "gpu"},
			{"04", "sound"},
			{"0400", "camera"},
			{"0c00", "bus"},
			{"0c03", "usb-host"},
			{"0c05", "bus"},
			{"0c09", "can"},
			{"0700", "serial"},
			{"0703", "serial"},
			{"0800", Other},
			{"0803", "clock"},
			{"0805", "storage"},
			{"09", "input"},
			{"0d", "wifi"},
			{"0d11", "bluetooth"},
			{"10", "crypto"},
		},
		"USB": {
			{"01", "sound"},
			{"02", "network"},
			{"0202", "serial"},
			{"03", "input"},
			{"06", "camera"},
			{"07", "printer"},
			{"08", "storage"},
			{"0a", "network"},
			{"0e", "camera"},
			{"e001", "wifi"},
			{"e00101", "bluetooth"},
			{"e00103", "network"}, // RNDIS
			{"ef0205", "network"},
		},
	}
})

// first are the classes of what somebody waits for when a machine starts, and of what
// such devices hang on: a keyboard on a host of USB devices, a disk on a regulator.
var first = []string{
	"storage", "network", "input",
	"bus", "usb-host", "phy", "mfd", "gpio", "pinctrl", "clock", "regulator", "reset", "power", "iommu", "mailbox",
}

// IsFirst tells whether modules of a class are loaded before others where no rule
// says at which stage.
func IsFirst(class string) bool { return slices.Contains(first, class) }

// IsBus tells whether modules of a class drive what other devices hang on.
func IsBus(class string) bool { return class == "bus" || class == "usb-host" }

// neverDeferred are the classes of what other devices, or the board itself, rest on:
// unused regulators are switched off half a minute after the boot, say.
var neverDeferred = []string{"watchdog", "mfd", "regulator", "clock", "pinctrl", "power", "iommu", "mailbox", "thermal", "rtc", "reset", "gpio", "phy"}

// MayDefer tells whether modules of a class may wait until later.
func MayDefer(class string) bool { return !slices.Contains(neverDeferred, class) }

// Classes returns all classes, sorted.
func Classes() []string { return slices.Clone(classes()) }

// classes are made when a rule first names one, and not for each that does.
var classes = sync.OnceValue(func() []string {
	all := []string{Other}
	for _, p := range byPlace {
		all = append(all, p.class)
	}
	for _, codes := range byCode() {
		for _, c := range codes {
			all = append(all, c.class)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(class string) bool { return class == "" })
})

// ClassOf returns the class of a module: by where the kernel keeps its file,
// which is given below the module directory ("kernel/drivers/net/…"), and where
// that says nothing by the class code in a device's MODALIAS ("" for none). An
// interface class alone would find few: one of Debian's 27 Wi-Fi drivers.
func ClassOf(file, device string) Class {
	dir := dirOf(file)
	if p := byPlace[placed(dir)]; p.class != "" {
		return Class{p.class, "its driver is kept in " + p.dir}
	}
	if c, ok := classOfCode(device); ok {
		return c
	}
	return Class{Other, "its driver is kept in " + cmp.Or(dir, "no directory") + ", and the device has no class code that tells more"}
}

// ClassName is the name that [ClassOf] returns, without the words: it leaves no garbage
// for nearly all modules.
func ClassName(file, device string) string {
	if p := byPlace[placed(dirOf(file))]; p.class != "" {
		return p.class
	}
	return ClassOf(file, device).Name
}

func dirOf(file string) string {
	return strings.TrimPrefix(file[:max(strings.LastIndexByte(file, '/'), 0)], "kernel/")
}

// placed finds the place that says most of a directory.
func placed(dir string) (best int) {
	best = -1
	for i, p := range byPlace {
		if below(dir, p.dir) && (best < 0 || len(p.dir) > len(byPlace[best].dir)) {
			best = i
		}
	}
	return best
}

// below tells whether a directory is another one or in it.
func below(dir, other string) bool {
	rest, ok := strings.CutPrefix(dir, other)
	return ok && (other == "" || rest == "" || rest[0] == '/')
}

func classOfCode(device string) (Class, bool) {
	bus, digits := classCode(device)
	best := ""
	var class Class
	for _, c := range byCode()[bus] {
		if strings.HasPrefix(digits, c.digits) && len(c.digits) > len(best) {
			best = c.digits
			class = Class{c.class, "the device has the " + bus + " class code " + digits}
		}
	}
	return class, best != ""
}

// classCode returns the six digits of a MODALIAS's class code, in small
// letters. All else that is in small letters there is a tag, so the first "ic"
// is the interface class.
func classCode(device string) (bus, digits string) {
	id, isPCI := strings.CutPrefix(device, "pci:")
	tags := [...]string{"bc", "sc", "i"}
	if bus = "PCI"; !isPCI {
		var isUSB bool
		if id, isUSB = strings.CutPrefix(device, "usb:"); !isUSB {
			return "", ""
		}
		bus, tags = "USB", [...]string{"ic", "isc", "ip"}
	}
	for _, tag := range tags {
		_, rest, found := strings.Cut(id, tag)
		if !found || len(rest) < 2 {
			return "", ""
		}
		digits += strings.ToLower(rest[:2])
		id = rest[2:]
	}
	return bus, digits
}
