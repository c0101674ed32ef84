package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
)

// dispatch starts the loads that can start, in the order in which they were
// wanted.
func (m *Machine) dispatch() {
	for m.startReady() {
		// A module that failed may have doomed others.
	}
	if len(m.waiting) > 0 && m.idle() {
		m.unknot()
	}
}

// idle tells whether nothing is on its way in that could still be waited for
// with patience.
func (m *Machine) idle() bool {
	return len(m.loading) == 0 &&
		!slices.ContainsFunc(m.unsure, func(mod *module) bool { return !mod.overdue }) &&
		!slices.ContainsFunc(m.waiting, func(mod *module) bool { return mod.notBefore > m.now })
}

// startReady walks the waiting modules once. It tells whether that changed
// what others may wait for.
func (m *Machine) startReady() (again bool) {
	m.dirty, m.slots.lacking = false, false
	m.walk = append(m.walk[:0], m.waiting...)
	slices.SortStableFunc(m.walk, before)
	for _, mod := range m.walk {
		if mod.state != control.Waiting {
			continue
		}
		ready, doom := m.ready(mod)
		switch {
		case doom != nil:
			m.fail(mod, doom.state, nil, "dependency", doom.says)
		case ready && m.mayLoad(mod):
			m.load(mod)
		}
	}
	return m.dirty
}

// before orders modules that wait: what is critical goes first, then what has the longest
// way before it. Those that are alike go in the order in which they were wanted.
func before(a, b *module) int {
	if a.critical != b.critical {
		if a.critical {
			return -1
		}
		return 1
	}
	return b.way - a.way
}

// behindBus is how many modules may be behind that of a bus, counted one after the other:
// they are known when its devices are.
const behindBus = 3

// wayOf is how many loads one after the other a module begins with its own, as far as
// that is known before others wait for it.
func (m *Machine) wayOf(mod *module) int {
	if m.set.IsBus(mod.step) {
		return 1 + behindBus
	}
	return 1
}

// lengthen has what a module needs, and that waits, know how long the way is.
func (m *Machine) lengthen(mod *module) {
	for _, name := range mod.step.Needs {
		if need := m.modules[name]; need != nil && need.state == control.Waiting && need.way <= mod.way {
			need.way = mod.way + 1
			m.lengthen(need)
		}
	}
}

// mayLoad tells whether a module may go in now, as far as others that are on their way
// let it. What is critical waits for nothing but its own kind.
func (m *Machine) mayLoad(mod *module) bool {
	if m.isUrgent(mod) {
		return true
	}
	under := len(m.loading)
	if mod.critical {
		under = m.loads(func(other *module) bool { return other.critical })
	} else if _, rush := m.rush(); rush {
		return false
	}
	deferred := func(other *module) bool { return other.step.Stage == policy.Deferred }
	if !mod.critical && deferred(mod) && m.loads(deferred) >= gentle {
		return false
	}
	m.slots.lacking = m.slots.lacking || under >= m.slots.now
	return under < m.slots.now
}

// loads counts those of the loads in a slot that are of a kind.
func (m *Machine) loads(is func(*module) bool) (n int) {
	for _, mod := range m.loading {
		if is(mod) {
			n++
		}
	}
	return n
}

// headStart is how long what is not critical leaves the processors to a critical load.
// One that takes longer sleeps, or hangs, and holds up nobody.
const headStart = 500 * time.Millisecond

// rush tells whether critical loads have just begun, and until when others wait for
// them.
func (m *Machine) rush() (until time.Duration, on bool) {
	for _, mod := range m.loading {
		if at := mod.began + headStart; mod.critical && at > m.now {
			until, on = max(until, at), true
		}
	}
	return until, on
}

// The nice values of loads, and for how long those that are not critical have one after a
// critical load: what is behind a bus takes as long to come, by the kernel's own work.
const (
	niceCrowd    = 10
	niceDeferred = 15
	aftermath    = 2 * time.Second
)

// nice is how far a load stands back for others, which matters to the part of its init
// and of its probes that is made by the worker.
func (m *Machine) nice(mod *module) int {
	switch {
	case mod.critical || m.isUrgent(mod):
		return 0
	case mod.step.Stage == policy.Deferred && !m.released[mod.name]:
		return niceDeferred
	case m.hurried != 0 && m.now < m.hurried+aftermath:
		return niceCrowd
	}
	return 0
}

// noteCritical takes in that a load begins or ends.
func (m *Machine) noteCritical(mod *module) {
	if mod.critical {
		m.hurried = m.now
	}
}

// isCritical tells whether a step goes before others: as a rule says, or by the class
// of its module.
func (m *Machine) isCritical(s rules.Step, by string) bool {
	modalias := ""
	if dev := m.asker(by); dev != nil {
		modalias = dev.Modalias
	}
	return m.set.IsFirst(s, modalias)
}

