// Package lsmod is the command lsmod(8), which kmod also has as kmod list.
package lsmod

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/daemon/kernel"
)

// Main does what a command line says, without the program's name, and returns
// the exit status.
func Main(args []string, _ string, stdout, stderr io.Writer) int {
	return List("lsmod", args, kernel.System{}, stdout, stderr)
}

// List is Main for a program of some name, over some system.
func List(name string, args []string, k kernel.System, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprintf(stderr, "Usage: %s\n", name)
		return 1
	}
	modules, err := k.Loaded()
	if err != nil {
		fmt.Fprintf(stderr, "Error: could not get list of modules: %s\n", libc.Strerror(libc.Errno(err)))
		return 1
	}
	out := bufio.NewWriter(stdout)
	fmt.Fprintln(out, "Module                  Size  Used by")
	for _, m := range modules {
		fmt.Fprintf(out, "%-19s %8d  %d", m.Name, orErrno(m.Size), orErrno(int64(m.References)))
		if holders := k.Holders(m.Name); len(holders) > 0 {
			fmt.Fprint(out, " ", strings.Join(holders, ","))
		}
		fmt.Fprintln(out)
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintf(stderr, "lsmod: %v\n", err)
		return 1
	}
	return 0
}

// orErrno is what kmod prints of a figure that the kernel does not tell: the
// negative errno of a file that is not there.
func orErrno(n int64) int64 {
	if n < 0 {
		return -int64(unix.ENOENT)
	}
	return n
}
