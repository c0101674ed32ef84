// Package sleep is what a driver's sleep takes outside of the deciding part: to
// find out whether it can sleep and wake ([System.Survey]), and to keep the nodes
// of its devices in /dev while it is away ([System.Tend]). Both run in a worker of
// kmodctl's program; what is asked and answered are package worker's types.
//
// # How an open() wakes a driver
//
// A device node is a name for a number. When a driver goes, the kernel removes the
// nodes that it made in devtmpfs, and with them what a program would open. So before
// that the node has another name beside it, and a twin of the same number, owner, mode
// and extended attributes its own: what it has not made the kernel leaves alone
// (drivers/base/devtmpfs.c). When the driver has gone the node is put back. At any
// moment there is one of the two. To open it asks the kernel for a number that nobody
// serves, and the kernel asks its helper, /proc/sys/kernel/modprobe, for
// char-major-81-0 and the like. When the driver is back the same open() goes on, and
// devtmpfs leaves the node that it finds alone, which is its own: it removes it when
// the device goes. A device that goes while its driver is away has no uevent for its
// node, and nobody else who would take that away.
//
// # What can be woken
//
// Only numbers that come back the same, and that the kernel has no owner for while
// the driver is away:
//
//	number          what has to be out
//	81   video      the driver
//	188  ttyUSB     the driver
//	166  ttyACM     the driver
//	116  sound      the driver and snd, which otherwise says ENODEV itself
//	8    disks      the driver and sd_mod, the same
//	179  cards      the driver and mmc_block, the same
//	netdev          the driver
//
// Nodes of other numbers, such as those of the media controller, go with the driver
// and come with it; a driver with none but these can't sleep.
package sleep
