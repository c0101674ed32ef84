// Package modinfo is the command modinfo(8): its options, its words and its exit
// statuses.
//
// # What is shown
//
// Each argument is a module's file, if there is a file of that name that ends as
// modules' files do, or else a name that is looked for as modprobe looks, without
// modprobe.d: a module, or an alias that may lead to several. Of a file, everything in
// its .modinfo is shown in the file's order, then its signature, then its
// parameters, of which the last one is the first. Of what is built into the kernel,
// modules.builtin.modinfo knows the same.
//
// # Where it differs from kmod
//
// What goes to standard output is kmod's byte for byte, and so is the first line
// about what fails; another one that explains it may follow, which --compat=kmod
// leaves away. Debian's kmod 30 doesn't know .ko.gz, and shows the
// beginning of an .xz file that is cut short as if it were all: here the one is read
// and the other refused. Files whose sections lie outside of them are refused even
// where what kmod reads is in it.
package modinfo
