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

	pci, usb *ids.List
	sought   map[string]bool
}

var _ words.Names = (*names)(nil)

// open opens the files that are named.
func (n *names) open() (err error) {
	n.sought = map[string]bool{ids.PCIFile: n.pciFile != "", ids.USBFile: n.usbFile != ""}
	if n.pciFile != "" {
		if n.pci, err = ids.Open(n.pciFile); err != nil {
			return err
		}
	}
	if n.usbFile != "" {
		n.usb, err = ids.Open(n.usbFile)
	}
	return err
}

func (n *names) close() {
	for _, list := range []*ids.List{n.pci, n.usb} {
		if list != nil {
			list.Close()
		}
	}
}

// seek opens a file where it usually is, if nobody has tried, and tells whether it is
// there. Without it there are numbers.
func (n *names) seek(list **ids.List, fileNames ...string) bool {
	name := fileNames[0]
	if n.sought[name] {
		return *list != nil
	}
	n.sought[name] = true
	file, err := ids.Find(idsRoot, fileNames...)
	if err == nil {
		*list, err = ids.Open(file)
	}
	if err != nil {
		fmt.Fprintln(n.warnings, "kmodctl: numbers have no names:", oneLine(err.Error()))
	}
	return err == nil
}

func (n *names) seekPCI() bool { return n.seek(&n.pci, ids.PCIFile, ids.PCIFile+".gz") }

func (n *names) seekUSB() bool { return n.seek(&n.usb, ids.USBFile, ids.USBFile+".gz") }

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
