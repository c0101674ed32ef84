// Package trim finds out which modules and which firmware an image needs for some
// boards, and makes a tree of these alone.
//
// # What is kept
//
// What package rules decides about each device of each board: all steps of the
// decision, with what they need and their softdeps. It is the one search of the
// daemon and of modprobe; here nothing is looked up in another way. Where several
// drivers are preferred for a device, all are kept, for the first one may not take
// it; and so is what waits for somebody to ask for it by its name.
//
// A device asks for no file system, no cipher and no protocol: the kernel asks for
// these when somebody uses them. So the modules that were in a board's kernel when it
// was recorded are kept too, whatever had brought them in, and what modules-load.d
// and the caller name. What a module says it may ask for later, in a weakdep, is
// kept with it.
//
// An install command stands for a module and for what the module needs, and loads
// either, as a rule. Both are kept. What else it does nobody can tell.
//
// # Firmware
//
// Kept are the files that the kept modules name as theirs (MODULE_FIRMWARE), and
// those parts of the kernel that devices lead to, as far as they are installed. A
// name with wildcards stands for all files that match. Most modules name the files
// of all devices that they can drive, so that some are missing nearly always.
//
// # The tree
//
// [Trim.Copy] writes it under another name beside its place, the tables last, and
// renames it when all of it is on the disk.
package trim
