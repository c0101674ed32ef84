// Package words says in words what a device id, or a pattern of ids, is about.
//
// Every form of package modalias has words: its fields have the names that it
// gives them. Where a number has a name that the kernel's headers give it
// (include/linux/mod_devicetable.h and those of each bus), or that pci.ids and
// usb.ids have ([Names]), it is said. What is not known is a number still.
//
// Nothing here does I/O.
package words
