package qemu

import (
	_ "embed"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// Buses is a PC with a device on each bus that has any in QEMU, many of which
// can't be plugged in later: cards in a card reader, codecs, what ACPI tells of.
// It is not restored, since a restored card reader has lost what it can do.
var Buses = &Board{
	Name: "buses", About: "a PC with a device on each bus", Arch: debian.AMD64, Program: PC.Program, Package: PC.Package,
	Console: PC.Console, Port: PC.Port, ACPI: acpiTable,
	machine: PC.machine, memoryMiB: PC.memoryMiB, args: append(eachBus(), PC.args...),
	usb: PC.usb, Slots: PC.Slots,
}

// acpiTable has the devices that QEMU has no model of. buses.asl is its source.
//
//go:embed buses.aml
var acpiTable []byte

// eachBus are the devices of [Buses]. Its disks hold nothing. The size of an SD
// card is a power of two.
func eachBus() (args []string) {
	for _, disk := range []string{"disk", "card"} {
		args = append(args, "-blockdev", "driver=null-co,read-zeroes=on,size=67108864,node-name="+disk)
	}
	args = append(args, "-chardev", "null,id=printer")
	for _, device := range []string{
		"virtio-rng-pci,romfile=",
		"virtio-scsi-pci,id=scsi,romfile=", "scsi-hd,bus=scsi.0,drive=disk",
		"intel-hda,id=hda", "hda-duplex,bus=hda.0,audiodev=silence",
		"sdhci-pci", "sd-card,drive=card",
		"isa-parallel,chardev=printer",
	} {
		args = append(args, "-device", device)
	}
	return args
}
