package usage

import (
	"strings"
	"sync"
)

// Maps are made when somebody asks: they cost their time at every start of the program
// otherwise.

// users are devices, by their bus or class, that have users who can't be seen,
// or that the board depends on.
var users = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"input":            "an input device",
		"hid":              "an input device",
		"hidraw":           "an input device",
		"rc":               "an input device",
		"serio":            "an input device",
		"mmc_host":         "a host of memory cards",
		"memstick":         "a host of memory cards",
		"spi_master":       "a host of SPI devices",
		"spi_slave":        "an SPI device for another host",
		"i2c-dev":          "a host of I2C devices",
		"i3c-master":       "a host of I3C devices",
		"pci_bus":          "a host of PCI devices",
		"phy":              "a PHY",
		"dma":              "a DMA channel",
		"remoteproc":       "a remote processor",
		"rpmsg":            "a channel of a remote processor",
		"udc":              "a USB device controller",
		"gadget":           "a USB gadget",
		"gpio":             "a GPIO chip",
		"regulator":        "a regulator",
		"reset":            "a reset controller",
		"mailbox":          "a mailbox",
		"rtc":              "a clock that keeps the time",
		"hwmon":            "a sensor that watches the hardware",
		"thermal":          "a sensor or a fan that keeps the machine cool",
		"watchdog":         "a watchdog",
		"iommu":            "an IOMMU",
		"tpm":              "a TPM",
		"tpmrm":            "a TPM",
		"pwm":              "a PWM chip",
		"nvmem":            "a memory that other drivers read",
		"leds":             "a light",
		"backlight":        "a screen's light",
		"power_supply":     "a power supply",
		"devfreq":          "a clock's governor",
		"typec":            "a USB-C port",
		"extcon":           "a connector that others watch",
		"usb_role":         "a USB port's role",
		"mtd":              "a flash chip, whose file systems can't be seen",
		"ubi":              "a flash chip, whose file systems can't be seen",
		"clockevents":      "a clock of the kernel's",
		"clocksource":      "a clock of the kernel's",
		"cpu":              "a processor",
		"machinecheck":     "a processor",
		"event_source":     "a performance counter",
		"powercap":         "a limit of power",
		"intel_scu_ipc":    "a processor's firmware",
		"firmware":         "a request for firmware",
		"vtconsole":        "a console",
		"platform-profile": "a governor of power",
	}
})

// providers are properties of a device tree's nodes by which others refer to
// them, and so rest on their driver.
var providers = []struct{ property, is string }{
	{"gpio-controller", "GPIO lines"},
	{"interrupt-controller", "interrupts"},
	{"#clock-cells", "a clock"},
	{"#dma-cells", "DMA channels"},
	{"#interconnect-cells", "an interconnect"},
	{"#iommu-cells", "an IOMMU"},
	{"#io-channel-cells", "measurements"},
	{"#mbox-cells", "a mailbox"},
	{"#phy-cells", "a PHY"},
	{"#power-domain-cells", "a power domain"},
	{"#pwm-cells", "a PWM"},
	{"#reset-cells", "a reset line"},
	{"#thermal-sensor-cells", "a temperature"},
}

// never answers for devices that are not called idle by default.
func never(q *inquiry, d *device) (found []Finding) {
	if is := kindOfUser(d); is != "" {
		found = append(found, d.never("%s is %s", d.name(), is))
	}
	if d.driver == "" || !d.described {
		return found
	}
	for _, p := range providers {
		if q.walk.exists(d.path + "/of_node/" + p.property) {
			return append(found, d.never("%s gives other devices %s", d.name(), p.is))
		}
	}
	return found
}

// kindOfUser says what a device is that is never idle by default, "" of others.
func kindOfUser(d *device) string {
	switch {
	case d.subsystem == "usb" && strings.HasPrefix(d.name(), "usb"):
		return "a host of USB devices" // its root hub
	case d.subsystem == "i2c" && strings.HasPrefix(d.name(), "i2c-") && !strings.Contains(d.name(), ":"):
		return "a host of I2C devices" // i2c-0; a client is 0-0050, or i2c-ACPI0001:00
	}
	return users()[d.subsystem]
}

func (d *device) never(format string, args ...any) Finding {
	f := d.finding(KindNever, Unknown, format, args...)
	f.Never = true
	return f
}

// places are directories of modules that are not called idle by default. The
// longest path counts.
var places = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"arch":                    "code of the processor's",
		"drivers/acpi":            "code of the firmware's",
		"drivers/char/hw_random":  "a source of random numbers",
		"drivers/char/tpm":        "a TPM",
		"drivers/clk":             "a clock",
		"drivers/clocksource":     "a clock of the kernel's",
		"drivers/cpufreq":         "a governor of power",
		"drivers/cpuidle":         "a governor of power",
		"drivers/devfreq":         "a governor of power",
		"drivers/dma":             "a DMA engine",
		"drivers/extcon":          "a connector that others watch",
		"drivers/firmware":        "code of the firmware's",
		"drivers/gpio":            "a GPIO chip",
		"drivers/hid":             "an input device",
		"drivers/hwmon":           "a sensor that watches the hardware",
		"drivers/i2c":             "a host of I2C devices",
		"drivers/i3c":             "a host of I3C devices",
		"drivers/input":           "an input device",
		"drivers/interconnect":    "an interconnect",
		"drivers/iommu":           "an IOMMU",
		"drivers/irqchip":         "an interrupt controller",
		"drivers/leds":            "a light",
		"drivers/mailbox":         "a mailbox",
		"drivers/mmc/host":        "a host of memory cards",
		"drivers/mtd":             "a flash chip, whose file systems can't be seen",
		"drivers/net/mdio":        "a host of PHYs",
		"drivers/net/phy":         "a PHY",
		"drivers/nvmem":           "a memory that other drivers read",
		"drivers/pci":             "a host of PCI devices",
		"drivers/phy":             "a PHY",
		"drivers/pinctrl":         "a pin controller",
		"drivers/pmdomain":        "a power domain",
		"drivers/power":           "a power supply",
		"drivers/powercap":        "a limit of power",
		"drivers/pwm":             "a PWM chip",
		"drivers/regulator":       "a regulator",
		"drivers/remoteproc":      "a remote processor",
		"drivers/reset":           "a reset controller",
		"drivers/rpmsg":           "a channel of a remote processor",
		"drivers/rtc":             "a clock that keeps the time",
		"drivers/soc":             "a part of the chip's",
		"drivers/spi":             "a host of SPI devices",
		"drivers/thermal":         "a sensor or a fan that keeps the machine cool",
		"drivers/usb/gadget":      "a USB gadget",
		"drivers/usb/host":        "a host of USB devices",
		"drivers/usb/phy":         "a PHY",
		"drivers/video/backlight": "a screen's light",
		"drivers/watchdog":        "a watchdog",
		"fs":                      "a file system",
		"net/bridge/netfilter":    "a packet filter",
		"net/ipv4/netfilter":      "a packet filter",
		"net/ipv6/netfilter":      "a packet filter",
		"net/netfilter":           "a packet filter",
		"net/sched":               "a packet scheduler",
	}
})

// neverModule says what a module is that is never idle by default, by where it is
// kept.
func neverModule(place string) string {
	for dir := place; dir != ""; {
		if is := places()[dir]; is != "" {
			return is
		}
		i := strings.LastIndexByte(dir, '/')
		if i < 0 {
			break
		}
		dir = dir[:i]
	}
	return ""
}
