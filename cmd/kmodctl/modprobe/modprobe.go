package modprobe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/match/regular"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

// A command is one call of modprobe.
type command struct {
	options
	*voice
	tables *match.Tables
	set    *rules.Set
	kernel kernel.System
	dir    string // of the modules
	// without is why there are no tables, nil if there are some.
	without *match.MissingError
	// ended is set by what kmod takes for fatal.
	ended bool
	// gone are the modules that a dry run has taken out.
	gone map[string]bool
}

// Main does what a command line says, without the program's name, and returns
// the exit status: 0, or 1 if anything failed.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	args = append(words(os.Getenv("MODPROBE_OPTIONS")), args...)
	o, names, err := parse(args, version)
	v := newVoice(o, stdout, stderr)
	if about, ok := errors.AsType[getopt.Answer](err); ok {
		io.WriteString(stdout, string(about))
		return 0
	}
	if err != nil {
		v.misread(err)
		return 1
	}
	c := &command{options: o, voice: v, gone: make(map[string]bool)}
	if (o.versions || o.exports) && !o.config {
		return status(c.showSymbols(names[0]))
	}
	if err := c.open(); err != nil {
		c.Say(kmodlog.Fatal, "%v", err)
		return 1
	}
	// The tables' mappings end with the process.
	ok := c.do(names)
	if c.without != nil {
		c.hint("%v", c.without)
	}
	for _, w := range c.set.Warnings() {
		c.hint("%s", w)
	}
	return status(ok)
}

func status(ok bool) int {
	if !ok {
		return 1
	}
	return 0
}

// open reads tables and configuration. A directory without tables is one
// without modules: what is in the configuration counts all the same.
func (c *command) open() error {
	if c.release == "" {
		release, err := kernel.Release()
		if err != nil {
			return fmt.Errorf("release of the running kernel: %w", err)
		}
		c.release = release
	}
	root, err := filepath.Abs(c.root)
	if err != nil {
		return err
	}
	c.dir = filepath.Join(root, "lib/modules", c.release)
	tables, err := match.Open(c.dir)
	if missing := (*match.MissingError)(nil); errors.As(err, &missing) {
		c.without = missing
		tables, err = match.Parse(c.dir, map[string]string{"modules.dep": ""})
	}
	if err != nil {
		return err
	}
	cmdline, _, _ := regular.Read("/proc/cmdline") // not there in a chroot without /proc
	paths := c.configs
	if len(paths) == 0 {
		paths = modprobed.Directories("/")
	}
	config := c.dialect.LoadPaths(paths, c.dir, strings.TrimSpace(cmdline))
	c.tables = tables
	c.set = rules.NewSet(tables, config, rules.WithPolicy(policy.Load("/")))
	return nil
}

// do does what the options say with names, and reports whether all went well.
func (c *command) do(names []string) bool {
	switch {
	case c.options.config:
		return c.showConfig()
	case c.remove:
		return c.takeOutAll(names)
	case c.all:
		return c.each(names, "")
	}
	return c.each(names[:1], parameters(names[1:]))
}

// each resolves names, or puts in what they stand for, with parameters.
func (c *command) each(names []string, extra string) bool {
	ok := true
	for _, name := range names {
		if c.resolve {
			ok = c.showFound(name) && ok
		} else {
			ok = c.putIn(name, extra) && ok
		}
	}
	return ok
}

// showFound prints what a name stands for.
func (c *command) showFound(name string) bool {
	found := c.set.Found(name)
	for _, module := range found {
		c.print("%s\n", module)
	}
	return len(found) > 0 || c.notFound(name)
}

// notFound says that nothing knows a name. It returns false.
func (c *command) notFound(name string) bool {
	c.grave("Module %s not found in directory %s", name, c.dir)
	return false
}

// grave says what ends the command, or with -a the work on one name.
func (c *command) grave(format string, args ...any) {
	if c.all {
		c.Say(kmodlog.Warning, format, args...)
		return
	}
	c.Say(kmodlog.Fatal, format, args...)
}

// present says whether a module is in the kernel, be it on its way in or out.
func (c *command) present(module string) bool {
	return c.kernel.State(module) != kernel.Absent && !c.gone[module]
}

// uses is kernel.System.Uses, without what a dry run has taken out.
func (c *command) uses(module string) (references int, holders []string) {
	references, holders = c.kernel.Uses(module)
	left := slices.DeleteFunc(slices.Clone(holders), func(name string) bool { return c.gone[name] })
	return references - (len(holders) - len(left)), left
}
