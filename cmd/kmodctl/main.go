// Kmodctl asks the daemon kmodd what it has done and why, and looks up what a
// device would need where no daemon runs.
//
// Answers go to standard output, as tables for people or, with --json, as JSON
// for programs. Times are seconds since the kernel's start, as dmesg prints
// them. Errors are one line on standard error, with the cure; the exit status
// is 1 then, and 2 when the command line is wrong.
//
// Under another name it is another program, as kmodd-tools is: kmod's modprobe, depmod
// and so on, or a worker.
package main

import (
	"os"

	"github.com/kmodd/kmodd/cmd/kmodctl/multicall"
)

// version is set by the build.
var version = "unknown"

func main() {
	if status, known := multicall.Run(os.Args, version); known {
		os.Exit(status)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
