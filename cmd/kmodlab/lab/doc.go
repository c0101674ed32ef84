// Package lab starts guests with a real kernel and real drivers, and works with
// them: it runs commands in them and plugs devices into them.
//
//	build, err := lab.Prepare(ctx, os.Stderr, lab.Programs...)
//	m, err := build.Start(ctx, lab.Options{})
//	defer m.Close()
//	err = m.Plug(ctx, "stick", "usb-storage", nil)
//	result, err := m.Until(ctx, time.Minute, "test", "-b", "/dev/sda")
//
// # A guest
//
// A guest is Debian's kernel with its whole module tree; busybox, kmod, udev, a
// shell and findutils; the programs of this project; and the agent, which is
// its first process. It has no disk and no network until one is plugged in. What
// QEMU can't plug in is played inside the guest: a USB camera ([Camera]).
// Nothing is loaded but what a program asks for: udev is there to be compared
// with, and doesn't run.
//
// With [Debian] as its root its first process is systemd, unpacked from Debian's
// packages like everything else, and systemd-udevd runs; the agent is a service,
// the last one to be started. kmodd's unit and its other files of the folder
// deploy are where a package would have them.
//
// # Boards
//
// A guest is a PC unless [Options] name another board. The boards of one
// architecture start from one root file system and one kernel, each with its
// own device tree; what they need is fetched and made when the first of them is
// started, so a machine that only runs PCs downloads nothing for others.
//
// # Builds
//
// [Prepare] collects all that in a [Build], a folder of the cache that is named
// after its content: the packages, the compiled programs, QEMU's version and
// its command line. A build of the same content is used again; the few that
// were used last stay, the others are removed. The one with systemd is made when
// such a guest is first asked for.
//
// # Templates
//
// The first guest of each root is booted once, stopped when its agent is ready,
// and saved: its memory is a file of the build, the rest of its state half a
// megabyte. It is the same with each board that QEMU can save. Every other guest is restored from these within a tenth of a
// second. Its memory is private, so guests know nothing of each other and
// nothing that one of them breaks is broken for the next. Two things are
// peculiar to a restored guest: its clocks other than the wall clock go on
// where the template stopped, and all of them begin with the same state of the
// random number generator. What needs other devices from the beginning, or
// another kernel command line, is booted from the beginning ([Options]), and so
// is everything when saving or restoring fails.
//
// # Errors and the end
//
// A command that fails in the guest is no error here: see [Result]. Errors are
// about the machine, and say what QEMU or the agent said. Every machine ends
// with its context, by Close, or with the bench, even one that is killed.
package lab
