package main

import (
	"os"
	"strings"
	"syscall"
)

// noHugePages is a setting of the Go runtime (package runtime, GODEBUG).
const noHugePages = "disablethp=1"

// withoutHugePages starts this program once more, with transparent huge pages
// off for its heap. Where they are always on, as on Debian, the first touch
// of the heap costs 4 MB otherwise. The runtime reads the setting only when it
// starts. One processor is all that the daemon has use for: it waits for the
// kernel, and each further one costs half a megabyte in caches of free objects.
//
// If the program's file can't be had, it goes on as it is.
func withoutHugePages() {
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
	os.Setenv("GODEBUG", settings+noHugePages)
	if os.Getenv("GOMAXPROCS") == "" {
		os.Setenv("GOMAXPROCS", "1")
	}
	_ = syscall.Exec(path, os.Args, os.Environ())
}
