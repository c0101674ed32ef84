// Package dev is the loop of somebody who writes a module: it watches the module's file, and
// puts every new build into the kernel in place of the one before.
//
// # When a build is taken
//
// Make may write the file in place, several times, or move another one over it. So the
// folder is watched, and not the file; a build is looked at when nothing has happened to it
// for a moment; and it is not taken while somebody has it open for writing (which a lease
// tells, fcntl(2)) or while its end is missing.
//
// # What is done with it
//
// What the module needs and is not in the kernel is put in by modprobe, or, if it is not
// installed, from the folder of the file. Then the file is checked (package check). Only a
// build against which nothing stands has the one before taken out. One that is in use is
// waited for. The file itself is then loaded, as insmod does: modprobe.d has no say in the
// parameters.
//
// # How
//
// Loads and unloads are made in worker processes (daemon/worker), because a module that is
// being written may well hang or crash in its init or exit function: the loop outlives that.
// What the kernel writes to its log is shown as it comes: what is the module's, and, during
// a load or unload, what nobody has put a name before.
package dev
