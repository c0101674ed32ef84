// Kmodd-tools is kmod's programs, and what the daemon has done outside of its own
// process, for a board that has no room for more: kmodctl is all that too, and
// twice as large.
//
// It goes by its name. Links to it are called depmod, insmod, kmod, lsmod, modinfo,
// modprobe and rmmod; the daemon starts it as kmodd-able-worker, for modules whose
// compression the kernel does not know and for devices of which somebody has to find
// out who uses them. Under its own name its first argument is such a name.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodctl/multicall"
)

// version is set by the build.
var version = "unknown"

func main() {
	argv := os.Args
	status, known := multicall.Run(argv, version)
	if !known && len(argv) > 1 {
		status, known = multicall.Run(argv[1:], version)
	}
	if !known {
		status = about(argv[1:])
	}
	os.Exit(status)
}

// about answers who has called no tool.
func about(args []string) (status int) {
	tools := strings.Join(slices.Sorted(maps.Keys(multicall.Tools)), ", ")
	switch strings.Join(args, " ") {
	case "-h", "--help":
		fmt.Printf("Usage:\n\tkmodd-tools TOOL [ARGUMENT...]\n\tTOOL [ARGUMENT...], by a link to kmodd-tools of that name\n\nTools: %s\n", tools)
	case "-V", "--version":
		fmt.Println("kmodd-tools version", version)
	default:
		fmt.Fprintf(os.Stderr, "kmodd-tools: it does nothing by this name: call it by a link, or with a first argument, that is one of %s\n", tools)
		return 1
	}
	return 0
}
