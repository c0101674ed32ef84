package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/rules"
)

// dependencies are what modprobe puts in before it: each must be loadable itself.
func (c *checking) dependencies() (s Step) {
	defer func() { s.Name = Dependencies }()
	if c.file == nil {
		return unknown("the file can't be read")
	}
	needs := c.needs()
	switch {
	case len(needs) == 0:
		return fine("it needs no other module")
	case c.Alone:
		return fine("%s; nothing is put in before it", strings.Join(needs, ", "))
	}
	s = Step{Result: OK}
	for _, name := range needs {
		one := c.dependency(name)
		s.Says = append(s.Says, one.Says...)
		switch {
		case one.Result == Fails && s.Result != Fails:
			s.Result, s.Next, s.Errno = Fails, one.Next, one.Errno
		case one.Result == Unknown && s.Result == OK:
			s.Result = Unknown
		}
	}
	return s
}

// needs are all modules that must be in before it, in loading order: those of the tables, and
// what the file itself says that they do not know of.
func (c *checking) needs() (names []string) {
	if c.Tables != nil {
		if m, ok := c.Tables.Module(c.module); ok && m.File == c.File {
			names = m.Needs
		}
	}
	for _, name := range c.depends() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (c *checking) dependency(name string) Step {
	if c.Kernel.State(name) == kernel.Live {
		return fine("%s is in", name)
	}
	if c.Tables == nil {
		return refused(0, "install it and run depmod", "%s is not installed", name)
	}
	if _, ok := c.Tables.Builtin(name); ok {
		return fine("%s is part of the kernel", name)
	}
	m, ok := c.Tables.Module(name)
	if !ok {
		return refused(0, "install it and run depmod", "%s is not installed", name)
	}
	d := begin(c.System, Load{File: m.File, Force: c.Force})
	defer d.end()
	d.Parameters, _ = d.configured()
	s := fine("%s can be put in, as far as can be told", name)
	for _, step := range d.own() {
		if step.Result == Fails {
			return refused(step.Errno, step.Next, "%s fails itself: %s: %s", name, step.Name, strings.Join(step.Says, "; "))
		}
	}
	return s
}

// configured is what modprobe.d and kmodd.toml say: which parameters the module gets, and
// whether it may be put in.
func (c *checking) configured() (parameters string, s Step) {
	defer func() { s.Name = Configuration }()
	switch {
	case c.Rules == nil:
		return "", fine("nothing is asked: a file is put in whatever modprobe.d and kmodd.toml say")
	case c.Alone:
		return "", c.mentioned()
	}
	for _, a := range c.Rules.Ask(c.module, rules.Ask{Anew: true}) {
		if a.Module != c.module {
			continue
		}
		for _, r := range a.Refused {
			s.Says = append(s.Says, refusal(r))
		}
		for _, step := range a.Steps {
			if step.Asked {
				parameters = step.Options
			}
			if step.Asked && step.Install != "" {
				s.Says = append(s.Says, "an install command stands for it: "+step.Install)
			}
		}
		if len(a.Modules) == 0 {
			s.Result, s.Next = Fails, "take away there what stands against it, or load the file with insmod"
			return parameters, s
		}
	}
	also := c.mentioned()
	return parameters, Step{Result: OK, Says: append(s.Says, also.Says...)}
}

// mentioned is about those who load it for a device, and not by its name.
func (c *checking) mentioned() Step {
	for _, a := range c.Rules.Ask(c.module, rules.Ask{Anew: true, Blacklist: true}) {
		if a.Module == c.module && len(a.Modules) == 0 && len(a.Refused) > 0 {
			return fine("it may be put in by its name; for a device it is not: %s", refusal(a.Refused[0]))
		}
	}
	return fine("nothing stands against it")
}

// refusal is what stood against a module.
func refusal(r rules.Refusal) string {
	if len(r.Because) == 0 {
		return r.Module + " is refused"
	}
	return fmt.Sprintf("%s is refused: %s", r.Module, r.Because[len(r.Because)-1].String())
}
