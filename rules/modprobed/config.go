package modprobed

import (
	"fmt"

	"github.com/kmodd/kmodd/modalias"
)

// KernelCommandLine is the File of rules from the kernel command line.
const KernelCommandLine = "kernel command line"

// A Rule is where a statement is from, and its words.
type Rule struct {
	File string
	Line int    // the first one, if it is continued; 0 on the kernel command line
	Text string // as written
}

// The statements of modprobe.d(5). Names and patterns have the form of
// modalias.Normalize, except where said.
type (
	// An Alias leads from names to a module.
	Alias struct {
		Pattern, Module string
		Rule
	}
	// Options are parameters of a module, or of whatever is asked for by an
	// alias.
	Options struct {
		Name, Values string
		Rule
	}
	// A Blacklist keeps a module from being loaded because of an alias.
	Blacklist struct {
		Module string
		Rule
	}
	// A Command stands for putting in or taking out the modules that its
	// pattern matches.
	Command struct {
		Pattern, Shell string
		Rule
	}
	// A Softdep names what should be put in before and after the modules that
	// its pattern matches. The names are as written, and may be aliases.
	Softdep struct {
		Pattern   string
		Pre, Post []string
		Rule
	}
	// A Weakdep names what a module may ask for later. It loads nothing.
	Weakdep struct {
		Pattern string
		Modules []string
		Rule
	}
)

// A Config is everything that was read, in reading order. It is immutable.
type Config struct {
	Dialect Dialect // in which it was read, and is to be followed

	Aliases    []Alias
	Options    []Options
	Blacklists []Blacklist
	Installs   []Command
	Removes    []Command
	Softdeps   []Softdep
	Weakdeps   []Weakdep
	// KernelRefuses is the kernel's own module_blacklist=: it will not let
	// these in, whoever asks.
	KernelRefuses []Blacklist

	Warnings []Warning
}

// A Warning is something that was skipped.
type Warning struct {
	File string
	Line int // 0 where there is none
	Says string
}

func (w Warning) String() string {
	if w.Line == 0 {
		return w.File + ": " + w.Says
	}
	return fmt.Sprintf("%s:%d: %s", w.File, w.Line, w.Says)
}

// Blacklisted returns the first rule that keeps a module from being loaded
// because of an alias.
func (c *Config) Blacklisted(module string) (Rule, bool) { return blacklisted(c.Blacklists, module) }

// Refused returns the rule by which the kernel will not let a module in.
func (c *Config) Refused(module string) (Rule, bool) { return blacklisted(c.KernelRefuses, module) }

func blacklisted(list []Blacklist, module string) (Rule, bool) {
	for i := range list {
		if list[i].Module == module {
			return list[i].Rule, true
		}
	}
	return Rule{}, false
}

// Install returns the command that stands for putting in a module: the first
// whose pattern matches.
func (c *Config) Install(module string) (*Command, bool) { return command(c.Installs, module) }

// Remove is Install for taking a module out.
func (c *Config) Remove(module string) (*Command, bool) { return command(c.Removes, module) }

func command(list []Command, module string) (*Command, bool) {
	for i := range list {
		if modalias.Match(list[i].Pattern, module) {
			return &list[i], true
		}
	}
	return nil, false
}

// InstallOf returns the first install line that is exactly for this name.
func (c *Config) InstallOf(name string) (*Command, bool) { return exactly(c.Installs, name) }

// RemoveOf returns the first remove line that is exactly for this name.
func (c *Config) RemoveOf(name string) (*Command, bool) { return exactly(c.Removes, name) }

func exactly(commands []Command, name string) (*Command, bool) {
	for i := range commands {
		if commands[i].Pattern == name {
			return &commands[i], true
		}
	}
	return nil, false
}
