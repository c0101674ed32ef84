// Package check says what the kernel would say to a module, without asking it to
// load it.
//
// # The order
//
// The steps are those of load_module in kernel/module/main.c, in its order, so that
// the first one that fails is the one that the kernel would have refused at, with the
// errno that it would have answered. Two are added that are modprobe's: what the module
// needs must be loadable itself, and modprobe.d and kmodd.toml must allow it.
//
// # What can't be known
//
// Nothing is guessed. What the running kernel does not show, such as the versions of
// a symbol that no module of its own uses, is [Unknown], and so is
// always what the module's init does. What the kernel itself does not tell is taken from
// modules of its own, those first that are in, for these it has accepted: its version
// magic, the versions of its symbols and, only of those that are in, which keys it trusts.
// Module.symvers of its headers comes first where it is installed.
package check
