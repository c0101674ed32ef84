// Package modulesload reads which modules an operator wants in the kernel
// whatever devices there are: the files of modules-load.d(5), and modules_load=
// on the kernel command line.
//
// # Which files
//
// The directories are called modules-load.d; package dropin says where they are
// and which of their files count, in which order. The kernel command line comes
// before them: modules_load= with names between commas, and in an initramfs
// rd.modules_load= as well.
//
// # Lines
//
// A line names one module, or an alias of one. Lines that are empty or begin
// with "#" or ";" say nothing. What follows a name would be parameters to
// others, and is nothing to systemd, which looks for a module of the whole
// line: such a line is skipped with a warning, for parameters belong into
// modprobe.d.
//
// # Order
//
// The order of the names is kept, and of a name that comes twice the first one
// counts. Who loads them should do so in that order, one after the other, and
// heed blacklists, as systemd-modules-load does.
package modulesload

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/rules/dropin"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// A Config is everything that was read, in the order of loading.
type Config struct {
	Modules  []Module
	Warnings []modprobed.Warning
}

// A Module is one that is wanted, by its name or an alias of it as written.
type Module struct {
	Name string
	modprobed.Rule
}

// A File is the text of a configuration file.
type File struct{ Name, Text string }

// Directories returns the directories that files are read from, those that
// don't exist included: what to watch for changes.
func Directories(root string) []string { return dropin.Directories(root, "modules-load.d") }

// Load reads what is wanted on a system whose root is in a directory ("" for
// "/"), with a kernel command line as in /proc/cmdline. What can't be read or
// understood is a warning.
func Load(root, cmdline string, initramfs bool) Config {
	var files []File
	var warnings []modprobed.Warning
	warn := func(file string, err error) {
		warnings = append(warnings, modprobed.Warning{File: file, Says: err.Error()})
	}
	for _, path := range dropin.Files(Directories(root), ".conf", warn) {
		text, err := dropin.Read(path)
		if err != nil {
			warn(path, dropin.Bare(err))
			continue
		}
		files = append(files, File{path, text})
	}
	c := Parse(cmdline, initramfs, files...)
	c.Warnings = append(warnings, c.Warnings...)
	return c
}

// Parse reads what is wanted by a kernel command line and by files, in the
// order given.
func Parse(cmdline string, initramfs bool, files ...File) Config {
	var c Config
	c.readCommandLine(cmdline, initramfs)
	for _, f := range files {
		c.readFile(f)
	}
	return c
}

// readCommandLine adds the names in modules_load=. In an initramfs those with
// rd. before it count too, elsewhere they are not for us.
func (c *Config) readCommandLine(line string, initramfs bool) {
	for w := range modprobed.Words(line) {
		key, value, _ := strings.Cut(strings.Trim(w, `"`), "=")
		if initramfs {
			key = strings.TrimPrefix(key, "rd.")
		}
		if strings.ReplaceAll(key, "-", "_") != "modules_load" {
			continue
		}
		for name := range strings.SplitSeq(strings.Trim(value, `"`), ",") {
			c.add(name, modprobed.Rule{File: modprobed.KernelCommandLine, Text: w})
		}
	}
}

func (c *Config) readFile(f File) {
	number := 0
	for line := range strings.Lines(f.Text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		c.add(line, modprobed.Rule{File: f.Name, Line: number, Text: line})
	}
}

func (c *Config) add(name string, r modprobed.Rule) {
	words := strings.Fields(name)
	if len(words) > 1 {
		c.Warnings = append(c.Warnings, modprobed.Warning{File: r.File, Line: r.Line,
			Says: fmt.Sprintf("line skipped: a name stands alone; write \"options %s\" into a file of modprobe.d", name)})
		return
	}
	known := func(m Module) bool { return m.Name == words[0] }
	if len(words) == 1 && !slices.ContainsFunc(c.Modules, known) {
		c.Modules = append(c.Modules, Module{words[0], r})
	}
}
