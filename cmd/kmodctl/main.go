// Kmodctl asks the daemon kmodd what it has done and why, and looks up what a
// device would need where no daemon runs.
//
// Answers go to standard output, as tables for people or, with --json, as JSON
// for programs. Times are seconds since the kernel's start, as dmesg prints
// them. Errors are one line on standard error, with the cure; the exit status
// is 1 then, and 2 when the command line is wrong.
//
// Under another name it is another program: links in kmodd's own directory, or
// in place of kmod's, call it modprobe, depmod and so on; and the daemon starts it as
// kmodd-able-worker for modules whose compression the kernel does not know, and
// for devices of which somebody has to find out who uses them, since that has no
// place in the resident process.
package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/cmd/kmodctl/depmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/insmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/lsmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/modinfo"
	"github.com/kmodd/kmodd/cmd/kmodctl/modprobe"
	"github.com/kmodd/kmodd/cmd/kmodctl/rmmod"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/sleep"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/daemon/worker"
	"github.com/kmodd/kmodd/match/kofile/unpack"
)

// version is set by the build.
var version = "unknown"

// A tool is a program of kmod's. It gets its arguments, without its name, and
// returns its exit status.
type tool func(args []string, version string, stdout, stderr io.Writer) int

// tools are those that kmodctl is when it is called by their names, or has them
// as its commands.
var tools = map[string]tool{
	"depmod": depmod.Main, "insmod": insmod.Main, "kmod": kmod.Main, "lsmod": lsmod.Main,
	"modinfo": modinfo.Main, "modprobe": modprobe.Main, "rmmod": rmmod.Main,
}

func main() {
	name := filepath.Base(os.Args[0])
	if name == worker.AbleName || name == worker.Name {
		os.Exit(worker.Serve(kernel.System{}, worker.Abilities{
			Unpack: unpack.Unpack,
			InUse:  usage.System{}.Against,
			Survey: sleep.System{}.Survey,
			Tend:   sleep.System{}.Tend,
		}))
	}
	if t := tools[name]; t != nil {
		os.Exit(t(os.Args[1:], version, toolOutput(os.Stdout), &screen{to: os.Stderr}))
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
