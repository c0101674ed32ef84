package core

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
)

// A module is one that is in the kernel, or that a decision named.
type module struct {
	name  string
	state control.State
	step  rules.Step // how to put it in, as last decided
	scan  uint32     // the last scan that it is known to be in the kernel in
	ours  bool       // we put it in

	wantedBy string // the device or the module that it was first wanted for
	err      string // why it can't be had
	broke    uint64 // the step in which that turned out
	busy     int    // how often the kernel said EBUSY since it was wanted

	op        OpID   // the load whose Done has not come, 0 for none
	abandoned bool   // that load has lost its slot
	begunIn   uint32 // the last scan that had ended when it began

	wanted, began, live time.Duration

	// Of a load that was put off: when it may begin, and how long that was.
	notBefore, putOffFor time.Duration

	// While Coming or Going.
	awaited  bool // it is to be loaded if it turns out to be absent
	since    time.Duration
	overdue  bool // it has taken longer than our patience: those that merely come after it go on
	nextLook time.Duration
	pause    time.Duration // until the look after that
}

// The first and the longest pause between two looks at a module that somebody
// else is putting in or taking out. The kernel has no event for an init that
// failed.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 30 * time.Second
)

// inKernel tells whether the module has a directory in /sys/module by
// somebody's doing: a load of ours that is under way may or may not have come
// that far.
func (mod *module) inKernel() bool {
	return mod.state == control.Live || mod.state == control.Coming || mod.state == control.Going
}

// pending tells whether the module's fate is still open.
func (mod *module) pending() bool {
	switch mod.state {
	case control.Waiting, control.InLoad:
		return true
	case control.Coming, control.Going:
		return mod.awaited
	}
	return false
}

// missed tells whether the module was tried and can't be had.
func (mod *module) missed() bool {
	return mod.state == control.Broken || mod.state == control.Declined
}

// module returns the record of a module, a new one if need be.
func (m *Machine) module(name string) *module {
	mod, ok := m.modules[name]
	if !ok {
		mod = &module{name: name, state: control.Absent}
		m.modules[name] = mod
	}
	return mod
}

// wantAll wants all that was decided for a device. A module that broke before
// the step since is tried again. The drivers that may take a device which has
// none are loaded one after the other, since their order decides which one
// does: as modprobe loads them.
func (m *Machine) wantAll(dev *device, since uint64) {
	var ahead []string
	if sibling := m.sibling(dev); sibling != nil {
		ahead = slices.Clone(sibling.verdict.Modules)
	}
	for _, s := range dev.verdict.Steps {
		if dev.Driver == "" && slices.Contains(dev.verdict.Modules, s.Module) {
			s.After = slices.DeleteFunc(slices.Concat(s.After, ahead), func(name string) bool { return name == s.Module })
			ahead = append(ahead, s.Module)
		}
		m.want(s, dev.Path, since)
	}
}

// sibling returns the interface before this one of the same USB device, if
// there is one: the first interface's driver may take the second one as well,
// so other drivers that would take it have to come later. Loading them at the
// same time would let chance decide.
func (m *Machine) sibling(dev *device) *device {
	i, found := m.find(dev.Path)
	if dev.Subsystem != "usb" || !found || i == 0 {
		return nil
	}
	for _, before := range slices.Backward(m.devices[:i]) {
		if before.Subsystem == "usb" && path.Dir(before.Path) == path.Dir(dev.Path) {
			return before
		}
		if !strings.HasPrefix(before.Path, path.Dir(dev.Path)+"/") {
			return nil // another device
		}
	}
	return nil
}

// want sees to it that a module gets in, unless it is in or on its way.
func (m *Machine) want(s rules.Step, by string, since uint64) {
	mod := m.module(s.Module)
	switch mod.state {
	case control.Live, control.Waiting, control.InLoad:
		return
	case control.Broken, control.Declined:
		if mod.broke >= since {
			return
		}
	}
	mod.step, mod.wantedBy, mod.wanted = s, by, m.now
	mod.busy, mod.putOffFor, mod.notBefore = 0, 0, 0
	if mod.inKernel() {
		mod.awaited = true
		return
	}
	m.queue(mod)
}

// queue lets a module wait for what it needs and for a slot.
func (m *Machine) queue(mod *module) {
	if mod.step.Install != "" {
		m.fail(mod, control.Broken, "modprobe.d", fmt.Sprintf("modprobe.d has an install command for it (%s), which kmodd does not run: load it with modprobe", mod.step.Install))
		return
	}
	mod.state, mod.err = control.Waiting, ""
	m.waiting = append(m.waiting, mod)
	m.dirty = true
}

// moduleIs takes in what the kernel says of a module.
func (m *Machine) moduleIs(e ModuleIs) {
	if e.State == control.Absent && m.modules[e.Name] == nil {
		return
	}
	mod := m.module(e.Name)
	// A uevent, or an answer, is newer than the scan that is under way.
	mod.scan = max(mod.scan, e.Scan)
	if e.Scan == 0 {
		mod.scan = m.scan
	}
	switch e.State {
	case control.Live:
		m.nowLive(mod)
	case control.Coming, control.Going:
		m.inTransit(mod, e.State)
	case control.Absent:
		m.nowAbsent(mod)
	}
}

// nowLive takes in that a module is live, by whatever source.
func (m *Machine) nowLive(mod *module) {
	what := "appeared"
	switch mod.state {
	case control.Live:
		return
	case control.InLoad:
		what, mod.ours = "live", true
	}
	m.leave(mod)
	m.endOp(mod)
	mod.state, mod.err, mod.live = control.Live, "", m.now
	if !mod.ours {
		mod.wantedBy, mod.wanted, mod.began = "", 0, 0 // of an earlier load
	}
	m.note(what, "", mod.name)
	m.settled(mod)
}

