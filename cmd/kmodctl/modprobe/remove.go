package modprobe

import (
	"errors"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// takeOutAll takes out what names stand for. With -a it goes on after a failure.
func (c *command) takeOutAll(names []string) bool {
	ok := true
	for _, name := range names {
		ok = c.takeOutNamed(name) && ok
		if !ok && !c.all {
			break
		}
	}
	return ok
}

func (c *command) takeOutNamed(name string) bool {
	outs := c.set.Removal(name, c.bare)
	if len(outs) == 0 {
		c.grave("Module %s not found.", name)
		return false
	}
	for _, o := range outs {
		if !c.takeOut(removal{Out: o, holders: c.holders}) {
			return false
		}
	}
	return true
}

// A removal is what is to be taken out, and how.
type removal struct {
	rules.Out
	holders bool // and first the modules that use it
	soft    bool // for a softdep: what can't go stays, without a word (but see cannot)
}

// takeOut takes out one module, with what goes before and after it.
func (c *command) takeOut(r removal) bool {
	if r.Remove == "" {
		if done, ok := c.nothingToDo(r); done {
			return ok
		}
	}
	if !c.takeOutSoftdeps(r.Before) {
		return false
	}
	if r.holders && !c.takeOutHolders(r.Module) {
		return false
	}
	if r.holders && r.Remove == "" && c.dialect != modprobed.Kmod && !c.present(r.Module) {
		return true // it went as one that they had needed
	}
	if !c.takeOutItself(r) {
		return false
	}
	for _, module := range r.Unused {
		c.takeOutUnused(module)
	}
	return c.takeOutSoftdeps(r.After)
}

// takeOutSoftdeps takes out what softdeps name, and reports whether to go on.
func (c *command) takeOutSoftdeps(outs []rules.Out) bool {
	for _, o := range outs {
		if !c.takeOut(removal{Out: o, soft: true}) && c.ended {
			return false
		}
	}
	return true
}

// nothingToDo tells, and says, whether there is nothing to take out, and if so
// whether that is all right.
func (c *command) nothingToDo(r removal) (done, ok bool) {
	switch {
	case r.Builtin:
		if !r.soft {
			c.grave("Module %s is builtin.", r.Module)
		}
		return true, false
	case c.depends, c.present(r.Module):
		return false, false
	case c.first:
		c.cannot(r, "Module %s is not in kernel.", r.Module)
		return true, false
	}
	return true, true
}

// cannot says why a module stays. kmod says so of softdeps, too, and by saying
// it ends.
func (c *command) cannot(r removal, format string, args ...any) {
	if !r.soft || c.dialect == modprobed.Kmod {
		c.grave(format, args...)
		c.ended = !c.all && c.voice.Verbosity >= kmodlog.Fatal
	}
}

// takeOutHolders takes out the modules that use a module; those that use them,
// too, but not as kmod does it.
func (c *command) takeOutHolders(module string) bool {
	references, holders := c.uses(module)
	if references < 0 { // its remove command counts all the same
		c.Say(kmodlog.Failure, "could not open '/sys/module/%s/holders': %s", module, libc.Strerror(unix.ENOENT))
	}
	for _, holder := range holders {
		if !c.present(holder) {
			continue // it went with another one
		}
		r := removal{Out: rules.Out{Module: holder}, holders: c.dialect != modprobed.Kmod}
		if outs := c.set.Removal(holder, false); len(outs) > 0 {
			r.Out = outs[0]
		}
		if !c.takeOut(r) {
			return false
		}
	}
	return true
}

// takeOutItself takes out one module, by its command or by the kernel.
func (c *command) takeOutItself(r removal) bool {
	if r.Remove != "" {
		c.show("remove %s\n", withOptions(r.Remove, ""))
		if c.dry || c.shell("remove", r.Module, r.Remove, "") == nil {
			return true
		}
		c.cannot(r, "Error running remove command for %s", r.Module)
		return false
	}
	if references, holders := c.uses(r.Module); references > 0 && c.wait == 0 && !c.depends {
		c.cannot(r, "Module %s is in use.", r.Module)
		if len(holders) > 0 && !r.soft {
			c.hint("it is used by %s: take them out first, or use --remove-holders", strings.Join(holders, ", "))
		}
		return false
	}
	err := c.unload(r.Module)
	if err == nil {
		return true
	}
	if !r.soft || c.dialect == modprobed.Kmod {
		errno := unix.EINVAL
		errors.As(err, &errno)
		c.Say(kmodlog.Failure, "could not remove '%s': %s", r.Module, libc.Strerror(errno))
		c.hint("%v", err)
	}
	return false
}

// takeOutUnused takes out a module that was needed, if nothing uses it now. Who
// did not ask for it is not told if that fails.
func (c *command) takeOutUnused(module string) {
	if references, _ := c.uses(module); references == 0 && c.present(module) {
		_ = c.unload(module)
	}
}

// unload has the kernel take out one module, which may be in use for as long as
// -w says.
func (c *command) unload(module string) error {
	c.show("rmmod %s\n", module)
	if c.dry {
		if c.dialect != modprobed.Kmod {
			c.gone[module] = true
		}
		return nil
	}
	unload := c.kernel.Unload
	if c.forced {
		unload = c.kernel.UnloadForced
	}
	until := time.Now().Add(c.wait)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := unload(module)
		if !errors.Is(err, syscall.EAGAIN) || !time.Now().Before(until) {
			return err
		}
		time.Sleep(min(pause, time.Until(until)))
	}
}
