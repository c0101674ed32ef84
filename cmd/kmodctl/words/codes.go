package words

import "sync"

// The tables of this file are made when somebody asks for one: a map costs its time at every
// start of the program otherwise.

// usbClasses are the base classes of USB, for where there is no usb.ids.
var usbClasses = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"00": "(Defined at Interface level)", "01": "Audio", "02": "Communications", "03": "Human Interface Device",
		"05": "Physical Interface Device", "06": "Imaging", "07": "Printer", "08": "Mass Storage", "09": "Hub",
		"0A": "CDC Data", "0B": "Chip/SmartCard", "0D": "Content Security", "0E": "Video", "0F": "Personal Healthcare",
		"10": "Audio/Video", "11": "Billboard", "12": "Type-C Bridge", "DC": "Diagnostic", "E0": "Wireless",
		"EF": "Miscellaneous Device", "FE": "Application Specific Interface", "FF": "Vendor Specific Class",
	}
})

// inputBuses are BUS_* of include/uapi/linux/input.h.
var inputBuses = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"0001": "PCI", "0002": "ISA plug and play", "0003": "USB", "0004": "HIL", "0005": "Bluetooth", "0006": "no bus: it is virtual",
		"0010": "ISA", "0011": "PS/2", "0012": "XT keyboard", "0013": "RS-232", "0014": "game port", "0015": "parallel port",
		"0016": "Amiga", "0017": "ADB", "0018": "I2C", "0019": "the mainboard", "001A": "GSC", "001B": "Atari", "001C": "SPI",
		"001D": "RMI", "001E": "CEC", "001F": "Intel's sensor hub", "0020": "AMD's sensor hub",
	}
})

// hidGroups are HID_GROUP_* of include/linux/hid.h.
var hidGroups = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"0001": "generic", "0002": "multitouch", "0003": "sensor hub", "0004": "multitouch for Windows 8",
		"0100": "Synaptics RMI", "0101": "Wacom", "0102": "Logitech Unifying receiver", "0103": "Steam controller",
		"0104": "Logitech 27 MHz receiver", "0105": "Vivaldi keyboard",
	}
})

// inputCodes are EV_*, REL_*, ABS_*, MSC_*, LED_*, SND_*, FF_* and SW_* of
// include/uapi/linux/input-event-codes.h, by field.
var inputCodes = sync.OnceValue(func() map[string]map[int]string {
	return map[string]map[int]string{
		"events": {0: "synchronisation", 1: "keys", 2: "relative axes", 3: "absolute axes", 4: "miscellaneous", 5: "switches",
			0x11: "lights", 0x12: "sounds", 0x14: "repetition", 0x15: "force feedback", 0x16: "power", 0x17: "force feedback's state"},
		"relative axes": {0: "X", 1: "Y", 2: "Z", 3: "rotation about X", 4: "rotation about Y", 5: "rotation about Z",
			6: "horizontal wheel", 7: "dial", 8: "wheel", 9: "miscellaneous", 0xB: "fine wheel", 0xC: "fine horizontal wheel"},
		"absolute axes": {0: "X", 1: "Y", 2: "Z", 3: "rotation about X", 4: "rotation about Y", 5: "rotation about Z",
			6: "throttle", 7: "rudder", 8: "wheel", 9: "gas", 0xA: "brake", 0x10: "hat X", 0x11: "hat Y", 0x18: "pressure",
			0x19: "distance", 0x1A: "tilt X", 0x1B: "tilt Y", 0x1C: "tool width", 0x20: "volume", 0x28: "miscellaneous",
			0x2F: "touch slot", 0x30: "touch width", 0x31: "touch height", 0x34: "touch orientation", 0x35: "touch X",
			0x36: "touch Y", 0x37: "touch tool", 0x39: "touch id", 0x3A: "touch pressure"},
		"miscellaneous": {0: "serial number", 1: "pulse led", 2: "gesture", 3: "raw", 4: "scan code", 5: "timestamp"},
		"lights": {0: "num lock", 1: "caps lock", 2: "scroll lock", 3: "compose", 4: "kana", 5: "sleep", 6: "suspend",
			7: "mute", 8: "miscellaneous", 9: "mail", 0xA: "charging"},
		"sounds":         {0: "click", 1: "bell", 2: "tone"},
		"force feedback": {0x50: "rumble", 0x51: "periodic", 0x52: "constant", 0x53: "spring", 0x54: "friction", 0x55: "damper", 0x56: "inertia", 0x57: "ramp"},
		"switches": {0: "lid", 1: "tablet mode", 2: "headphones", 3: "radio", 4: "microphone", 5: "dock", 6: "line out",
			7: "jack", 8: "video out", 9: "camera's lens", 0xA: "keypad", 0xB: "front proximity", 0xC: "rotation lock", 0xD: "line in",
			0xE: "mute", 0xF: "pen", 0x10: "machine's cover"},
	}
})

