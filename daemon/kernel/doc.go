// Package kernel is the one room with the module system calls and with what
// /proc and /sys say about modules. Nothing else in kmodd calls finit_module,
// init_module or delete_module, or reads /sys/module.
//
// # What the kernel does with a load
//
// finit_module(2) reads the file, checks signature, ELF headers and version
// magic, takes the name (a second load of a name that is on its way in waits
// here), resolves symbols (a symbol whose module is on its way in waits here,
// for 30 seconds at most), sets the parameters, and runs the module's init
// function, which registers drivers and usually probes devices. Only then is
// the module live, its uevent sent, and, unless it was loaded with
// async_probe, every asynchronous probe in the system waited for. All of that
// happens in one call that can't be cancelled, by a signal least of all: it is
// made in a process of its own, see the package daemon/worker.
//
// # Which system call
//
// A plain file, and a compressed one whose method the kernel knows
// ([System.Compression]), go in by [System.Load], which is finit_module: the
// kernel sees the file that the module comes from, and so do LoadPin, IMA and
// SELinux. An image that had to be unpacked here goes in by
// [System.LoadImage], which is init_module. A memfd and finit_module would not
// please anybody more: LoadPin asks for a file on the pinned file system and
// refuses both, IMA wants a signature that a memfd can't carry where it
// accepts init_module under module.sig_enforce, and the SELinux policies in
// use allow what libkmod does, which is init_module.
//
// # Errors
//
// Every failure of a call is an [*Error] that holds the errno and, in words, what the
// kernel means by it here and what to do about it. One errno has many
// meanings (EPERM has five), so those words are found by looking: at
// /proc/self/status, at /proc/cmdline, into the module's file (match/kofile).
// That work is done where the call was made, in the worker process.
//
// # Firmware
//
// A driver that does not find its firmware fails in its probe, and the load
// succeeds all the same. So the names that a module's file holds are looked for
// where the kernel will look ([System.Inspect]), before the call.
//
// # Roots
//
// [System] holds where /sys, /proc, /dev and /lib are. Its zero value is the running
// system; a test points it at a tree.
package kernel
