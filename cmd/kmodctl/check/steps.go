package check

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/param"
	"github.com/kmodd/kmodd/match/kofile/unpack"
	"github.com/kmodd/kmodd/modalias"
)

// A checking is one run.
type checking struct {
	*System
	Load
	module  string        // its name
	image   *unpack.Image // nil if the file can't be read
	file    *kofile.File  // nil if it is no module
	symbols kofile.Symbols
	fault   error // why it is none

	kernels  map[string]*offer // see listed
	whole    bool
	exported map[string][]kofile.Export // by module
	crcs     map[string]known           // see kernelCRCs
}

func begin(s *System, l Load) *checking {
	c := &checking{System: s, Load: l, module: modalias.ModuleName(filepath.Base(l.File))}
	if path, err := filepath.Abs(l.File); err == nil {
		c.File = path
	}
	if c.image, c.fault = unpack.Open(c.File); c.fault != nil {
		return c
	}
	file, err := kofile.New(c.image, c.image.Size)
	if err == nil {
		c.symbols, err = file.Symbols()
	}
	if c.fault = err; err != nil {
		return c
	}
	c.file = file
	c.module = file.Name(c.module)
	return c
}

func (c *checking) end() {
	if c.image != nil {
		c.image.Close()
	}
}

func (c *checking) report() Report {
	r := Report{Module: c.module, File: c.File}
	settings, says := c.configured()
	r.Parameters = strings.TrimSpace(settings + " " + c.Parameters)
	c.Parameters = r.Parameters
	r.Steps = append([]Step{c.permission()}, c.own()...)
	r.Steps = append(r.Steps, c.dependencies(), says, c.init())
	return r
}

// own are the steps that are about the file alone.
func (c *checking) own() []Step {
	steps := []Step{c.signature(), c.format()}
	for _, step := range []struct {
		name string
		look func() Step
	}{
		{Blacklist, c.blacklist}, {Magic, c.magic}, {Presence, c.presence}, {Symbols, c.allSymbols}, {Parameters, c.parameters},
	} {
		if c.file == nil && step.name != Blacklist && step.name != Presence {
			steps = append(steps, Step{Name: step.name, Result: Unknown, Says: []string{"the file can't be read"}})
			continue
		}
		s := step.look()
		s.Name = step.name
		steps = append(steps, s)
	}
	return steps
}

func fine(format string, args ...any) Step {
	return Step{Result: OK, Says: []string{fmt.Sprintf(format, args...)}}
}

func unknown(format string, args ...any) Step {
	return Step{Result: Unknown, Says: []string{fmt.Sprintf(format, args...)}}
}

func refused(errno syscall.Errno, next, format string, args ...any) Step {
	return Step{Result: Fails, Errno: errno, Next: next, Says: []string{fmt.Sprintf(format, args...)}}
}

// line is the first line of a file of /proc or /sys, and whether there is one.
func line(path string) (text string, ok bool) {
	b, err := os.ReadFile(path)
	text, _, _ = strings.Cut(string(b), "\n")
	return strings.TrimSpace(text), err == nil
}

func (c *checking) proc(name string) string {
	return filepath.Join(cmp.Or(c.Kernel.Proc, "/proc"), name)
}
func (c *checking) sys(name string) string {
	return filepath.Join(cmp.Or(c.Kernel.Sys, "/sys"), name)
}

// permission asks the kernel itself.
func (c *checking) permission() Step {
	s := fine("this process may load modules")
	var no *kernel.CheckError
	if errors.As(c.Kernel.MayLoad(), &no) {
		s = refused(unix.EPERM, no.Cure, "%s", no.Found)
		if errors.Is(no.Err, errors.ErrUnsupported) {
			s.Errno = unix.ENOSYS
		}
	}
	s.Name = Permission
	return s
}

// format is about what elf_validity_check in kernel/module/main.c wants of a file.
func (c *checking) format() (s Step) {
	defer func() { s.Name = Format }()
	var errno syscall.Errno
	arch := c.Kernel.Arch()
	switch {
	case c.image == nil && errors.As(c.fault, &errno):
		return refused(errno, "", "the file can't be opened: %v", c.fault)
	case c.fault != nil && errors.Is(c.fault, io.ErrUnexpectedEOF):
		return refused(unix.ENOEXEC, "build or install it again", "the file is %v", c.fault)
	case c.fault != nil:
		return refused(unix.ENOEXEC, "build or install it again", "the file is damaged, or no module: %v", c.fault)
	case arch == "":
		return unknown("a module for %s; what this machine is can't be read", c.file.Arch())
	case arch != c.file.Arch():
		return refused(unix.ENOEXEC, "build it for "+arch, "it is built for %s, and this machine is %s", c.file.Arch(), arch)
	}
	return fine("a whole module, for %s", arch)
}

func (c *checking) blacklist() Step {
	if c.Kernel.Blacklisted(c.module) {
		return refused(unix.EPERM, "take it out there and boot again", "module_blacklist= on the kernel command line names %s", c.module)
	}
	return fine("module_blacklist= on the kernel command line does not name it")
}

// presence is about the name, of which there can be one.
func (c *checking) presence() Step {
	state := c.Kernel.State(c.module)
	builtin := c.Kernel.Builtin(c.module)
	if c.Tables != nil && !builtin {
		_, builtin = c.Tables.Builtin(c.module)
	}
	switch {
	case builtin && !c.Alone:
		return fine("%s is part of the kernel, so modprobe has nothing to do", c.module)
	case builtin && state != kernel.Absent: // mod_sysfs_init in kernel/module/sysfs.c
		return refused(unix.EINVAL, "give it another name", "%s is part of the kernel", c.module)
	case state == kernel.Absent:
		return fine("no module %s is in", c.module)
	case state == kernel.Live && c.Anew:
		return fine("a module %s is in, and is to be taken out first", c.module)
	case state == kernel.Live && !c.Alone:
		return fine("a module %s is in, so modprobe has nothing to do", c.module)
	case state == kernel.Live:
		return refused(unix.EEXIST, "rmmod "+c.module, "a module %s is in", c.module)
	}
	return unknown("a module %s is %s: wait for that to end", c.module, state)
}

// parameters holds them to what the module says.
func (c *checking) parameters() Step {
	faults := param.Check(c.file, c.Parameters)
	switch {
	case c.Parameters == "":
		return fine("none are given")
	case len(faults) == 0:
		return fine("%s", c.Parameters)
	}
	s := Step{Result: OK}
	if last := param.Refused(faults); last != nil {
		s = Step{Result: Fails, Errno: last.Errno, Next: "modinfo -p " + c.File + " lists what it takes"}
	}
	for _, f := range faults {
		text := f.Error()
		if f.Near != "" {
			text += "; did you mean " + f.Near + "?"
		}
		s.Says = append(s.Says, text)
	}
	return s
}

// init is what nobody can know.
func (c *checking) init() Step {
	return Step{Name: Init, Result: Unknown, Says: []string{"what its init does shows when it runs: it may find no hardware, or fail"}}
}
