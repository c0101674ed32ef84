// Package bench measures how fast and how small kmodd is, beside its peers in the
// same run, and prints one table.
//
// # What is measured
//
// Parsing a uevent, and the way of 20,000 of them through a socket, are the
// benchmarks of package daemon/uevent, run by go test; the peer is
// pilebones/go-udev. Look-ups are described below. The size is that of the
// program as it ships. Memory is that of the daemon at rest after it has
// loaded the drivers of a busy PC, on a real kernel in QEMU; the peer is
// systemd-udevd, which does the same on the same machine in a boot of its own.
//
// # Look-ups
//
// Names are looked up in the tables of two of Debian's kernels, on whatever
// machine: the aliases of a PC, and those of boards with device trees, which are
// longer and share more. A hit is a name made from an alias, one for each. A
// miss is a hit with bytes exchanged for others of their kind until it leads
// nowhere, as the name of a device that no driver is for. The mix is all of
// them, in an order in which neighbours have nothing in common. A second table
// shows the families of aliases one by one, by a thousand hits and a thousand
// misses of each where it has as many.
//
// The peer is libkmod, asked by a small C program that is compiled on the spot.
// What is timed of kmodd's is the walk through the index that finds all aliases,
// and of libkmod's the call that does the same and makes objects of the modules;
// "with dependencies and reasons" is all that kmodd does before it loads. Before
// anything is timed, the modules that each name leads to are compared, with
// their order.
//
// # Tools
//
// kmodd-tools is run under the names of kmod's programs, and so are these: depmod
// over Debian's modules, which lie in memory by then, modprobe -n -v and modinfo. A run is a whole process, from its
// start to its end. The tables and the answers are compared. The last two are asked in guests
// with Debian's kernels, too: they take little longer than programs take to start, and that depends
// on the machine.
//
// # What is to be believed
//
// What takes time is measured several times, kmodd and its peer by turns, and the
// median is shown: a machine that is busy with other things is so to both. Times
// inside QEMU, which emulates the processor, say something as ratios only. A
// figure that misses its bound is shown as missed and fails nothing; a
// wrong result, such as a lost event or another order of modules than
// libkmod's, is an error.
package bench
