package core

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
)

// cover has placeholders put over the nodes of a driver that goes to sleep. From
// here on it must not be forgotten.
func (m *Machine) cover(r *rest, e Surveyed) {
	r.devices, r.openings, r.must, r.stays = topmost(e.Devices), e.Openings, e.Must, ""
	r.phase, r.covered, r.restored, m.forgetful = covering, true, false, true
	m.note("sleep", "", r.mod.name, reason("policy", fmt.Sprintf("nobody has used it for %v", (m.now-r.since).Round(time.Second))))
	m.inheritMade(r)
	m.persist()
	m.helpOpeners()
	m.tend(r, Cover)
}

// topmost leaves out of paths those that are below another one: they go with the
// driver.
func topmost(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(below string) bool {
		return slices.ContainsFunc(paths, func(path string) bool { return strings.HasPrefix(below, path+"/") })
	})
}

// fallBack takes out again what came in for a driver that did not: with it in the kernel
// would not ask for that any more.
func (m *Machine) fallBack(r *rest) {
	r.phase, r.left = falling, true
	r.chain = slices.DeleteFunc(m.chainOf(r), func(mod *module) bool { return mod == r.mod })
	m.fall(r)
}

// isCovered takes in that the placeholders are there, or not.
func (m *Machine) isCovered(r *rest, e Tended) {
	switch {
	case e.Unasked || r.called():
		m.awakeAgain(r, nil)
	case e.Says != "":
		m.awakeAgain(r, nil)
		if s, ok := m.rule(r); ok {
			m.staysAwake(r, s.After, e.Says)
		}
	default:
		r.phase, r.chain, r.left = falling, m.chainOf(r), false
		r.checks = slices.Clone(r.must)
	}
}

// chainOf lists what goes with a driver, in the order of going: what was put in
// for its devices, and what hangs below these, and for nothing else. What needs
// the driver goes before it.
func (m *Machine) chainOf(r *rest) []*module {
	var before, after []*module
	for _, mod := range m.sortedModules() {
		switch {
		case mod == r.mod || !m.inFor(mod, r.had) || !m.goesWith(r, mod):
		case slices.Contains(mod.step.Needs, r.mod.name):
			before = append(before, mod)
		default:
			after = append(after, mod)
		}
	}
	lastFirst := func(a, b *module) int { return cmp.Compare(b.live, a.live) }
	slices.SortStableFunc(before, lastFirst)
	slices.SortStableFunc(after, lastFirst)
	return slices.Concat(before, []*module{r.mod}, after)
}

// inFor tells whether a module was put in for any of devices, or what hangs below
// them.
func (m *Machine) inFor(mod *module, devices []string) bool {
	return slices.ContainsFunc(m.leadingTo(mod), func(dev *device) bool { return isOf(dev.Path, devices) })
}

// isOf tells whether a path is one of devices or below it.
func isOf(path string, devices []string) bool {
	return slices.ContainsFunc(devices, func(d string) bool { return path == d || strings.HasPrefix(path, d+"/") })
}

// goesWith tells whether a module can go with a driver.
func (m *Machine) goesWith(r *rest, mod *module) bool {
	return mod.state == control.Live && m.keptIn(mod, r.had) == ""
}

// keptIn says why a module has to stay when these devices lose their drivers, ""
// if it need not: whatever calls for it sleeps, too, or hangs below what does.
func (m *Machine) keptIn(mod *module, devices []string) string {
	if !mod.ours {
		return "it was not put in by kmodd"
	}
	if why := cmp.Or(m.mustStay(mod), m.wantedByLine(mod)); why != "" {
		return why
	}
	for _, dev := range m.leadingTo(mod) {
		if m.sleeping(dev) == nil && !isOf(dev.Path, devices) {
			return "it is in for " + dev.Path + ", too"
		}
	}
	return ""
}

// mustGo says why a module stays in that has to be out for devices to be woken, ""
// if it goes with them.
func (m *Machine) mustGo(names, devices []string) string {
	for _, name := range names {
		mod := m.modules[name]
		if mod == nil || !mod.inKernel() {
			continue // built in: sysfs says so to whoever surveys
		}
		if why := m.keptIn(mod, devices); why != "" {
			return fmt.Sprintf("%s stays in (%s), so the kernel would not ask for its devices", name, why)
		}
	}
	return ""
}

