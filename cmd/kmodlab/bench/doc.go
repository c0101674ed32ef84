// Package bench measures how fast and how small kmodd is, beside its peers in the
// same run, and prints one table.
//
// # What is measured
//
// Parsing a uevent, and the way of 20,000 of them through a socket, are the
// benchmarks of package daemon/uevent, run by go test; the peer is
// pilebones/go-udev. Look-ups are of a name made from each alias of
// Debian's kernel and of as many that nothing matches; the peer is libkmod,
// asked by a small C program that is compiled on the spot. The size is that of
// the program as it ships. Memory is that of the daemon at rest after it has
// loaded the drivers of a busy PC, on a real kernel in QEMU; the peer is
// systemd-udevd, which does the same on the same machine in a boot of its own.
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
