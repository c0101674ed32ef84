// Kmodctl asks the daemon kmodd what it has done and why, and looks up what a
// device would need where no daemon runs.
//
// Answers go to standard output, as tables for people or, with --json, as JSON
// for programs. Times are seconds since the kernel's start, as dmesg prints
// them. Errors are one line on standard error, with the cure; the exit status
// is 1 then, and 2 when the command line is wrong.
//
// The daemon also starts this program, as kmodd-unpack-worker, for modules
// whose compression the kernel does not know: decompressors have no place in
// the resident process.
package main

import (
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/daemon/worker/unpack"
)

// version is set by the build.
var version = "unknown"

func main() {
	if filepath.Base(os.Args[0]) == unpack.Name {
		os.Exit(unpack.Main())
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
