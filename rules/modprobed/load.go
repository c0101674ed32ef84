package modprobed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

var directories = [...]string{
	"etc/modprobe.d",
	"run/modprobe.d",
	"usr/local/lib/modprobe.d",
	"usr/lib/modprobe.d",
	"lib/modprobe.d",
}

// shipped are the files that depmod collects from the modules.
var shipped = [...]string{"modules.softdep", "modules.weakdep"}

// Directories returns the directories that configuration is read from, those
// that don't exist included: what to watch for changes.
func Directories(root string) []string {
	dirs := make([]string, len(directories))
	for i, dir := range directories {
		dirs[i] = filepath.Join("/", root, dir)
	}
	return dirs
}

// Load reads the configuration of a system whose root is in a directory ("" for
// "/"), with the softdeps in moduleDir, which is a path of its own, and a
// kernel command line as in /proc/cmdline. What can't be read or understood is
// a warning.
func Load(root, moduleDir, cmdline string) *Config {
	var c Config
	moduleDir = filepath.Clean(moduleDir)
	for _, path := range c.files(root, moduleDir) {
		text, err := readFile(path)
		switch {
		case errors.Is(err, os.ErrNotExist) && filepath.Dir(path) == moduleDir:
			// Not every depmod writes all tables.
		case err != nil:
			c.warn(path, 0, "%v", bare(err))
		default:
			c.readFile(path, string(text))
		}
	}
	c.readCommandLine(cmdline)
	return &c
}

// readFile reads a regular file. Of a FIFO, os.ReadFile would wait for a writer.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("not a regular file"), err)
	}
	return io.ReadAll(f)
}

// A File is the text of a configuration file.
type File struct{ Name, Text string }

// Parse reads the configuration in files, in the order given, and in a kernel
// command line.
func Parse(cmdline string, files ...File) *Config {
	var c Config
	for _, f := range files {
		c.readFile(f.Name, f.Text)
	}
	c.readCommandLine(cmdline)
	return &c
}

// files returns the paths of the files that count, in reading order.
func (c *Config) files(root, moduleDir string) []string {
	paths := make(map[string]string) // by name
	for _, dir := range Directories(root) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			c.warn(dir, 0, "%v", bare(err))
		}
		for _, e := range entries {
			name := e.Name()
			if e.IsDir() || !strings.HasSuffix(name, ".conf") || name[0] == '.' || paths[name] != "" {
				continue
			}
			paths[name] = filepath.Join(dir, name)
		}
	}
	for _, name := range shipped {
		paths[name] = filepath.Join(moduleDir, name)
	}
	names := make([]string, 0, len(paths))
	for name := range paths {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = paths[name]
	}
	return names
}

// bare returns the part of an error of package os that does not name the file.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func (c *Config) warn(file string, line int, format string, args ...any) {
	c.Warnings = append(c.Warnings, Warning{file, line, fmt.Sprintf(format, args...)})
}
