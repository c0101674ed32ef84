package core

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
)

// An assignment is what has become of what rules say of who has a device: no
// driver, or of several the first that takes it; or, where they say nothing of
// it any more, whoever matches.
type assignment struct {
	since uint64        // modules that broke before this step are tried again
	turn  int           // of the preferences: whose turn it is
	asked bool          // a worker was asked to see to it, and nothing has changed since
	until time.Duration // when this turn ends, or when the next try is; 0 for not known
	tries int           // of keeping all drivers away
	done  bool
	taker string // the driver that had it when it was done
	says  string // what has come of it, for people
	over  string // who was passed over, and why
}

// The pauses between tries to take a device from its driver that is in use, or
// that comes back: each is twice as long as the one before it.
const (
	firstTry   = 2 * time.Second
	longestTry = 5 * time.Minute
	freeTries  = 3 // at once
)

// owned tells whether rules say who has a device.
func owned(d *rules.Decision) bool { return d.Denied || len(d.Prefer) > 0 }

// assignAnew begins with what rules say of who has a device. It tells whether
// they say anything, and the device's modules are loaded, if at all, in their
// turn.
func (m *Machine) assignAnew(dev *device, since uint64) bool {
	m.endAssignment(dev)
	owns := owned(&dev.verdict.Decision)
	if owns || dev.held {
		dev.assignment = &assignment{since: since}
		m.steered = append(m.steered, dev)
	}
	return owns
}

// endAssignment forgets it. What a worker is doing about it already, it does.
func (m *Machine) endAssignment(dev *device) {
	dev.assignment = nil
	if a := dev.act; a != nil && a.assign != nil && a.op == 0 {
		m.drop(dev)
	}
	m.steered = slices.DeleteFunc(m.steered, func(other *device) bool { return other == dev })
}

// otherOwner tells whether rules say something else of who has a device than
// they did, or nothing of one that drivers are still kept from.
func (m *Machine) otherOwner(dev *device, before *verdict) bool {
	d, was := &dev.verdict.Decision, &before.Decision
	return d.Denied != was.Denied || d.BindTimeout != was.BindTimeout || !slices.Equal(d.Preferred(), was.Preferred()) ||
		dev.held && !owned(d)
}

// wellAssigned tells whether the driver that a device was given to has it still:
// it is not to be taken from it for a mere doubt.
func (dev *device) wellAssigned() bool {
	a := dev.assignment
	return len(dev.verdict.Prefer) > 0 && a != nil && a.done && dev.Driver != "" && dev.Driver == a.taker
}

// assigning tells whether it will soon be known who has a device.
func (m *Machine) assigning(dev *device) bool {
	a := dev.assignment
	return a != nil && !a.done && !(dev.act != nil && dev.act.slow) && !(dev.verdict.Denied && a.until > m.now)
}

// reassign takes in that a driver took a device, or let go of it.
func (m *Machine) reassign(dev *device) {
	a := dev.assignment
	if a == nil || dev.Driver == "" {
		return
	}
	if a.done && dev.verdict.Denied {
		a.done = false
		m.steered = append(m.steered, dev)
	}
	if !a.done {
		a.asked = false
	}
}

// steerOn goes on with the devices of which it is not settled who has them.
func (m *Machine) steerOn() {
	for _, dev := range slices.Clone(m.steered) {
		if dev.act == nil {
			m.steer(dev, dev.assignment)
		}
	}
	m.steered = slices.DeleteFunc(m.steered, func(dev *device) bool { return dev.assignment.done })
}

func (m *Machine) steer(dev *device, a *assignment) {
	switch d := &dev.verdict.Decision; {
	case d.Denied:
		m.deny(dev, a)
	case len(d.Prefer) > 0:
		m.prefer(dev, a)
	case !a.asked:
		m.assign(dev, Assign{Owner: Anybody})
	}
}

// assign has a worker see to it who has a device.
func (m *Machine) assign(dev *device, e Assign) {
	dev.assignment.asked = true
	e.Held = dev.held
	if e.Owner != Anybody {
		m.hold(dev, true)
	}
	m.do(dev, &act{assign: &e})
}

// deny keeps all drivers from a device. One that is in use, or that comes back
// again and again, is tried again later.
func (m *Machine) deny(dev *device, a *assignment) {
	if a.asked || m.now < a.until {
		return
	}
	a.tries++
	a.until = 0
	if a.tries > freeTries {
		a.until = m.now + tryPause(a.tries-freeTries)
	}
	m.assign(dev, Assign{Owner: Nobody, Gently: !dev.hot})
}

func tryPause(n int) time.Duration {
	return min(firstTry<<min(n-1, 16), longestTry)
}

// prefer gives a device to the first of the preferred drivers that takes it.
func (m *Machine) prefer(dev *device, a *assignment) {
	list := dev.verdict.Prefer
	for ; a.turn < len(list); a.nextTurn() {
		m.wantTurn(dev, a)
		if why := m.turnEnds(dev, a); why == "" {
			return
		} else {
			a.over += list[a.turn].Module + " was passed over: " + why + "; "
			m.note("passed over", dev.Path, list[a.turn].Module, reason("policy", why))
		}
	}
	if !a.asked {
		m.assign(dev, Assign{Owner: Anybody})
	}
}

func (a *assignment) nextTurn() {
	a.turn++
	a.asked, a.until = false, 0
}

