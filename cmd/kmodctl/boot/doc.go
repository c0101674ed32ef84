// Package boot reads a report of what was loaded while a machine started
// ([control.Boot]), and says what the time went into.
//
// # Loads
//
// A load is wanted, waits for its turn, has its file read by a worker, and is in the
// kernel's hands until its module is live: that is its init, in which a driver as a rule
// probes the devices that are there. What is probed asynchronously, or after the kernel
// had put it off, ends later, so a load ends with the last of these devices.
//
// # The chain
//
// [Report.Chain] goes back from the last critical device to the kernel's start: from a
// device to its driver, from a driver to what it needed last, from there to the device
// that it was wanted for, from that to the one whose driver brought it to light. Each
// link takes the time since the one before it, so all of them together are the whole.
// The daemon records moments and no causes: that something had to wait for its turn, and
// whose turn it was, is concluded here.
//
// # The drawing
//
// [Report.Draw] writes SVG: the chain in a row of its own, and all loads below, as many
// at a time as there were. It holds no script, and what hovers is its titles.
package boot