// keyRanges are where KEY_* and BTN_* of a kind are. The later one of two counts.
var keyRanges = []struct {
	first, last int
	kind        string
}{
	{0x100, 0x10F, "numbered buttons"},
	{0x110, 0x11F, "mouse buttons"},
	{0x120, 0x12F, "joystick buttons"},
	{0x130, 0x13F, "gamepad buttons"},
	{0x140, 0x14F, "pen or touch"},
	{0x150, 0x151, "gears"},
	{0x220, 0x223, "gamepad buttons"},
	{0x2C0, 0x2E7, "gamepad buttons"},
	{0x74, 0x74, "power key"},
	{0x8E, 0x8E, "sleep key"},
}

// serioTypes and serioProtocols are SERIO_* of include/uapi/linux/serio.h.
var (
	serioTypes = sync.OnceValue(func() map[string]string {
		return map[string]string{
			"00": "XT keyboard port", "01": "PS/2 port", "02": "RS-232 port", "03": "HIL link", "05": "PS/2 pass-through port",
			"06": "PS/2 port that translates scan codes",
		}
	})
	serioProtocols = sync.OnceValue(func() map[string]string {
		return map[string]string{
			"01": "Mouse Systems mouse", "02": "Sun mouse", "03": "Microsoft mouse", "04": "Logitech M+ mouse", "05": "Logitech MZ+ mouse",
			"06": "MZP mouse", "07": "MZ++ mouse", "08": "VSXXXAA mouse", "10": "Sun keyboard", "18": "Warrior joystick",
			"19": "SpaceOrb", "1A": "Magellan", "1B": "Spaceball", "1C": "Gunze touchscreen", "1D": "I-Force joystick", "1E": "Stinger gamepad",
			"1F": "Newton keyboard", "20": "Stowaway keyboard", "23": "Twiddler keyboard", "24": "Twiddler joystick", "28": "LK keyboard",
			"29": "Elo touchscreen", "30": "MicroTouch touchscreen", "31": "PenMount touchscreen", "32": "TouchRight touchscreen",
			"33": "TouchWin touchscreen", "34": "TAOS light meter", "35": "Fujitsu touchscreen", "37": "iNexio touchscreen", "39": "Wacom W8001 tablet",
			"3A": "Dynapro touchscreen", "3B": "Hampshire touchscreen", "3C": "PS/2 multiplexer", "3D": "TSC-40 touchscreen",
			"3E": "Wacom tablet", "3F": "eGalax touchscreen", "40": "Pulse-Eight CEC adapter", "41": "RainShadow CEC adapter",
		}
	})
)

