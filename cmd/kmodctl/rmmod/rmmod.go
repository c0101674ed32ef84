// Package rmmod is the command rmmod(8): it takes modules out of the kernel, and
// nothing that they needed.
//
// A module in use stays. The words on standard error begin with kmod's. Lines follow
// that name who uses it, as kmodctl usage does: devices, and programs that have
// them open; --compat=kmod leaves these away. Only a module that the kernel counts as used
// is refused: for others, such as that of a network card that is up, kmodctl
// usage is to be asked before.
package rmmod

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/modalias"
)

// A command is one call of rmmod.
type command struct {
	*kmodlog.Log
	force, syslog, compat bool
	verbosity             int

	kernel  kernel.System
	users   usage.System
	modules string // the directory of the running kernel's modules
}

func (c *command) table(version string) []getopt.Option {
	return []getopt.Option{
		getopt.On('f', &c.force, "force"),
		getopt.On('s', &c.syslog, "syslog"),
		getopt.Does('v', "verbose", func() { c.verbosity++ }),
		{Short: 'w', Do: func(string) error {
			return errors.New("-w has waited for nothing since Linux 3.13: modprobe -r --wait does")
		}},
		getopt.Compat(&c.compat),
		getopt.Asks('V', "version", "kmod version "+version+"\n"),
		getopt.Asks('h', "help", help),
	}
}

const help = `Usage:
	rmmod [options] MODULE...

Takes modules out of the kernel. What is in use stays; kmodctl usage MODULE says
who would miss a module that the kernel would let go.

	-f, --force    take out what is in use, and what has no exit function. The
	               machine may crash
	-s, --syslog   messages to syslog
	-v, --verbose  more messages
	--compat=kmod  say no more than kmod does
	-V, --version  print the version
	-h, --help     print this
`

// Main does what a command line says, without the program's name, and returns
// the exit status: 0, or 1 if one of the modules has stayed.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	c := &command{}
	return c.run(args, version, stdout, stderr)
}

func (c *command) run(args []string, version string, stdout, stderr io.Writer) int {
	c.verbosity = kmodlog.Failure
	names, err := getopt.Parse(args, c.table(version))
	c.Log = kmodlog.New("rmmod", stderr, c.syslog, c.verbosity)
	if status, over := c.Over(names, err, "missing module name.", stdout); over {
		return status
	}
	status := 0
	for _, name := range names {
		if !c.takeOut(name) {
			status = 1
		}
	}
	return status
}

// takeOut takes out the module of a name, or of a file.
func (c *command) takeOut(name string) bool {
	module := modalias.ModuleName(name)
	if _, err := os.Stat(name); err == nil {
		module = modalias.ModuleName(filepath.Base(name))
	}
	unload := c.kernel.UnloadForced
	if !c.force {
		if !c.mayGo(module) {
			return false
		}
		unload = c.kernel.Unload
	}
	if err := unload(module); err != nil {
		c.Say(kmodlog.Failure, "could not remove module %s: %s", name, libc.Strerror(libc.Errno(err)))
		c.hint(err.Error())
		return false
	}
	return true
}

// hint says what kmod would not.
func (c *command) hint(says string) {
	if !c.compat {
		c.Tell(kmodlog.Failure, says)
	}
}

// mayGo says whether nothing uses a module, or says who does.
func (c *command) mayGo(module string) bool {
	if c.builtin(module) {
		c.Say(kmodlog.Failure, "Module %s is builtin.", module)
		return false
	}
	if c.kernel.State(module) == kernel.Absent {
		c.Say(kmodlog.Failure, "Module %s is not currently loaded", module)
		return false
	}
	if holders := c.kernel.Holders(module); len(holders) > 0 {
		c.Say(kmodlog.Failure, "Module %s is in use by: %s", module, strings.Join(holders, " "))
		c.nameUsers(module)
		return false
	}
	references, _ := c.kernel.Uses(module)
	switch {
	case references > 0:
		c.Say(kmodlog.Failure, "Module %s is in use", module)
		c.nameUsers(module)
	case references < 0:
		c.Say(kmodlog.Failure, "Module unloading is not supported")
	}
	return references == 0
}

// nameUsers names the devices of a module that are in use, and by whom.
func (c *command) nameUsers(module string) {
	if c.compat {
		return
	}
	for _, f := range c.users.Module(module) {
		if f.State != usage.InUse {
			continue
		}
		says := f.Says
		if f.Device != "" {
			says += " (" + f.Device + ")"
		}
		c.Tell(kmodlog.Failure, says)
	}
}

// builtin says whether a module is part of the kernel.
func (c *command) builtin(module string) bool {
	dir := c.modules
	if dir == "" {
		release, err := kernel.Release()
		if err != nil {
			return false
		}
		dir = "/lib/modules/" + release
	}
	tables, err := match.Open(dir)
	if err != nil {
		return false
	}
	defer tables.Close()
	_, yes := tables.Builtin(module)
	return yes
}
