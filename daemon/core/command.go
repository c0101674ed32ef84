package core

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
)

// commandEnded takes in that the install command of a module has ended while
// the module was not live yet. What it says counts, and what the kernel says
// afterwards.
func (m *Machine) commandEnded(mod *module, e Done) {
	switch {
	case e.State == control.Live:
		m.nowLive(mod)
		m.commandAfter(e)
	case e.Errno != 0:
		m.commandFailed(mod, e)
	case (e.State == control.Coming || e.State == control.Going) && !mod.busy:
		// It has left something behind that puts it in.
		mod.busy = true
		m.endOp(mod, control.Busy)
		m.leave(mod)
		m.watch(mod, e.State, m.stillWanted(mod))
	default:
		m.stoodFor(mod)
	}
}

// stoodFor takes in that a command has done well without putting a module in.
func (m *Machine) stoodFor(mod *module) {
	m.endOp(mod, control.CommandRan)
	m.leave(mod)
	mod.state, mod.remarks, mod.broke, mod.live = control.Stood, nil, m.step, 0
	m.note("command ran", "", mod.name, mod.by("its install command ended well, and did not put it in; what needs it goes on"))
	m.settled(mod)
}

// commandFailed takes in that a command has failed. One that can do nothing
// else is how people forbid a module.
func (m *Machine) commandFailed(mod *module, e Done) {
	as := control.Broken
	if rules.Forbids(mod.step.Install) {
		as = control.Forbidden
	}
	by := mod.by(e.Says)
	m.fail(mod, as, e.Log, by.Source, by.Says)
}

// commandAfter takes in that a command went on when its module was live already:
// what it says changes nothing any more.
func (m *Machine) commandAfter(e Done) {
	if e.State != "" && e.Errno != 0 {
		m.note("said", "", e.Module, reason("install command", "the module is in, but "+e.Says))
	}
}

// by is a reason that names the line of a module's command.
func (mod *module) by(says string) control.Reason {
	line := cmp.Or(mod.step.InstallBy, &rules.Reason{Source: "modprobe.d"})
	return control.Reason{Source: line.Source, Line: line.Line, Says: fmt.Sprintf("%s (%s:%d: %s)", says, line.Source, line.Line, line.Says)}
}

// served tells whether what needs a module may go in.
func (mod *module) served() bool {
	return mod.state == control.Live || mod.state == control.Stood
}

// forbidden tells whether a device has no module because commands forbid it.
func (m *Machine) forbidden(dev *device) bool {
	return !m.hasModule(dev) &&
		m.anyModule(dev.verdict.Modules, func(mod *module) bool { return mod.state == control.Forbidden })
}

// otherCommand tells whether a decision has another command for a module, or
// none, than the one that has stood for it.
func (m *Machine) otherCommand(d rules.Decision) bool {
	return slices.ContainsFunc(d.Steps, func(s rules.Step) bool {
		mod := m.modules[s.Module]
		return mod != nil && mod.state == control.Stood && mod.step.Install != s.Install
	})
}
