package main

import (
	"os"
	"strings"
	"syscall"
)

// leanRuntime are settings of the Go runtime (package runtime, GODEBUG).
// Transparent huge pages, where they are always on as on Debian, make the first
// touch of the heap cost 4 MB. Preemption by signals has every thread keep the
// pages of a signal stack; the daemon has no loop that runs for long.
const leanRuntime = "disablethp=1,asyncpreemptoff=1"

// withLeanRuntime starts this program once more, with settings that the runtime
// reads only when it starts. One processor is all that the daemon has use for:
// it waits for the kernel, and each further one costs half a megabyte in caches
// of free objects.
//
// If the program's file can't be had, it goes on as it is.
func withLeanRuntime() {
	settings := os.Getenv("GODEBUG")
	if strings.Contains(settings, "disablethp=") {
		return
	}
	// The file's path and not /proc/self/exe: the kernel names a process after
	// what was executed.
	path, err := os.Executable()
	if err != nil {
		return
	}
	if settings != "" {
		settings += ","
	}
	os.Setenv("GODEBUG", settings+leanRuntime)
	if os.Getenv("GOMAXPROCS") == "" {
		os.Setenv("GOMAXPROCS", "1")
	}
	_ = syscall.Exec(path, os.Args, os.Environ())
}
