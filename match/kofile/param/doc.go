// Package param holds the parameters that a module is given to what the module says
// that it takes, by the rules of the kernel: kernel/params.c, lib/kstrtox.c and
// lib/cmdline.c of Linux 6.1. It does no more than the kernel does: what it
// finds fault with the kernel refuses, with the same errno.
//
// Three things are left to the kernel: parameters of types that a module has made
// itself, those that a locked-down kernel lets nobody set, and words for yes and no
// that begin with t, f, e or d, which some kernels take and others don't.
package param