// hurry has a module that waits go before others, with what it waits for itself.
func (m *Machine) hurry(mod *module) {
	if !mod.critical && mod.state == control.Waiting {
		mod.critical, m.dirty = true, true
		m.hurryNeeds(mod)
	}
}

// hurryNeeds does so with what a module waits for.
func (m *Machine) hurryNeeds(mod *module) {
	for _, list := range [][]string{mod.step.Needs, mod.step.After} {
		for _, name := range list {
			if other := m.modules[name]; other != nil {
				m.hurry(other)
			}
		}
	}
}

// A doom is why a module can't go in.
type doom struct {
	state control.State
	says  string
}

// ready tells whether a waiting module can go in now, or why it never can.
func (m *Machine) ready(mod *module) (ok bool, never *doom) {
	ok = m.now >= mod.notBefore && !m.after(mod)
	for _, name := range mod.step.Needs {
		need := m.module(name)
		switch need.state {
		case control.Live, control.Stood:
			continue
		case control.Broken, control.Declined, control.Forbidden:
			return false, &doom{need.state, fmt.Sprintf("needs %s: %s", name, need.said().err)}
		case control.Absent:
			if need.step.Module == "" {
				return false, &doom{control.Broken, fmt.Sprintf("needs %s, which the module tables do not have: run depmod", name)}
			}
			// Somebody took it out in between.
			m.joinBoot(need, mod.name)
			need.wantedBy, need.wanted = mod.name, m.now
			need.critical = mod.critical || m.isCritical(need.step, mod.name)
			m.queue(need)
		}
		ok = false
	}
	return ok, nil
}

// after tells whether a module still has to wait for one that it merely comes
// after. It does not wait for a load that hangs.
func (m *Machine) after(mod *module) bool {
	return m.anyModule(mod.step.After, func(first *module) bool {
		switch first.state {
		case control.Waiting:
			return true
		case control.InLoad:
			return !first.abandoned
		case control.Coming, control.Going:
			return !first.overdue
		}
		return false
	})
}

// load hands a module to a worker.
func (m *Machine) load(mod *module) {
	m.leave(mod)
	mod.untimed()
	mod.state, mod.op, mod.abandoned, mod.began = control.InLoad, m.nextOp(), false, m.now
	mod.begunIn, mod.shared = m.scanned, false
	m.ops[mod.op] = mod
	m.loading = append(m.loading, mod)
	if !m.terse {
		m.note("load", m.deviceOrNone(mod.wantedBy), mod.name)
	}
	for _, other := range m.ops {
		other.shared = len(m.ops) > 1
	}
	m.noteCritical(mod)
	async, look := m.chooseProbing(mod)
	mod.known = async != AsyncIfSafe && m.isKnown(mod) && m.isUrgent(mod)
	m.emit(Load{
		Op: mod.op, Step: mod.step, Critical: mod.critical, Nice: m.nice(mod), Measure: mod.cost == 0 && !mod.shared,
		Async: async, LookInto: look, Known: mod.known, Settings: m.settingsFor(mod),
	})
}

// readAhead has the files read of modules that have begun to wait: others keep the
// processors busy meanwhile, not the disk.
func (m *Machine) readAhead() {
	slices.SortStableFunc(m.queued, before)
	var files []string
	for _, mod := range m.queued {
		if mod.state == control.Waiting && mod.step.Install == "" {
			files = append(files, mod.step.File)
		}
	}
	clear(m.queued)
	if m.queued = m.queued[:0]; len(files) > 0 {
		m.emit(ReadAhead{Files: files})
	}
}

// deviceOrNone returns what wanted a module if that is a device.
func (m *Machine) deviceOrNone(wantedBy string) string {
	if m.device(wantedBy) == nil {
		return ""
	}
	return wantedBy
}

// abandon gives the slot of a load that takes long to others. The load goes
// on: nothing can end it.
func (m *Machine) abandon(mod *module) {
	m.loading = slices.DeleteFunc(m.loading, func(x *module) bool { return x == mod })
	mod.abandoned = true
	m.counts.slow++
	m.dirty = true
	m.note("slow", "", mod.name, reason("kernel",
		fmt.Sprintf("its init or probe has not returned after %v; nothing else waits for it but what needs it", m.limits.Patience)))
	m.emit(Abandon{Op: mod.op})
}

// unknot gives up the order of modules that merely come after one another. A
// decision has no circles, but several may form one, or one of the modules may
// need a load that hangs. (What a decision says a module needs comes from one
// line of modules.dep, and never from a later step.) Those that could not go in
// anyway keep their order.
func (m *Machine) unknot() {
	for _, mod := range m.waiting {
		if !m.pending(mod.step.Needs) {
			mod.step.After = nil
		}
	}
	for m.startReady() {
		// As in dispatch.
	}
}