// wantTurn wants the module whose turn it is, with all that belongs to it.
func (m *Machine) wantTurn(dev *device, a *assignment) {
	from := 0
	if a.turn > 0 {
		from = dev.verdict.Prefer[a.turn-1].Through
	}
	for _, s := range dev.verdict.Steps[from:dev.verdict.Prefer[a.turn].Through] {
		m.want(s, dev.Path, a.since)
	}
}

// turnEnds says why a preferred module has had its turn, "" if it has not.
func (m *Machine) turnEnds(dev *device, a *assignment) (why string) {
	name := dev.verdict.Prefer[a.turn].Module
	mod, timeout := m.modules[name], dev.verdict.BindTimeout
	switch {
	case a.until != 0 && m.now >= a.until:
		return fmt.Sprintf("it has not taken the device within %v", timeout)
	case mod != nil && mod.pending():
		if a.until == 0 && m.stuck(mod) {
			a.until = m.now + timeout
		}
	case mod != nil && mod.state != control.Live && mod.step.Module != "": // not what is built in
		return fmt.Sprintf("it is not in: %s", mod.state)
	case !a.asked:
		m.assign(dev, Assign{Owner: OfModule, Module: name, Gently: true})
	}
	return ""
}

// stuck tells whether a module that is on its way in, or something that it
// needs, has taken longer than our patience.
func (m *Machine) stuck(mod *module) bool {
	return mod.takesTooLong() || mod.state == control.Waiting && m.anyModule(mod.step.Needs, m.stuck)
}

// assigned takes in what a worker has done about who has a device. Rules, or
// drivers, that have changed meanwhile have it done again.
func (m *Machine) assigned(e Assigned) {
	dev, what := m.acted(e.Op, e.Unasked)
	if dev == nil {
		m.assignedAnother(e)
		return
	}
	m.hold(dev, e.Held)
	m.ask(dev)
	m.anew = m.anew || dev.trouble != nil // what came meanwhile may have come too late for the probe
	a := dev.assignment
	if a == nil || !a.asked {
		return
	}
	switch what.assign.Owner {
	case Nobody:
		m.denied(dev, a, e)
	case OfModule:
		m.offered(dev, a, e)
	default:
		a.done = true
		m.assignedNote(dev, a, "released", "whatever matches may have it", e.Says)
	}
}

// assignedAnother takes in that a worker has assigned a device that nobody waits
// for any more: it was taken away, and another one has come to its path, perhaps
// before the worker did.
func (m *Machine) assignedAnother(e Assigned) {
	dev := m.device(e.Path)
	if dev == nil || !e.Held || dev.held {
		return
	}
	m.hold(dev, true)
	if dev.assignment == nil && !dev.fresh {
		m.assignAnew(dev, m.step)
	}
}

// denied takes in how it went to keep all drivers from a device.
func (m *Machine) denied(dev *device, a *assignment, e Assigned) {
	if e.InUse == "" {
		a.done = true
		m.assignedNote(dev, a, "denied", "no driver may have it", e.Says)
		return
	}
	a.asked, a.until = false, m.now+tryPause(a.tries)
	says := "it is denied, and in use: " + e.InUse
	if a.says != says {
		a.says = says
		m.note("in use", dev.Path, "", reason("policy", says+"; it is taken away when it is not"))
	}
}

// offered takes in what came of giving a device to the module whose turn it is.
func (m *Machine) offered(dev *device, a *assignment, e Assigned) {
	name := dev.verdict.Prefer[a.turn].Module
	switch {
	case e.Module == name:
		a.done = true
		m.assignedNote(dev, a, "given", name+" has it", "")
	case e.InUse != "":
		a.done = true
		a.says = a.over + name + " was to have it, and it is in use: " + e.InUse
		m.note("in use", dev.Path, name, reason("policy", a.says+"; it is left as it is until rules are read again"))
	case a.until == 0:
		a.until = m.now + dev.verdict.BindTimeout
		a.says = a.over + name + " has " + dev.verdict.BindTimeout.String() + " to take it"
		if e.Says != "" {
			a.says += ": " + e.Says
		}
	}
}

// assignedNote says what was done, or with a fault why it was not.
func (m *Machine) assignedNote(dev *device, a *assignment, what, says, fault string) {
	if fault != "" {
		what, says = "not "+what, fault
	}
	a.says = a.over + says
	m.note(what, dev.Path, "", reason("policy", a.says))
}

// hold notes whether drivers are kept from a device by our doing, or may be.
func (m *Machine) hold(dev *device, held bool) {
	m.forgetful = m.forgetful || dev.held != held
	dev.held = held
}

// persist tells what must not be forgotten, before anything else is done.
func (m *Machine) persist() {
	if !m.forgetful {
		return
	}
	m.forgetful = false
	var p Persist
	for _, dev := range m.devices {
		if dev.held {
			p.Held = append(p.Held, dev.Path)
		}
	}
	for _, mod := range m.sortedModules() {
		if mod.exit != 0 || mod.stuck {
			p.Unloading = append(p.Unloading, mod.name)
		}
	}
	p.Pinned, p.Released = slices.Sorted(maps.Keys(m.pins)), slices.Sorted(maps.Keys(m.released))
	p.Asleep, p.Known, p.Settings = m.rested(), slices.Clone(m.known), m.kept()
	m.emit(p)
}
