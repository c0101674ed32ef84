// Package devicelist reads and writes lists of the devices of a machine, for
// those who want to know what another machine, or this one at another time, would
// get.
//
// # The format
//
// Text in lines, to be read, compared and edited. Lines that are empty or begin
// with # say nothing. A line that begins with a slash is a device:
//
//	/devices/pci0000:00/0000:00:1f.2 pci pci:v00008086d00002922sv… DRIVER=ahci PCI_CLASS=10601
//
// its path below /sys, its subsystem ("-" for none), its MODALIAS, and variables
// of its uevent. DRIVER is the driver that it had. The other lines are a word and
// what it says:
//
//	format 1                     the first line that says anything
//	recorded-by kmodctl 0.1.0    the program that wrote the list
//	kernel 6.1.0-49-amd64        and the kernel that it ran on
//	machine x86_64               uname -m
//	cmdline loop.max_loop=4      a word of the kernel command line, one a line
//	loaded vfat                  a module that was in the kernel, one a line
//
// A \xNN is the byte of that number: blanks within a field, what is no printable
// ASCII, and the backslash itself are written so.
//
// A reader leaves out a line that it does not understand, and says which and why.
// A format of another number is one in which lines mean something else.
//
// # What tells one board from another
//
// A list is to be shown to others, so it tells what kind of machine it is from,
// and not which one: no serial numbers, addresses of network cards, UUIDs, names
// that somebody gave.
//
// Of a uevent's variables only those are kept that [Keeps] lists. To list what is
// to be left out would never end: every driver may invent variables, and HID_UNIQ,
// HID_PHYS, UNIQ, NAME (of a Bluetooth keyboard: "Anna's keyboard"),
// W1_SLAVE_ID and VMBUS' instances are only those that are known. The listed ones
// hold numbers of kinds: of a vendor, a model, a class.
//
// A MODALIAS is kept whole. It is there to be compared with the tables of
// drivers, which know kinds; a DMI one has neither the serial numbers nor the
// UUID of /sys/class/dmi/id.
//
// In paths, what looks like a MAC address, a UUID or a number of 48 bits and more
// is replaced by ~1, ~2 and so on, in the order of the originals and the same for
// the same, so that a device is still below its bus. There it names a chip on a
// 1-Wire bus (its serial number), a disk by its WWN, a network interface by its
// address, a device of Hyper-V by a GUID which in Azure holds that address. A UUID
// that is in some MODALIAS, too, names a kind (mei, wmi, tee), and stays; so does
// a number that is an address of memory, as device trees write them.
//
// Of the kernel command line only words are kept that say something about
// modules, and no parameter whose name or value looks as above, or like an IP
// address: netconsole.netconsole=, smsc95xx.macaddr=.
package devicelist
