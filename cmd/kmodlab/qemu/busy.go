package qemu

// busyCards are the cards of a busy PC: network, storage, sound, virtio and
// system devices of many makers, so that some 117 modules have work.
var busyCards = []string{
	"e1000", "e1000e", "rtl8139", "vmxnet3", "ne2k_pci", "pcnet", "i82559er", "tulip",
	"virtio-rng-pci", "virtio-balloon-pci", "virtio-scsi-pci", "virtio-gpu-pci", "virtio-keyboard-pci",
	"intel-hda,id=hda", "AC97,audiodev=silence", "ES1370,audiodev=silence",
	"sdhci-pci", "i6300esb", "pvpanic-pci",
	"lsi53c895a", "megasas", "mptsas1068", "am53c974", "pvscsi",
	"usb-ehci", "piix3-usb-uhci",
}

// busyRest hangs on the cards and on xhci.
var busyRest = []string{
	"hda-duplex,bus=hda.0,audiodev=silence",
	"usb-kbd,bus=xhci.0", "usb-mouse,bus=xhci.0", "usb-tablet,bus=xhci.0", "usb-wacom-tablet,bus=xhci.0",
}

// BusyPC is the device list of a busy PC, for Config.Devices.
func BusyPC() []string {
	var all []string
	for _, card := range busyCards {
		all = append(all, card+",romfile=")
	}
	return append(all, busyRest...)
}
