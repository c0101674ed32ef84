package modinfo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// A command is one call of modinfo.
type command struct {
	options
	stdout *bufio.Writer
	stderr io.Writer
	dir    string // of the modules, as kmod would write it
	// tables are nil until a name has to be looked up.
	tables *match.Tables
	// without is why nothing can be found, nil if something may.
	without *match.MissingError
	// sought tells that a name was looked for in vain.
	sought bool
}

// Main does what a command line says, without the program's name, and returns
// the exit status: 0, or 1 if anything failed.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	o, names, err := parse(args, version)
	switch about, ok := errors.AsType[getopt.Answer](err); {
	case ok:
		io.WriteString(stdout, string(about))
		return 0
	case errors.Is(err, errNothing):
		fmt.Fprintf(stderr, "modinfo: ERROR: %v\n", err)
		return 1
	case err != nil:
		fmt.Fprintf(stderr, "modinfo: %v\n", err) // as getopt_long(3) does
		return 1
	}
	c := &command{options: o, stdout: bufio.NewWriter(stdout), stderr: stderr}
	defer c.close()
	if err := c.place(); err != nil {
		c.fail("%v", err)
		return 1
	}
	return c.each(names)
}

func (c *command) close() {
	c.stdout.Flush()
	if c.tables != nil {
		c.tables.Close()
	}
}

// place finds out where the modules are.
func (c *command) place() error {
	if c.release == "" {
		release, err := kernel.Release()
		if err != nil {
			return fmt.Errorf("release of the running kernel: %w", err)
		}
		c.release = release
	}
	dir, err := absolute(c.root + "/lib/modules/" + c.release)
	c.dir = dir
	return err
}

// absolute is a path as kmod makes it absolute, who leaves the rest as it is.
func absolute(path string) (string, error) {
	if filepath.IsAbs(path) {
		return path, nil
	}
	dir, err := os.Getwd()
	return dir + "/" + path, err
}

// each shows what the arguments stand for, and returns the exit status.
func (c *command) each(names []string) (status int) {
	for _, name := range names {
		if !c.shown(name) {
			status = 1
		}
	}
	if c.sought && c.without != nil {
		c.hint("%v", c.without)
	}
	return status
}

// shown shows what an argument stands for, and says whether all went well.
func (c *command) shown(name string) bool {
	if !c.names && isFile(name) {
		path, err := absolute(name)
		if err != nil {
			c.fail("Module file %s not found.", name)
			return false
		}
		return c.show(modalias.ModuleName(filepath.Base(name)), path)
	}
	found, what := c.find(name)
	if len(found) == 0 {
		c.fail("%s %s not found.", what, name)
		if why := notAFile(name); why != "" && !c.names {
			c.hint("%s", why)
		} else {
			c.sought = true
		}
		return false
	}
	ok := true
	for _, m := range found {
		ok = c.show(m.Name, c.written(m.File)) && ok
	}
	return ok
}

// extensions are the ends of names of module files.
var extensions = []string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"}

func isFile(name string) bool {
	if !extended(name) {
		return false
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func extended(name string) bool {
	return slices.ContainsFunc(extensions, func(ext string) bool { return strings.HasSuffix(name, ext) })
}

// notAFile says why what was meant to be a file is not taken for one, "" for what was
// meant to be a module's name.
func notAFile(name string) string {
	if !extended(name) && !filepath.IsAbs(name) && !strings.HasPrefix(name, "./") && !strings.HasPrefix(name, "../") {
		return ""
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return err.Error()
	case !info.Mode().IsRegular():
		return name + " is not a regular file"
	}
	return fmt.Sprintf("the file %s is not looked at: the names of modules' files end in %s", name, strings.Join(extensions, ", "))
}

// find looks up a name, and says what it had to be. What is built in has no
// file.
func (c *command) find(name string) (found []match.Module, what string) {
	if c.tables == nil {
		c.open()
	}
	if c.names {
		name = modalias.ModuleName(name)
		if m, ok := c.module(name); ok {
			return []match.Module{m}, ""
		}
		if hits := c.tables.BuiltinAliases(nil, name); len(hits) > 0 { // kmod takes these for names
			return []match.Module{{Name: hits[0].Module}}, ""
		}
		return nil, "Module name"
	}
	if _, err := modalias.Normalize(name); err != nil {
		return nil, "Module alias"
	}
	for _, name := range rules.NewSet(c.tables, &modprobed.Config{Dialect: modprobed.Kmod}).Found(name) {
		m, _ := c.module(name)
		found = append(found, m)
	}
	return found, "Module"
}

// module is one of exactly this name. An alias may lead to others.
func (c *command) module(name string) (m match.Module, known bool) {
	if m, known = c.tables.Module(name); !known {
		_, known = c.tables.Builtin(name)
		m = match.Module{Name: name}
	}
	return m, known
}

// open reads the tables. A directory without tables is one without modules.
func (c *command) open() {
	tables, err := match.Open(c.dir)
	if err != nil {
		errors.As(err, &c.without)
		tables, _ = match.Parse(c.dir, map[string]string{"modules.dep": ""})
	}
	c.tables = tables
}

// written is the path of a module's file in the form that kmod prints, "" for
// none.
func (c *command) written(file string) string {
	if rest, below := strings.CutPrefix(file, filepath.Clean(c.dir)+"/"); below {
		return c.dir + "/" + rest
	}
	return file
}

// fail says what went wrong.
func (c *command) fail(format string, args ...any) { c.tell("ERROR: "+format, args...) }

// hint adds what kmod would not say.
func (c *command) hint(format string, args ...any) {
	if c.hints {
		c.tell(format, args...)
	}
}

// tell says something after what has been shown so far.
func (c *command) tell(format string, args ...any) {
	c.stdout.Flush()
	fmt.Fprintf(c.stderr, "modinfo: "+format+"\n", args...)
}

// unread says that a module's file could not be read.
func (c *command) unread(name, path string, err error) {
	c.fail("could not get modinfo from '%s': %s", name, libc.Strerror(libc.Errno(err)))
	if _, unsound := errors.AsType[*kofile.Error](err); unsound {
		c.hint("%s: %v", path, err)
	}
}