// acpiIDs are ids of ACPI's specification, of PNP's list, and those that the
// kernel makes for objects without one (LNX…).
var acpiIDs = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"ACPI0003": "AC adapter", "ACPI0004": "module", "ACPI0006": "GPE block", "ACPI0007": "processor", "ACPI0008": "ambient light sensor",
		"ACPI000D": "power meter", "ACPI000E": "time and alarm", "ACPI0010": "processor container", "ACPI0011": "generic buttons",
		"ACPI0012": "root of NVDIMMs", "ACPI0016": "CXL host bridge", "ACPI0017": "root of CXL",
		"LNXCPU": "processor", "LNXPOWER": "power resource", "LNXPWRBN": "power button", "LNXSLPBN": "sleep button",
		"LNXSYBUS": "system bus", "LNXSYSTM": "system", "LNXTHERM": "thermal zone", "LNXVIDEO": "video extension",
		"MSFT0101": "TPM 2.0", "PRP0001": "device that is told by its compatible strings", "QEMU0002": "QEMU's firmware configuration",
		"PNP0000": "interrupt controller", "PNP0100": "timer", "PNP0103": "HPET", "PNP0200": "DMA controller", "PNP0303": "PS/2 keyboard",
		"PNP0400": "parallel port", "PNP0401": "parallel port with ECP", "PNP0500": "serial port", "PNP0501": "serial port, 16550A",
		"PNP0700": "floppy controller", "PNP0800": "speaker", "PNP0A03": "PCI host bridge", "PNP0A05": "container", "PNP0A06": "container",
		"PNP0A08": "PCI Express host bridge", "PNP0B00": "real-time clock", "PNP0C01": "resources of the mainboard",
		"PNP0C02": "resources of the mainboard", "PNP0C04": "coprocessor", "PNP0C09": "embedded controller", "PNP0C0A": "battery",
		"PNP0C0B": "fan", "PNP0C0C": "power button", "PNP0C0D": "lid", "PNP0C0E": "sleep button", "PNP0C0F": "PCI interrupt link",
		"PNP0C14": "WMI", "PNP0C31": "TPM 1.2", "PNP0C32": "quick-start button", "PNP0C33": "error device", "PNP0C50": "HID over I2C", "PNP0C60": "display",
		"PNP0C80": "memory", "PNP0CA0": "USB Type-C connectors", "PNP0D10": "USB 3 controller", "PNP0D15": "USB 3 controller",
		"PNP0D20": "USB 2 controller", "PNP0D40": "SD host controller", "PNP0D80": "system's idle states", "PNP0F03": "PS/2 mouse", "PNP0F13": "PS/2 mouse",
	}
})

// virtioDevices are VIRTIO_ID_* of include/uapi/linux/virtio_ids.h.
var virtioDevices = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"01": "network card", "02": "disk", "03": "console", "04": "source of random numbers", "05": "memory balloon", "06": "I/O memory",
		"07": "remote processor messages", "08": "SCSI host", "09": "9P file system", "0A": "Wi-Fi card", "0B": "remote processor's serial port",
		"0C": "CAIF", "0D": "memory balloon", "10": "graphics card", "11": "timer", "12": "input", "13": "sockets to the host",
		"14": "cryptography", "15": "signal distribution", "16": "persistent store", "17": "IOMMU", "18": "memory", "19": "sound card",
		"1A": "file system", "1B": "persistent memory", "1C": "RPMB", "1D": "simulated Wi-Fi", "1E": "video encoder", "1F": "video decoder",
		"20": "SCMI", "21": "Nitro secure module", "22": "I2C adapter", "23": "watchdog", "24": "CAN", "26": "parameter server",
		"27": "audio policy", "28": "Bluetooth", "29": "GPIO",
	}
})

// sdioClasses are SDIO's standard functions, sdioVendors those of
// include/linux/mmc/sdio_ids.h.
var (
	sdioClasses = sync.OnceValue(func() map[string]string {
		return map[string]string{
			"00": "of no standard class", "01": "UART", "02": "Bluetooth", "03": "Bluetooth", "04": "GPS", "05": "camera", "06": "PHS", "07": "Wi-Fi", "08": "disk",
			"09": "Bluetooth with AMP",
		}
	})
	sdioVendors = sync.OnceValue(func() map[string]string {
		return map[string]string{
			"0020": "ST-Ericsson", "0089": "Intel", "0092": "C-guys", "0097": "Texas Instruments", "024C": "Realtek", "0271": "Atheros",
			"0296": "Microchip", "02D0": "Broadcom", "02DF": "Marvell", "037A": "MediaTek", "039A": "Siano", "041B": "RSI",
			"04B4": "Cypress", "104C": "Texas Instruments",
		}
	})
)

var backplaneCores = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"0800": "ChipCommon", "0804": "PCI", "0806": "Ethernet", "0812": "Wi-Fi", "0819": "USB 2.0 host", "081A": "USB 2.0 device", "0820": "PCI Express", "082D": "gigabit Ethernet",
	}
})

// scsiTypes are TYPE_* of include/scsi/scsi_proto.h.
var scsiTypes = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"00": "disk", "01": "tape", "02": "printer", "03": "processor", "04": "write-once disk", "05": "CD or DVD", "06": "scanner",
		"07": "magneto-optical disk", "08": "media changer", "09": "communications", "0c": "RAID controller", "0d": "enclosure",
		"0e": "simple disk", "11": "object storage", "14": "zoned disk", "1e": "well-known logical unit", "7f": "none",
	}
})

