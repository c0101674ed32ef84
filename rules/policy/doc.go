// Package policy reads what the operator says of drivers beyond modprobe.d: the
// rules of kmodd.toml. It decides nothing by itself; package rules asks it.
//
// # Which files
//
// The main file is the first that there is of
//
//	/etc/kmodd/kmodd.toml
//	/run/kmodd/kmodd.toml
//	/usr/local/lib/kmodd/kmodd.toml
//	/usr/lib/kmodd/kmodd.toml
//
// and beside each of them may be a directory kmodd.toml.d. Of files of one name
// in these directories only that in the first of them counts, and a link to
// /dev/null takes a package's file out, as in package dropin.
//
// # Order
//
// Files of kmodd.toml.d are read in the order of their names, then the main
// file. Of what is read, the first that says something about a key counts: a
// setting, or of the rules that match the first that has the key. So a drop-in
// goes before the main file, and 10-board.toml before 50-vendor.toml.
//
// # Rules
//
// A rule is a table in the array "rule". Its conditions must all hold; of
// several values of one condition, one must:
//
//	class      the class of the module, see [ClassOf]
//	module     its name
//	modalias   the device's MODALIAS
//	subsystem  the device's subsystem
//	env        variables of the device's uevent
//
// All but class are patterns as in modprobe.d ([modalias.Match]). A rule without
// conditions always matches. Conditions on a device hold for no module that is
// asked for by its name; those on a module hold for what a module needs, and for
// its softdeps, as well.
//
// A rule that denies and asks for no class and no module denies the device:
// nothing is loaded for it, whatever matches.
//
// # Mistakes
//
// A rule with an unknown key, or with a value that makes no sense, is left out
// with a warning that names file and line: without one of its conditions it
// would match what nobody meant. A file that is no TOML is left out as a whole.
// The other rules stand.
package policy