// fall takes out one module after the other. Before the first one it is asked
// whether those can go that must: nobody is to lose a device that nothing wakes.
func (m *Machine) fall(r *rest) {
	if r.asked != nil || r.out != nil && !m.isOut(r) {
		return
	}
	if len(r.checks) > 0 {
		r.asked, r.checks = m.module(r.checks[0]), r.checks[1:]
		m.emit(LookUse{Name: r.asked.name})
		return
	}
	for len(r.chain) > 0 && r.phase == falling {
		mod := r.chain[0]
		switch {
		case !r.left && (r.called() || m.calledForToo(r.mod, r.devices) != ""):
			m.backUp(r, "it is wanted")
			return
		case r.left && !r.failed && r.mod.state != control.Absent: // it is wanted, and on its way
			r.chain = nil
		case m.leaving():
			return // whose end is an event
		default:
			r.chain = r.chain[1:]
			switch {
			case mod == r.mod && mod.state == control.Absent: // by somebody else's doing
				r.left = true
			case mod == r.mod && mod.state != control.Live:
				m.backUp(r, "it is "+string(mod.state))
				return
			case mod == r.mod:
				m.sendWith(r, mod, "nobody uses its device")
				return
			case m.goesWith(r, mod):
				r.asked = mod
				m.emit(LookUse{Name: mod.name})
				return
			}
		}
	}
	if r.phase == falling {
		m.fallen(r)
	}
}

// countedInFall takes in who uses a module that is to go with a driver. It tells
// whether somebody has asked that for the sake of one.
func (m *Machine) countedInFall(e Counted) bool {
	i := slices.IndexFunc(m.rests, func(r *rest) bool { return r.asked != nil && r.asked.name == e.Name })
	if i < 0 {
		return false
	}
	r := m.rests[i]
	mod := r.asked
	r.asked = nil
	if !r.left && slices.Contains(r.must, mod.name) {
		m.checked(r, e)
		return true
	}
	if r.phase == falling && m.leaving() { // for the sake of another driver: it is asked again then
		r.chain = slices.Insert(r.chain, 0, mod)
		return true
	}
	if r.phase == falling && !r.ended && e.References == 0 && len(e.Holders) == 0 && e.Drives == "" && m.goesWith(r, mod) {
		m.sendWith(r, mod, "it sleeps with "+r.mod.name)
	}
	return true
}

// checked takes in who needs a module that must go, before anything goes.
func (m *Machine) checked(r *rest, e Counted) {
	for _, holder := range e.Holders {
		if r.phase == falling && !r.ended && !slices.ContainsFunc(r.chain, func(mod *module) bool { return mod.name == holder }) {
			m.backUp(r, fmt.Sprintf("%s stays in (%s needs it), so the kernel would not ask for its devices", e.Name, holder))
			return
		}
	}
}

// sendWith has a module taken out for the sleep of a driver.
func (m *Machine) sendWith(r *rest, mod *module, why string) {
	m.sendOut(mod, why)
	r.out, r.outOp = mod, mod.exit
}

// isOut tells whether the fate of the module that is being taken out is known, and
// goes on by it. If it is the driver's own, it is waited for however long it takes:
// it may come to its end. That a module has gone its uevent tells before the kernel
// lets go of what it needed, and so before the call ends.
func (m *Machine) isOut(r *rest) bool {
	mod := r.out
	if m.exits[r.outOp] != nil && (mod == r.mod || !mod.overdue) {
		return false
	}
	r.out = nil
	switch {
	case mod.stuck && mod == r.mod && mod.state != control.Live: // neither in nor out, until the next boot
		m.giveUp(r, fmt.Errorf("%s could not be taken out", mod.name))
		return false
	case mod == r.mod && mod.state != control.Live:
		r.left = true
	case mod.state == control.Live && (mod == r.mod || slices.Contains(r.must, mod.name)):
		m.backUp(r, cmp.Or(m.mustStay(mod), mod.name+" came into use at the last moment"))
		return false
	}
	return true
}

// backUp ends an attempt to sleep.
func (m *Machine) backUp(r *rest, why string) {
	m.note("stays", "", r.mod.name, reason("kernel", why))
	r.chain, r.stays = nil, why
	if r.failed { // when rules or tables change it is tried once more
		r.phase = asleep
		return
	}
	if r.mod.state != control.Live {
		r.phase, r.wanted, r.slept, r.undone = asleep, true, m.now, why
		return
	}
	m.awakeAgain(r, nil)
	if s, ok := m.rule(r); ok {
		m.staysAwake(r, s.After, why)
	}
}

// fallen takes in that a driver sleeps.
func (m *Machine) fallen(r *rest) {
	for _, name := range r.must {
		if mod := m.modules[name]; mod != nil && mod.inKernel() {
			m.backUp(r, name+" stays in, so the kernel would not ask for its devices")
			return
		}
	}
	if r.phase = asleep; r.failed { // it had not been awake
		return
	}
	r.slept, r.tries = m.now, 0
	m.counts.slept++
	m.note("asleep", "", r.mod.name)
	m.tidy(r)
}
