// Package saidby finds the module that a line of the kernel's log is of.
//
// A line about a device begins with the name of the driver that wrote it (dev_printk in
// drivers/base/core.c), and the driver's module is in sysfs. Of the other lines most begin
// with the name of their module and a colon (pr_fmt), and so do the kernel's complaints
// about a module's file. A bus tells of a driver that comes or goes by its name, and an oops
// has the names of modules in brackets behind those of their functions.
//
// Nothing else counts: a word in the middle of a line that is also a module's name, such as
// loop, says nothing. What is written while a module is loaded, and by nobody else, only
// those know who have loaded it.
package saidby

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kmsg"
	"github.com/kmodd/kmodd/modalias"
)

// A Register knows modules and drivers by their names. It must be used by one goroutine
// at a time.
type Register struct {
	// Sys is where sysfs is, "" for /sys.
	Sys string
	// Installed says whether a module that is not in the kernel is installed, nil for none.
	Installed func(module string) bool

	known map[string]answer
}

// An answer is what a word stands for. It grows old: modules come and go.
type answer struct {
	module string
	until  time.Time
}

// fresh is how long an answer counts.
const fresh = time.Second

// Module returns the name of the module that a record is of, "" if it is of none, or of one
// that is not known.
func (g *Register) Module(r kmsg.Record) string {
	text := string(r.Text)
	first, _, _ := strings.Cut(text, " ")
	switch signature, _, found := strings.Cut(text, ":"); {
	case len(r.Device) > 0:
		return g.named(first)
	case strings.HasPrefix(text, "Modules linked in"):
		return ""
	case strings.Contains(text, "registering interface driver "), strings.Contains(text, "registered new interface driver "),
		strings.Contains(text, "registered new device driver "):
		return g.named(text[strings.LastIndexByte(text, ' ')+1:])
	case found && g.named(strings.TrimPrefix(signature, "module ")) != "":
		return g.named(strings.TrimPrefix(signature, "module "))
	}
	if module := g.named(strings.TrimSuffix(first, ":")); module != "" && first != text {
		return module
	}
	return g.named(inBrackets(text))
}

// During tells whether a record is about a module if it was written while that was on its
// way in or out: also if nobody has put a name before it.
func (g *Register) During(r kmsg.Record, module string) bool {
	of := g.Module(r)
	return of == module || of == "" && len(r.Device) == 0 && (!r.Signed() || r.Level <= 2)
}

// inBrackets is the module of a function's address, as %pS prints it: FUNCTION+0x5/0x1000
// [MODULE], or [MODULE BUILDID].
func inBrackets(text string) string {
	_, rest, found := strings.Cut(text, "+0x")
	_, rest, bracket := strings.Cut(rest, " [")
	inside, _, closed := strings.Cut(rest, "]")
	if !found || !bracket || !closed {
		return ""
	}
	name, _, _ := strings.Cut(inside, " ")
	return name
}

// named is the module that a word names, or whose driver it names.
func (g *Register) named(word string) string {
	if word == "" || strings.ContainsAny(word, "/ ") || strings.Trim(word, ".") == "" {
		return ""
	}
	now := time.Now()
	a, ok := g.known[word]
	if !ok || now.After(a.until) {
		if g.known == nil {
			g.known = make(map[string]answer)
		}
		a = answer{g.find(word), now.Add(fresh)}
		g.known[word] = a
	}
	return a.module
}

func (g *Register) find(word string) string {
	sys := g.Sys
	if sys == "" {
		sys = "/sys"
	}
	k := kernel.System{Sys: sys}
	drivers, _ := filepath.Glob(filepath.Join(sys, "bus/*/drivers", escape(word), "module"))
	for _, link := range drivers {
		if target, err := os.Readlink(link); err == nil {
			return filepath.Base(target)
		}
	}
	module := modalias.ModuleName(word)
	if k.State(module) == kernel.Live || g.Installed != nil && g.Installed(module) {
		return module
	}
	return ""
}

// escape has a word mean itself in a pattern.
func escape(word string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(word)
}
