// Package depmod makes the tables of a directory of modules, which modprobe, udevd
// and kmodd look modules up in: what depmod(8) leaves in /lib/modules/VERSION,
// byte for byte as Debian's does (kmod 30).
//
// # From a tree to tables
//
// [Build] finds the module files in a [Tree], puts them into an order, reads them,
// and finds out who needs whom. What comes of it are [Tables], which are written
// into a directory or printed.
//
// A module's name is that of its file up to the first dot, with "_" for "-". Of
// several files with one name, the directory that they are in decides, as
// depmod.d(5) says ([Config]). Nothing is decided by what is in a file.
//
// The order is that of modules.order, which the kernel's makefiles write: the
// modules that were linked first come first. It is the priority of a module among
// those that have the same alias. What is not listed comes last, in the order of
// depmod's hash table, and so do all modules if there is no list. modules.symbols is
// always in such an order.
//
// # Who needs whom
//
// A module needs the one that exports a symbol which it uses and does not define.
// If several export it, that is the last of them in the order; what is exported
// by the kernel too counts as the module's. The modules are ranked so that each comes
// before all that it needs: whoever is needed by nobody that has no rank yet gets the
// next one, the last found first. A line of modules.dep has all that a module
// needs, directly or not, in the order of ranks, which is the reverse of that in
// which they are loaded.
//
// Modules that need one another can't be ranked. depmod makes no tables then, and
// neither does Build: a [*CycleError] names cycles until every module that is in one is named.
// (Debian's depmod finds only those that begin with the first of them, and where
// two cycles are joined, it never ends.)
//
// # What is wrong in a tree
//
// It is told to a [Listener], one line each, and costs nothing but itself: a file
// that is no module, or is cut short, is in modules.dep as a module that needs
// nothing, since it is that for depmod too, and modprobe can say of it what is wrong. An alias
// that no index can hold is not in the index. A field of a module that has a
// line break would be two lines of a table: it is left out of all.
//
// # Where it differs from depmod
//
//   - modules.weakdep is written if a module has such a field, as depmod does since
//     kmod 33; those of kmod 33 and later write the file if none has, too. Debian's
//     does not know it.
//   - .ko.gz is read. Debian's depmod is built without zlib, and passes such files over.
//   - The tables take their places by rename after all of them are on the disk, the
//     text of modules.dep last. depmod renames one after the other as it goes, and
//     does not wait for the disk.
//   - modules.dep is as old as the beginning of the work, so that
//     [Tree.UpToDate] does not take for old what came while it went on. It looks at fractions
//     of a second, and at folders: a module that has gone is a change.
//   - A byte above 127 in an alias is no entry of an index. depmod writes outside of its
//     memory then.
//
// # Memory and time
//
// Files are read by as many goroutines as there are processors. Of a module, only
// the fields that make lines are kept, and numbers in place of the names of
// symbols, each of which is held once for all; most files are read by three calls.
// A compressed file is unpacked into memory that serves for the next one, too. The
// tables are made and written at the same time, and not held.
//
// Over Debian's 4,022 modules that is about half of the time that Debian's depmod
// takes on two processors, waiting for the disk included, and 0.6 of its memory (kmodlab bench).
package depmod
