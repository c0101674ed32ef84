// Package insmod is the command insmod(8): it puts one module file into the
// kernel, and nothing that the module needs.
//
// The words on standard error begin with kmod's. A line with the kernel's reason in
// plain words follows, which --compat=kmod leaves away. Parameters are held to what the
// module's file says of them before the kernel is asked: what it would refuse is not
// tried, and what it would ignore is warned of. With -f, and with --compat=kmod, all that
// is left to the kernel.
package insmod

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
	"github.com/kmodd/kmodd/cmd/kmodctl/insert"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/modalias"
)

// options are what a command line says, but for the file and its parameters.
type options struct {
	force  bool
	compat bool // no words but kmod's

	tell func(about string) // more than kmod would say
}

func (o *options) table(version string) []getopt.Option {
	ignored := func(string) error { return nil } // they meant something once
	return []getopt.Option{
		{Short: 'p', Do: ignored},
		{Short: 's', Do: ignored},
		getopt.On('f', &o.force),
		getopt.Compat(&o.compat),
		getopt.Asks('V', "version", "kmod version "+version+"\n"),
		getopt.Asks('h', "help", usage),
	}
}

const usage = `Usage:
	insmod [options] FILE [PARAMETER=VALUE...]

Puts the module in FILE into the kernel. What it needs must be there already:
modprobe finds that, and the file.

	-f             don't compare versions of symbols, nor the kernel that the
	               module is built for, nor parameters with their types
	-p, -s         nothing
	--compat=kmod  say no more than kmod does
	-V, --version  print the version
	-h, --help     print this
`

// Main does what a command line says, without the program's name, and returns
// the exit status.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	var o options
	log := kmodlog.New("insmod", stderr, false, kmodlog.Failure)
	words, err := getopt.Parse(args, o.table(version))
	if status, over := log.Over(words, err, "missing filename.", stdout); over {
		return status
	}
	if words[0] == "-" {
		log.Say(kmodlog.Failure, "this tool does not support loading from stdin!")
		return 1
	}
	o.tell = func(about string) { log.Tell(kmodlog.Failure, about) }
	says, err := o.insert(words[0], strings.Join(words[1:], " "))
	if err == nil {
		return 0
	}
	log.Say(kmodlog.Failure, "%s", says)
	if !o.compat {
		o.tell(err.Error())
	}
	return 1
}

// insert puts in a file. If it can't, says is what kmod says to that.
func (o *options) insert(file, parameters string) (says string, err error) {
	path, err := filepath.Abs(file)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return fmt.Sprintf("could not load module %s: %s", file, libc.Strerror(libc.Errno(err))), err
	}
	m := kernel.Module{Name: modalias.ModuleName(filepath.Base(file)), File: path, Options: parameters}
	if o.force {
		m.Force = kernel.ForceVersions | kernel.ForceMagic
	}
	put := insert.File
	if !o.compat {
		put = func(k kernel.System, m kernel.Module) error { return insert.Checked(k, m, o.tell) }
	}
	if err := put(kernel.System{}, m); err != nil {
		return fmt.Sprintf("could not insert module %s: %s", file, because(libc.Errno(err))), err
	}
	return "", nil
}

// because is what insmod(8) says of a load's errno.
func because(errno syscall.Errno) string {
	switch errno {
	case unix.ENOEXEC:
		return "Invalid module format"
	case unix.ENOENT:
		return "Unknown symbol in module"
	case unix.ESRCH:
		return "Module has wrong symbol version"
	case unix.EINVAL:
		return "Invalid parameters"
	}
	return libc.Strerror(errno)
}
