// Package kmod is the command kmod(8): its commands list, static-nodes and help.
package kmod

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
	"github.com/kmodd/kmodd/cmd/kmodctl/lsmod"
	"github.com/kmodd/kmodd/daemon/kernel"
)

const usage = `Usage:
	kmod [options] COMMAND [options of the command]

	-V, --version  print the version
	-h, --help     print this

Commands:
	help           print this
	list           list the modules in the kernel, as lsmod does
	static-nodes   print the device nodes that modules of this kernel have

Called by their names, it is lsmod, rmmod, insmod, modinfo, modprobe and depmod.
`

// Main does what a command line says, without the program's name, and returns
// the exit status.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	return system{}.run(args, version, stdout, stderr)
}

// A system is what is asked. The zero value is the running one.
type system struct {
	kernel.System
	root string // of /lib/modules
}

func (s system) run(args []string, version string, stdout, stderr io.Writer) int {
	own, args := before(args)
	_, err := getopt.Parse(own, []getopt.Option{
		getopt.Asks('V', "version", "kmod version "+version+"\n"),
		getopt.Asks('h', "help", usage),
	})
	about, asked := errors.AsType[getopt.Answer](err)
	switch {
	case asked:
		io.WriteString(stdout, string(about))
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "kmod: %v\n", err)
		return 1
	case len(args) == 0:
		return misused(stdout, stderr, "missing command")
	}
	switch name, args := args[0], args[1:]; name {
	case "help":
		io.WriteString(stdout, usage)
		return 0
	case "list":
		return lsmod.List(name, args, s.System, stdout, stderr)
	case "static-nodes":
		return s.staticNodes(args, stdout, stderr)
	default:
		return misused(stdout, stderr, fmt.Sprintf("invalid command '%s'", name))
	}
}

// before parts the options of kmod itself from the command and what follows.
func before(args []string) (own, rest []string) {
	for i, arg := range args {
		if arg == "--" {
			return nil, args[i+1:]
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			return args[:i], args[i:]
		}
	}
	return args, nil
}

func misused(stdout, stderr io.Writer, says string) int {
	fmt.Fprintln(stderr, says)
	io.WriteString(stdout, usage)
	return 1
}
