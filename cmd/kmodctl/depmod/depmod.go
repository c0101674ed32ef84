package depmod

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/depmod"
	"github.com/kmodd/kmodd/rules/dropin"
)

// A command is one call of depmod.
type command struct {
	options
	*kmodlog.Log
	stdout io.Writer

	release string // of the kernel
	in, out string // the directories of the modules and of the tables
	files   []string
}

// Main does what a command line says, without the program's name, and returns
// the exit status: 0, or 1 if there are no new tables.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	o, words, err := parse(args, version)
	c := &command{options: o, Log: kmodlog.New("depmod", stderr, false, o.verbosity), stdout: stdout}
	for _, option := range o.deprecated {
		c.Say(kmodlog.Warning, "Ignored deprecated option %s", option)
	}
	if about, ok := errors.AsType[getopt.Answer](err); ok {
		io.WriteString(stdout, string(about))
		return 0
	}
	switch {
	case errors.Is(err, errPrefix):
		c.Say(kmodlog.Fatal, "%v", err)
		return 1
	case err != nil:
		c.Misread(err)
		return 1
	}
	if err := c.run(words); err != nil {
		c.fail(err)
		return 1
	}
	return 0
}

// fail says why there are no new tables.
func (c *command) fail(err error) {
	var cycle *depmod.CycleError
	var version *versionError
	switch {
	case errors.As(err, &version):
		c.Say(kmodlog.Failure, "%v", err)
		return
	case !errors.As(err, &cycle):
		c.Say(kmodlog.Fatal, "%v", err)
		return
	}
	for _, line := range cycle.Lines() {
		c.Say(kmodlog.Failure, "Cycle detected: %s", line)
	}
	c.Say(kmodlog.Failure, "Found %d modules in dependency cycles!", cycle.Modules)
}

func (c *command) run(words []string) error {
	if err := c.place(words); err != nil {
		return err
	}
	tree := depmod.Tree{Root: depmod.Disk{}, Dir: c.in, Prefix: c.prefix, Missing: c.missing, Duplicates: c.duplicates}
	if c.quick {
		if c.show {
			return nil // as depmod does
		}
		if done, err := tree.UpToDate(c.out); done && err == nil {
			return nil
		}
	}
	if err := c.readKernel(&tree); err != nil {
		return err
	}
	if c.all || c.quick || len(c.files) == 0 {
		c.configure(&tree.Config)
	} else if err := c.take(&tree); err != nil {
		return err
	}
	return c.make(tree)
}

// place finds out which kernel it is about, and where its modules are.
func (c *command) place(words []string) error {
	switch {
	case len(words) == 0:
		release, err := kernel.Release()
		if err != nil {
			return fmt.Errorf("release of the running kernel: %w", err)
		}
		c.release = release
	case !isRelease(words[0]):
		return &versionError{words[0]}
	default:
		c.release, c.files = words[0], words[1:]
	}
	var err error
	if c.in, err = c.modules(c.root); err != nil {
		return err
	}
	if c.out = c.in; c.options.out != "" {
		c.out, err = c.modules(c.options.out)
	}
	return err
}

// modules is the directory of the kernel's modules below a root.
func (c *command) modules(root string) (string, error) {
	if root == "" {
		root = "/"
	}
	root, err := filepath.Abs(root)
	return filepath.Join(root, "lib/modules", c.release), err
}

// readKernel reads what the kernel itself exports, if somebody says where that is.
func (c *command) readKernel(tree *depmod.Tree) error {
	file, read := c.symvers, depmod.ReadSymvers
	if file == "" {
		file, read = c.sysmap, depmod.ReadSystemMap
	}
	if file == "" {
		if c.missing {
			c.Say(kmodlog.Warning, "-e needs -E or -F")
			tree.Missing = false
		}
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("could not load %s: %w", file, dropin.Bare(err))
	}
	defer f.Close()
	kernel, messages, err := read(file, f, c.prefix)
	tree.Kernel = kernel
	c.sayAll(messages)
	return err
}

// configure reads depmod.d.
func (c *command) configure(config *depmod.Config) {
	paths := c.configs
	if len(paths) == 0 {
		paths = dropin.Directories("/", "depmod.d")
	}
	warn := func(dir string, err error) { c.Say(kmodlog.Failure, "%s: %v", dir, err) }
	for _, file := range dropin.FilesAt(paths, ".conf", warn) {
		text, err := dropin.Read(file)
		if err != nil {
			warn(file, dropin.Bare(err))
			continue
		}
		c.sayAll(config.Read(file, text, c.release))
	}
}

// take has only the files of the command line count.
func (c *command) take(tree *depmod.Tree) error {
	for _, file := range c.files {
		if !filepath.IsAbs(file) {
			return fmt.Errorf("%s: not absolute path", file)
		}
	}
	tree.Only = c.files
	return nil
}

// make makes the tables, and writes or prints them.
func (c *command) make(tree depmod.Tree) error {
	p := newProgress()
	listener := depmod.Listener{
		Say: func(m depmod.Message) {
			p.clear()
			c.say(m)
		},
		Read: p.show,
	}
	if c.Verbosity > kmodlog.Warning {
		listener.Need = func(path, symbol, of string) { fmt.Fprintf(c.stdout, "%s needs %q: %s\n", path, symbol, of) }
	}
	tables, err := depmod.Build(tree, listener)
	p.clear()
	switch {
	case err != nil:
		return err
	case c.show:
		return tables.Print(c.stdout)
	}
	return tables.Write(c.out)
}

func (c *command) say(m depmod.Message) { c.Say(int(m.Level), "%s", m.Says) }

func (c *command) sayAll(messages []depmod.Message) {
	for _, m := range messages {
		c.say(m)
	}
}
