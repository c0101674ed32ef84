package modprobed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/rules/dropin"
)

// shipped are the files that depmod collects from the modules.
var shipped = [...]string{"modules.softdep", "modules.weakdep"}

// Directories returns the directories that configuration is read from, those
// that don't exist included: what to watch for changes.
func Directories(root string) []string { return dropin.Directories(root, "modprobe.d") }

// Load reads the configuration of a system whose root is in a directory ("" for
// "/"), with the softdeps in moduleDir, which is a path of its own, and a
// kernel command line as in /proc/cmdline. What can't be read or understood is
// a warning.
func Load(root, moduleDir, cmdline string) *Config { return Kmodd.Load(root, moduleDir, cmdline) }

// A File is the text of a configuration file.
type File struct{ Name, Text string }

// Parse reads the configuration in files, in the order given, and in a kernel
// command line.
func Parse(cmdline string, files ...File) *Config { return Kmodd.Parse(cmdline, files...) }

// load adds what the files in some paths say, and those that modules ship.
func (c *Config) load(paths []string, moduleDir string) {
	moduleDir = filepath.Clean(moduleDir)
	for _, path := range c.files(paths, moduleDir) {
		text, err := dropin.Read(path)
		switch {
		case errors.Is(err, os.ErrNotExist) && filepath.Dir(path) == moduleDir:
			// Not every depmod writes all tables.
		case err != nil:
			c.warn(path, 0, "%v", dropin.Bare(err))
		default:
			c.readFile(path, text)
		}
	}
}

// files returns the paths of the files that count, in reading order.
func (c *Config) files(paths []string, moduleDir string) []string {
	files := dropin.FilesAt(paths, ".conf", func(dir string, err error) { c.warn(dir, 0, "%v", err) })
	for _, name := range shipped {
		files = append(files, filepath.Join(moduleDir, name))
	}
	dropin.SortByName(files)
	return files
}

func (c *Config) warn(file string, line int, format string, args ...any) {
	c.Warnings = append(c.Warnings, Warning{file, line, fmt.Sprintf(format, args...)})
}
