package modprobe

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/insert"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// putIn puts in what a name stands for, with parameters. Of several modules the
// last one decides what is reported.
func (c *command) putIn(name, extra string) (ok bool) {
	answers := c.set.Ask(name, rules.Ask{Blacklist: c.blacklist, Bare: c.bare, Anew: c.depends})
	if len(answers) == 0 {
		return c.notFound(name)
	}
	for _, a := range answers {
		ok = c.putInOne(a, extra)
	}
	return ok
}

func (c *command) putInOne(a rules.Answer, extra string) bool {
	switch {
	case !c.depends && (a.Builtin || c.live(a.Module)):
		if c.first {
			c.Say(kmodlog.Failure, "could not insert '%s': %s", a.Module, inserted(unix.EEXIST))
		}
		return !c.first
	case len(a.Modules) == 0:
		return c.refused(a)
	case !c.dry && !slices.ContainsFunc(a.Steps, func(s rules.Step) bool { return s.Module == a.Module }):
		c.insertFailed(a.Module, unix.ENOENT) // kmod does not miss it until now
		return false
	}
	for _, r := range a.Refused {
		c.remark("%s is left out: %s", r.Module, last(r.Because).String())
	}
	return c.carryOut(a, extra)
}

// live says whether a module is in the kernel. One that is on its way in, or
// out, is worth another try: the kernel waits for it.
func (c *command) live(module string) bool { return c.kernel.State(module) == kernel.Live }

// refused says why a module may not be put in. A blacklist is no failure.
func (c *command) refused(a rules.Answer) bool {
	because := ""
	for _, r := range a.Refused {
		if r.Module == a.Module {
			because = last(r.Because).String()
		}
	}
	switch {
	case a.Blacklisted:
		c.remark("%s is blacklisted: %s", a.Module, because)
		return true
	case c.dry:
		c.hint("%s would not be put in: %s", a.Module, because)
		return true
	case c.dialect == modprobed.Kmod:
		because = inserted(unix.ENOENT)
	}
	c.Say(kmodlog.Failure, "could not insert '%s': %s", a.Module, because)
	return false
}

// last is the reason that decided.
func last(because []rules.Reason) rules.Reason {
	if len(because) == 0 {
		return rules.Reason{}
	}
	return because[len(because)-1]
}

// carryOut takes the steps for a module.
func (c *command) carryOut(a rules.Answer, extra string) bool {
	var failed []string
	for _, s := range a.Steps {
		if !c.depends && c.live(s.Module) {
			if s.Asked && c.first {
				c.insertFailed(a.Module, unix.EEXIST)
				return false
			}
			continue
		}
		if slices.ContainsFunc(s.Needs, func(need string) bool { return slices.Contains(failed, need) }) {
			failed = append(failed, s.Module)
			continue
		}
		with := s.Options
		if with != "" {
			with += " "
		}
		if s.Asked {
			with += extra
		}
		err := c.take(s, with)
		if errors.Is(err, unix.EEXIST) && !(s.Asked && c.first) {
			err = nil // somebody else was faster
		}
		switch {
		case err == nil:
		case s.Soft:
			failed = append(failed, s.Module)
			c.remark("%s is wanted by a softdep only, and is left out: %v", s.Module, err)
		default:
			c.insertFailed(a.Module, err)
			return false
		}
	}
	return true
}

// take takes one step, or shows it.
func (c *command) take(s rules.Step, with string) error {
	switch {
	case s.Install != "":
		c.show("install %s %s\n", s.Install, with)
		if c.dry {
			return nil
		}
		return c.shell("install", s.Module, s.Install, with)
	case s.Builtin:
		c.show("builtin %s\n", s.Module)
		return nil
	}
	c.show("insmod %s %s\n", s.File, with)
	if c.dry {
		return nil
	}
	m := kernel.Module{Name: s.Module, File: s.File, Options: strings.TrimSpace(with), Force: c.force}
	err := c.insert(m)
	if errors.Is(err, unix.EBUSY) && c.settled(m.Name) {
		err = c.insert(m)
	}
	return err
}

// insert puts a module in, after a look at its parameters where kmod does not take one.
func (c *command) insert(m kernel.Module) error {
	if c.dialect == modprobed.Kmod {
		return insert.File(c.kernel, m)
	}
	return insert.Checked(c.kernel, m, func(about string) { c.hint("%s", about) })
}

// insertFailed says why a module is not in.
func (c *command) insertFailed(module string, err error) {
	var by *commandError
	if errors.As(err, &by) {
		c.Say(kmodlog.Failure, "%v", err)
	}
	errno := unix.EINVAL
	errors.As(err, &errno)
	says := inserted(errno)
	var path *os.PathError
	if errors.As(err, &path) && c.hints {
		says = libc.Strerror(errno)
	}
	c.Say(kmodlog.Failure, "could not insert '%s': %s", module, says)
	if by == nil {
		c.hint("%v", err)
	}
}

// patience is how long another load of the same module may take.
const patience = 30 * time.Second

// settled waits until a module is neither on its way in nor out, and reports
// whether it is absent.
func (c *command) settled(module string) bool {
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		switch c.kernel.State(module) {
		case kernel.Absent:
			return true
		case kernel.Live:
			return false
		}
	}
	return false
}

// A commandError is a command of modprobe.d that failed.
type commandError struct {
	kind, module, line string
	status             int
}

var _ error = (*commandError)(nil)

func (e *commandError) Error() string {
	return fmt.Sprintf("Error running %s command '%s' for module %s: retcode %d", e.kind, e.line, e.module, e.status)
}

// Unwrap is what kmod says of all of them.
func (e *commandError) Unwrap() error { return unix.EINVAL }

// withOptions is a command of modprobe.d with parameters where it wants them.
func withOptions(line, with string) string { return strings.ReplaceAll(line, "$CMDLINE_OPTS", with) }

// shell runs a command of modprobe.d, with parameters, in the environment and
// on the terminal of whoever called modprobe.
func (c *command) shell(kind, module, line, with string) error {
	line = withOptions(line, with)
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Args[0] = "sh"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "MODPROBE_MODULE="+module)
	if len(c.inherited) > 0 {
		cmd.Env = append(cmd.Env, "MODPROBE_OPTIONS="+joined(os.Getenv("MODPROBE_OPTIONS"), c.inherited))
	}
	err := cmd.Run()
	if err == nil {
		return nil
	}
	status := 127
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		status = exit.ExitCode()
		if how, ok := exit.Sys().(syscall.WaitStatus); ok && how.Signaled() {
			status = 128 + int(how.Signal())
		}
	}
	return &commandError{kind, module, line, status}
}

// joined adds options to those that were in the environment, of which there
// are some among them.
func joined(before string, options []string) string {
	var missing []string
	for _, o := range options[min(len(options), inheritedFrom(before)):] {
		if strings.ContainsAny(o, " ") {
			o = `"` + o + `"`
		}
		missing = append(missing, o)
	}
	return strings.TrimSpace(before + " " + strings.Join(missing, " "))
}

// inheritedFrom counts the options in the value of MODPROBE_OPTIONS that are
// inherited once more.
func inheritedFrom(before string) int {
	o, _, _ := parse(words(before), "")
	return len(o.inherited)
}
