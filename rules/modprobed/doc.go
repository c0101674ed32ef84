// Package modprobed reads what an operator has said about modules: the files of
// modprobe.d(5), the softdeps that modules ship with, and the kernel command
// line.
//
// # Which files
//
// The directories are called modprobe.d; package dropin says where they are and
// which of their files count, in which order.
// Two files from the module directory, modules.softdep and modules.weakdep,
// which depmod collects from the modules themselves, stand in that order under
// their own names. The kernel command line comes last.
//
// The order matters: of several install lines for a module the first counts,
// and of several values for one parameter the last, since the kernel reads them
// from left to right.
//
// # Lines
//
// A backslash at the end of a line continues it; anywhere else it disappears,
// as it does for modprobe. Lines that begin with "#" are comments. What a line
// can't mean is skipped with a [Warning]; nothing stops the reading.
//
// Every rule keeps the file and line that it is from, so that what follows from
// it can be explained.
package modprobed
