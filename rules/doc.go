// Package rules decides which modules a name or a device calls for: the one
// search behind everything that loads.
//
// # Inputs
//
// A [Set] is all that a decision rests on: the tables of the installed modules
// (package match) and the operator's configuration (package modprobed). It
// never changes. Who has new tables or new configuration makes a new Set.
//
// # The look-up
//
// A name is looked for in seven places, and the first that knows it ends the
// search:
//
//  1. alias lines of the configuration, all that match
//  2. modules.dep, for the exact name of a module
//  3. modules.symbols, for names that begin with "symbol:"
//  4. install and remove lines, for the exact name
//  5. modules.alias, all that match, in loading priority order
//  6. modules.builtin, for the exact name
//  7. the aliases of what is built in
//
// A module that was found is passed over if it is blacklisted. By
// [Set.Resolve], which is modprobe NAME, that holds only for modules that an
// alias led to. By [Set.Decide], which is what hot-plug asks (modprobe -b), it
// holds for all. What a module needs, and its softdeps, are never held back by
// a blacklist.
//
// # The order
//
// The steps of a [Decision] are in the order of modprobe -D: what a module
// needs goes before it, its pre-softdeps after what it needs and before the
// module, its post-softdeps after it. Softdeps of what is needed apply too. A
// loop of softdeps is cut where it comes back to a module that is under way.
// Each step names the earlier steps that it has to wait for, so that all
// others may run beside it; and as it names earlier ones only, waiting never
// goes in circles, whatever the tables say.
//
// # Where modprobe differs
//
//   - Modules ship several softdep lines, of which modprobe heeds the first.
//     Here all count.
//   - modprobe passes over an install line for a module that has softdeps, and
//     loads the module. Here the line counts.
//   - Names in modprobe.blacklist= may be written with dashes, and in quotes.
//   - A module that the kernel refuses by its own module_blacklist= is not asked
//     for, and neither is what only that module would have needed.
//   - An alias of a module that is not installed is a reason to give, where
//     modprobe -n is silent.
//   - A comment may be indented.
package rules
