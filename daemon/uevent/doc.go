// Package uevent hears from the kernel which devices and modules come and go.
//
// # Two sources, one voice
//
// The kernel broadcasts a uevent over netlink when a device or a module
// appears, changes or disappears, and shows in sysfs what is there now. A
// [Source] reads both and hands what it learns to a [Sink], from one
// goroutine, so that a scan and the events around it can't overtake each
// other. The socket is bound before the first scan: a device that appears
// while sysfs is being walked (a disk, while its controller's driver starts)
// is met by the walk, or its event is waiting in the socket, or both. So one
// scan suffices, and events never need to be triggered again.
//
// # When events are lost
//
// The kernel never waits for a reader. When the socket's receive buffer is
// full, it drops events, says ENOBUFS once, and goes on dropping until the
// reader has emptied the queue (netlink_overrun and netlink_rcv_wake in
// net/netlink/af_netlink.c). Scanning as soon as ENOBUFS is seen would
// therefore be too early: what is dropped after the scan would never be
// noticed. A Source first hands on all that is queued, then tells its sink
// with Lost, and a scan asked for in answer sees everything that was dropped.
//
// A gap in SEQNUM proves nothing: the kernel numbers the events of all network
// namespaces in one row.
//
// # What is believed
//
// Only the kernel may speak: a message counts if its sender's port is 0, if it
// was sent to the kernel's group (udevd's own messages go to another), and if
// its credentials say uid 0. The process id in them is not looked at: the
// kernel passes on what a privileged process gave it to broadcast, with that
// process's id.
//
// # Memory
//
// Everything handed to a Sink is a view into a buffer that is reused. A Source
// keeps one buffer for messages and one for each thing that a scan reads,
// 33 KiB together, whatever the number of devices, and allocates nothing for a
// message or a device.
package uevent
