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
// its own symbols where its Module.symvers is not installed, is [Unknown], and so is
// always what the module's init does. Of two things the running kernel gives proof: a
// module of its own that is live was built for its version magic, with its versions of the
// symbols that this module uses, and signed by a key that it trusts. The files of
// such modules are where these are taken from.
package check
