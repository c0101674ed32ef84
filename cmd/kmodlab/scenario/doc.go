// Package scenario runs the project's scenarios: scripts that say what shall
// happen on a real kernel with real drivers, and that a person can read without
// this code.
//
// # A scenario
//
// A scenario is a text archive (txtar) in testdata/scenarios: a script, then
// the files that it needs. The language is that of
// rogpeppe/go-internal/testscript: a command a line, # begins a comment and
// heads a phase, ! says that the command shall fail, stdout and stderr match
// the output of the last command with a regular expression. What the bench adds
// is in the table [Verbs], which the command kmodlab verbs prints:
//
//	# A USB disk is plugged in and its driver loaded
//	boot
//	plug stick usb-storage
//	guest modprobe -a xhci_pci usb-storage sd_mod
//	wait-for test -b /dev/sda
//	witness add usb:v46F4p0001*
//	unplug stick
//
// There is no verb to sleep. What takes time is waited for, with a limit:
// wait-for asks again and again in the guest, and each of plug, unplug, witness
// and ended waits for the event itself.
//
// # Machines
//
// Every scenario has a machine of its own, from boot to the next boot or the
// end of the script, and [Runner] has at most two of them run at a time. A
// machine that lives longer than [MachineTime] is ended. When a scenario fails,
// the log of the guest's kernel, the logs of its background commands and the
// troubles of the witness are shown.
//
// A scenario in which QEMU itself was ended by a signal says nothing about
// kmodd: QEMU 7.2 was seen to crash once in twenty storms of plugging and
// pulling. The log says so, in QEMU's words, and the scenario is run once more.
// One that fails while its machine is sound has failed.
package scenario