// ndTypes are ND_DEVICE_* of include/uapi/linux/ndctl.h, cxlTypes CXL_DEVICE_* of
// drivers/cxl/cxl.h.
var (
	ndTypes = sync.OnceValue(func() map[string]string {
		return map[string]string{
			"1": "NVDIMM", "2": "region", "3": "region of volatile memory", "4": "namespace without a label", "5": "namespace", "7": "namespace for DAX",
		}
	})
	cxlTypes = sync.OnceValue(func() map[string]string {
		return map[string]string{
			"1": "bridge to NVDIMMs", "2": "NVDIMM", "3": "port", "4": "root", "5": "memory expander", "6": "region", "7": "region of persistent memory", "8": "region for DAX",
		}
	})
)

// vmbusClasses are HV_*_GUID of include/linux/hyperv.h, in the order of bytes
// that a modalias has.
var vmbusClasses = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"635161f83edfc546913ff2d2f965ed0e": "network card", "d96361baa104294db60572e2ffb1dc7f": "SCSI controller",
		"4acc9b2f6900f34ab76b6fd0be528cda": "Fibre Channel controller",
		"32264132cb86a2449b5c50d1417354f5": "IDE controller", "6dad12f9172bea48bd65f927a61c7684": "keyboard",
		"9eb6a8cf4a5bc04cb98b8ba1a1f3f95a": "mouse", "02780ada77e3ac4a8e770558eb1073f8": "graphics card",
		"dc7450528589e2468057a307dc18a502": "memory balloon", "1df6c444444400449d52802e27ede19f": "PCI pass-through",
		"31600b0e13523449818b38d90ced39db": "shutdown", "30e62795aed07b49adcee80ab0175caf": "time synchronisation",
		"394f16571591784eab55382f3bd5422d": "heartbeat", "e7f4a0a9455a964db8278a841e8c03e6": "key-value exchange",
	}
})

var cpuVendors = sync.OnceValue(func() map[string]string {
	return map[string]string{ // X86_VENDOR_* of arch/x86/include/asm/processor.h
		"0000": "Intel", "0001": "Cyrix", "0002": "AMD", "0003": "UMC", "0005": "Centaur", "0007": "Transmeta", "0008": "NSC",
		"0009": "Hygon", "000A": "Zhaoxin", "000B": "Vortex",
	}
})

var pcmciaFunctions = sync.OnceValue(func() map[string]string {
	return map[string]string{ // CISTPL_FUNCID_*
		"00": "several functions", "01": "memory", "02": "serial port", "03": "parallel port", "04": "disk", "05": "video", "06": "network card", "07": "AIMS", "08": "SCSI",
	}
})

// primeCells are parts of Arm's with a driver in the kernel.
var primeCells = sync.OnceValue(func() map[uint64]string {
	return map[uint64]string{
		0x011: "UART", 0x022: "SPI controller", 0x031: "real-time clock", 0x041: "audio interface", 0x050: "keyboard and mouse interface", 0x061: "GPIO",
		0x080: "DMA controller", 0x081: "DMA controller", 0x110: "display controller", 0x111: "display controller",
		0x180: "MMC interface", 0x181: "MMC interface", 0x190: "interrupt controller", 0x330: "DMA controller", 0x341: "memory controller",
	}
})

var chassisTypes = sync.OnceValue(func() map[string]string {
	return map[string]string{ // SMBIOS's table of enclosures
		"1": "other", "2": "unknown", "3": "desktop", "4": "low-profile desktop", "5": "pizza box", "6": "mini tower", "7": "tower",
		"8": "portable", "9": "laptop", "10": "notebook", "11": "hand-held", "12": "docking station", "13": "all in one", "14": "sub-notebook",
		"15": "space-saving", "16": "lunch box", "17": "main server", "18": "expansion", "19": "sub-chassis", "21": "peripheral", "22": "RAID",
		"23": "rack mount", "24": "sealed-case PC", "25": "multi-system", "28": "blade", "29": "blade enclosure", "30": "tablet",
		"31": "convertible", "32": "detachable", "33": "IoT gateway", "34": "embedded PC", "35": "mini PC", "36": "stick PC",
	}
})
