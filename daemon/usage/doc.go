// Package usage finds out who is using a driver, before it is taken out of the
// kernel.
//
// The kernel's own answer, a module's reference count, is necessary and not
// enough: network cards that are up, the host of a mounted USB disk and a
// keyboard all have drivers whose count is 0, and delete_module(2) takes them
// out without a word.
//
// # Detectors
//
// For each kind of device there is a detector, a function of an [inquiry] and a
// device, that answers in use, idle or can't tell, with the reason in words:
//
//	network    interfaces that are up, are part of another, or have an address
//	block      mounts in all mount namespaces, swap, md and dm, loop devices, open files
//	character  nodes that a process has open; serial ports besides that are not the console
//	sound      PCM streams, and open nodes
//	bluetooth  controllers that are up
//	graphics   open nodes, connectors that are enabled, the console on a frame buffer
//	wakeup     what may wake the machine
//	never      what others rest on without opening anything, and what has users that can't be seen
//	module     reference counts and holders
//	power      what the kernel has suspended: a hint, which decides nothing
//	driver     a driver that nothing of the above has an answer for
//	library    a module without a driver of devices: what it was loaded for decides
//
// [State] "can't tell" counts as in use. That is the answer for everything that
// no detector knows: a driver is idle only if something below each of its
// devices was asked and said so. A driver that registers nothing in sysfs (for
// clocks, pin controllers, mailboxes, random numbers) is never idle here.
//
// # The walk
//
// Asked about are the device, every device below it in /sys/devices, every
// consumer of any of these over a device link (the kernel unbinds consumers with
// their supplier, drivers/base/core.c), and what is below those. Interfaces of
// one USB device that one driver has claimed together answer for each other.
//
// The result is a moment's. A reader may come between it and delete_module(2),
// and since when something is idle the kernel doesn't say: who wants to know
// asks again and again.
//
// # What is read
//
// Files of /sys and /proc by name, none that takes a device's lock, talks to the
// hardware or wakes it: not uevent, which many kernels show under the lock, not
// waiting_for_supplier, which can lock up the kernel, not carrier or speed.
// Files that processes have open are looked at with statx(2) and
// AT_STATX_DONT_SYNC, and not at all on file systems that a network or another
// process could keep waiting. Three global locks of the kernel are taken, each
// for the devices that it is about: the console's for serial ports and frame
// buffers, the network's for interfaces that are idle by all else, which
// whoever takes their driver out takes as well, and a sound stream's.
//
// # What it takes
//
// To see what other users' processes have open and mounted takes CAP_SYS_PTRACE
// and CAP_DAC_READ_SEARCH, the addresses of interfaces a socket of AF_NETLINK,
// and Bluetooth one of AF_BLUETOOTH. Without them, in a container, and where /proc
// hides processes, the answer is can't tell, and says why. That somebody was
// seen who uses a device counts all the same.
//
// # What is not seen
//
// Memory maps of a device whose file is closed, files in flight over a socket,
// files in io_uring's tables, and devices that the kernel itself opened by path
// for an export (LIO, NVMe over fabrics, a mass storage gadget). Most of these
// hold the module, so [System.Module] sees them in the reference count;
// [System.Device] does not ask it, since it is of all the driver's devices. A
// terminal that is open only as /dev/tty is one of these. Threads with a table
// of open files that is not their process's are not looked into.
package usage