// nowAbsent takes in that a module is not in the kernel. A load of ours that
// is under way may not have come that far, or have failed: its Done tells.
func (m *Machine) nowAbsent(mod *module) {
	if !mod.inKernel() {
		return
	}
	was, awaited := mod.state, mod.awaited
	m.leave(mod)
	mod.state, mod.ours = control.Absent, false
	if awaited {
		m.queue(mod)
		return
	}
	if was != control.Coming {
		m.note("removed", "", mod.name)
	}
	m.dirty = true // those that need it put it in again
}

// inTransit takes in that somebody else is putting a module in or out. Our own
// load looks like that too.
func (m *Machine) inTransit(mod *module, state control.State) {
	switch mod.state {
	case control.InLoad:
		return
	case control.Coming, control.Going:
		mod.state = state
		return
	}
	awaited := mod.state == control.Waiting
	m.leave(mod)
	m.watch(mod, state, awaited)
}

// watch has a module looked at until it is live or absent.
func (m *Machine) watch(mod *module, state control.State, awaited bool) {
	mod.state, mod.awaited = state, awaited
	mod.since, mod.overdue = m.now, false
	mod.pause, mod.nextLook = firstPause, m.now+firstPause
	m.unsure = append(m.unsure, mod)
}

func (m *Machine) look(mod *module) {
	m.emit(LookModule{Name: mod.name})
	mod.pause = min(2*mod.pause, longestPause)
	mod.nextLook = m.now + mod.pause
}

// leave takes a module out of the list that its state keeps it in.
func (m *Machine) leave(mod *module) {
	without := func(list []*module) []*module {
		return slices.DeleteFunc(list, func(x *module) bool { return x == mod })
	}
	switch mod.state {
	case control.Waiting:
		m.waiting = without(m.waiting)
	case control.InLoad:
		m.loading = without(m.loading)
	case control.Coming, control.Going:
		m.unsure = without(m.unsure)
		mod.awaited = false
	}
}

// done takes in how a load ended.
func (m *Machine) done(e Done) {
	mod := m.ops[e.Op]
	if mod == nil {
		return
	}
	mod.scan = m.scan
	switch {
	case e.Errno == 0, e.Errno == syscall.EEXIST:
		m.nowLive(mod)
		if m.scanned != mod.begunIn {
			// Its uevents may be among those that were lost, and it may have
			// been taken out since.
			m.emit(LookModule{Name: mod.name})
		}
	case e.Errno == syscall.EBUSY && mod.busy == 0:
		// Another load of it is under way or failing: wait, look, and try
		// once more, unless the rules have changed their mind.
		mod.busy++
		m.endOp(mod)
		m.leave(mod)
		m.watch(mod, control.Coming, m.stillWanted(mod))
	case e.Unasked:
		m.putOff(mod, e.Says)
	case e.Errno == syscall.ENODEV:
		m.fail(mod, control.Declined, "kernel", e.Says)
	default:
		m.fail(mod, control.Broken, "kernel", e.Says)
	}
}

// putOff has a load wait that could not even begin: what was short may not be
// for long. Each time the pause is twice as long.
func (m *Machine) putOff(mod *module, why string) {
	m.endOp(mod)
	m.leave(mod)
	if !m.stillWanted(mod) {
		mod.state = control.Absent
		m.dirty = true
		return
	}
	mod.putOffFor = min(max(2*mod.putOffFor, firstPause), longestPause)
	mod.notBefore = m.now + mod.putOffFor
	m.note("put off", "", mod.name, reason("daemon", fmt.Sprintf("%s; trying again in %v", why, mod.putOffFor)))
	m.queue(mod)
}

// stillWanted tells whether a device that is present leads to a module by the
// rules of now: while its load was under way both may have changed.
func (m *Machine) stillWanted(mod *module) bool { return len(m.leadingTo(mod)) > 0 }

// endOp forgets the load of a module: it has ended, or the module is live. What
// is left of the call then waits for other drivers' probes, and the module may
// be taken out and wanted again before that ends.
func (m *Machine) endOp(mod *module) {
	delete(m.ops, mod.op)
	mod.op = 0
}

// fail takes in that a module can't be had: as is to be expected of some
// (control.Declined), or not (control.Broken).
func (m *Machine) fail(mod *module, as control.State, source, why string) {
	m.endOp(mod)
	m.leave(mod)
	mod.state, mod.err, mod.broke = as, why, m.step
	what := "failed"
	if as == control.Declined {
		what = "declined"
	}
	m.note(what, "", mod.name, reason(source, why))
	m.settled(mod)
}

// settled lets go on what waited for a module's fate.
func (m *Machine) settled(mod *module) {
	m.dirty = true
	for _, dev := range m.devices {
		if slices.Contains(dev.verdict.Modules, mod.name) {
			m.lookIfSettled(dev)
		}
	}
}

// pending tells whether the fate of any of the modules is still open.
func (m *Machine) pending(names []string) bool {
	return m.anyModule(names, (*module).pending)
}

func (m *Machine) anyModule(names []string, is func(*module) bool) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		mod := m.modules[name]
		return mod != nil && is(mod)
	})
}

// sortedModules returns the modules by name, for walks whose order shows.
func (m *Machine) sortedModules() []*module {
	return slices.SortedFunc(maps.Values(m.modules), func(a, b *module) int { return strings.Compare(a.name, b.name) })
}
