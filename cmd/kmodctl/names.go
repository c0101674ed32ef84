package main

import (
	"fmt"
	"io"

	"github.com/kmodd/kmodd/cmd/kmodctl/ids"
	"github.com/kmodd/kmodd/cmd/kmodctl/words"
)

// idsRoot is below what the files of names are looked for. Tests set it.
var idsRoot = "/"

// names are those of the files pci.ids and usb.ids. A file that is not named is
// looked for when its first name is asked for; that it is missing is said once.
type names struct {
	pciFile, usbFile string
	warnings         io.Writer

	pci    *ids.PCI
	usb    *ids.USB
	sought map[string]bool
}

var _ words.Names = (*names)(nil)

// open opens the files that are named.
func (n *names) open() error {
	n.sought = map[string]bool{}
	if n.pciFile != "" {
		if err := n.openPCI(n.pciFile); err != nil {
			return err
		}
	}
	if n.usbFile != "" {
		return n.openUSB(n.usbFile)
	}
	return nil
}

func (n *names) openPCI(file string) error {
	n.sought[ids.PCIFile] = true
	p, err := ids.OpenPCI(file)
	if err == nil {
		n.pci = p
	}
	return err
}

func (n *names) openUSB(file string) error {
	n.sought[ids.USBFile] = true
	u, err := ids.OpenUSB(file)
	if err == nil {
		n.usb = u
	}
	return err
}

func (n *names) close() {
	if n.usb != nil {
		n.usb.Close()
	}
}

// seek opens a file where it usually is, if nobody has tried. Without it there
// are numbers.
func (n *names) seek(open func(string) error, fileNames ...string) {
	name := fileNames[0]
	if n.sought[name] {
		return
	}
	n.sought[name] = true
	file, err := ids.Find(idsRoot, fileNames...)
	if err == nil {
		err = open(file)
	}
	if err != nil {
		fmt.Fprintln(n.warnings, "kmodctl: numbers have no names:", oneLine(err.Error()))
	}
}

func (n *names) seekPCI() bool {
	n.seek(n.openPCI, ids.PCIFile, ids.PCIFile+".gz")
	return n.pci != nil
}

func (n *names) seekUSB() bool {
	n.seek(n.openUSB, ids.USBFile)
	return n.usb != nil
}

// A vendor or class that is empty may be any.

func (n *names) PCIDevice(vendor, device string) []string {
	if vendor == "" || !n.seekPCI() {
		return nil
	}
	return n.pci.Device(vendor, device)
}

func (n *names) PCISubsystem(vendor, device, boardVendor, board string) string {
	if vendor == "" || board == "" || !n.seekPCI() {
		return ""
	}
	return n.pci.Subsystem(vendor, device, boardVendor, board)
}

func (n *names) PCIClass(class, subclass, protocol string) []string {
	if class == "" || !n.seekPCI() {
		return nil
	}
	return n.pci.Class(class, subclass, protocol)
}

func (n *names) USBDevice(vendor, device string) []string {
	if vendor == "" || !n.seekUSB() {
		return nil
	}
	return n.usb.Device(vendor, device)
}

func (n *names) USBClass(class, subclass, protocol string) []string {
	if class == "" || !n.seekUSB() {
		return nil
	}
	return n.usb.Class(class, subclass, protocol)
}
