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

	wantedBy            string // the device, the module or the line that it was first wanted for
	wanted, began, live time.Duration
	remarks             *remarks          // nil for none
	settings            *control.Settings // what its parameters were when it was taken out, nil for nothing
	broke               uint64            // the step in which it turned out that it can't be had, or its command ran

	op      OpID   // the load whose Done has not come, 0 for none
	begunIn uint32 // the last scan that had ended when that began
	scan    uint32 // the last scan that it is known to be in the kernel in

	probing  probing  // how its drivers were had to probe devices when we put it in last
	requests Requests // whether it may have others loaded, as far as its file was looked into
	needy    bool     // and it names firmware, which may come and go
	known    bool     // it was not looked into for the last load, but for one before

	critical  bool  // it goes before others that wait, as what needs it does
	way       int   // how many loads one after the other its own begins, while it waits
	shared    bool  // other loads were under way during its own
	share     share // of the boot, and when a worker made the call
	called    stamp
	cost      int64   // memory that its load took, in bytes, 0 if that is not known
	freed     int64   // memory that came free each time it was taken out, in all
	abandoned bool    // the load has lost its slot
	busy      bool    // the kernel has said EBUSY since it was wanted
	ours      bool    // we put it in
	returned  stamp   // when that call ended
	unused    *unused // nil if something calls for it, or it is not ours
	outing    *outing // nil if we have never taken it out
	exit      OpID    // of the worker's call that takes it out, 0 for none
	stuck     bool    // taking it out did not end, or not well: it is not tried again
	// pinned says that it must stay: what put it in had files that may be gone,
	// so it could not come back.
	pinned bool

	// While Coming or Going.
	awaited  bool  // it is to be loaded if it turns out to be absent
	overdue  bool  // it has taken longer than our patience: those that merely come after it go on
	read     stamp // of the boot, too: when a worker had the file
	since    time.Duration
	nextLook time.Duration
	pause    time.Duration // until the look after that

	// Of a load that was put off: when it may begin, and how long that was.
	notBefore, putOffFor time.Duration
}

// Remarks are what there is to say of a few modules only.
type remarks struct {
	err      string   // why it can't be had
	log      []string // what the kernel wrote to its log about that
	firmware []string // what its file names and was not installed when we put it in
}

// said returns the remarks about a module, empty ones if there are none.
func (mod *module) said() remarks {
	if mod.remarks == nil {
		return remarks{}
	}
	return *mod.remarks
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
	return mod.state == control.Broken || mod.state == control.Declined || mod.state == control.Forbidden
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
	if !owned(&dev.verdict.Decision) && (m.sleeping(dev) != nil || m.holdBack(dev)) {
		return
	}
	if m.assignAnew(dev, since) {
		m.holdOff(dev, false)
		return
	}
	var ahead []string
	if sibling := m.sibling(dev); sibling != nil {
		ahead = slices.Clone(sibling.verdict.Modules)
	}
	d := dev.verdict.Decision
	var held bool
	d.Steps, held = m.due(dev)
	m.holdOff(dev, held)
	if dev.Driver == "" {
		m.wantInTurn(d, dev.Path, ahead, since)
		return
	}
	for _, s := range d.Steps {
		m.want(s, dev.Path, since)
	}
}

// serveDevice wants all that was decided for a device, and asks what has become of it
// if nothing is on its way.
func (m *Machine) serveDevice(dev *device, since uint64) {
	m.wantAll(dev, since)
	m.lookIfSettled(dev)
}

// wantInTurn wants all that was decided, the modules themselves one after the
// other and after those ahead of them. It returns what is ahead of the next.
func (m *Machine) wantInTurn(d rules.Decision, by string, ahead []string, since uint64) []string {
	for _, s := range d.Steps {
		if slices.Contains(d.Modules, s.Module) {
			s.After = slices.DeleteFunc(slices.Concat(s.After, ahead), func(name string) bool { return name == s.Module })
			ahead = append(ahead, s.Module)
		}
		m.want(s, by, since)
	}
	return ahead
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
	case control.Waiting:
		if m.isCritical(s, by) {
			m.hurry(mod)
		}
		return
	case control.Live, control.InLoad:
		return
	case control.Broken, control.Declined, control.Forbidden, control.Stood:
		if mod.broke >= since {
			return
		}
	}
	m.wantedAgain(mod)
	s = m.keepOrder(s, by)
	m.joinBoot(mod, by)
	mod.step, mod.wantedBy, mod.wanted = s, by, m.now
	mod.busy, mod.putOffFor, mod.notBefore, mod.critical = false, 0, 0, m.isCritical(s, by)
	if mod.inKernel() {
		mod.awaited = true
		return
	}
	m.queue(mod)
	if mod.critical {
		m.hurryNeeds(mod)
	}
}

// queue lets a module wait for what it needs and for a slot.
func (m *Machine) queue(mod *module) {
	mod.state, mod.remarks = control.Waiting, nil
	m.waiting, m.queued = append(m.waiting, mod), append(m.queued, mod)
	if mod.way = 0; m.limits.Slots > 1 { // else all ways take the same time
		mod.way = m.wayOf(mod)
		m.lengthen(mod)
	}
	m.dirty = true
}

// moduleIs takes in what the kernel says of a module.
func (m *Machine) moduleIs(e ModuleIs) {
	defer m.knows(e.Name)
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
		if e.Scan != 0 {
			m.inherit(mod)
		}
	case control.Coming, control.Going:
		if e.State == control.Coming && mod.exit != 0 {
			m.nowAbsent(mod) // and somebody else puts it in again
		}
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
	case control.Going:
		if mod.exit != 0 {
			return // not for long
		}
	case control.InLoad:
		what, mod.ours = "live", true
		m.noteCritical(mod)
	}
	if !mod.ours {
		m.setAside(mod)
	}
	m.leave(mod)
	m.endOp(mod, control.Loaded)
	mod.state, mod.remarks, mod.live = control.Live, nil, m.now
	if !mod.ours {
		mod.wantedBy, mod.wanted, mod.began = "", 0, 0 // of an earlier load
		m.forgetSettings(mod)
	}
	m.note(what, "", mod.name)
	m.missSuppliers()
	m.mayRest = m.mayRest || m.sleepers
	m.reckon(mod)
	m.settled(mod)
}

// inherit makes a module ours that the daemon before this one had put in. One
// that is not live at the first scan, or goes before it, was somebody else's doing
// since.
func (m *Machine) inherit(mod *module) {
	old, ok := m.inherited[mod.name]
	if !ok || mod.ours {
		return
	}
	mod.ours, mod.pinned, mod.share = true, old.Pinned, earlier
	mod.wantedBy, mod.step.Options = old.For, old.Options
	mod.wanted, mod.began, mod.live = old.Wanted, old.Began, min(old.Live, m.now)
}

// nowAbsent takes in that a module is not in the kernel. A load of ours that
// is under way may not have come that far, or have failed: its Done tells.
func (m *Machine) nowAbsent(mod *module) {
	delete(m.inherited, mod.name)
	if !mod.inKernel() {
		return
	}
	was, awaited := mod.state, mod.awaited
	var by []control.Reason
	if mod.exit != 0 {
		by = append(by, reason("policy", "taken out by kmodd"))
	}
	m.wentOut(mod)
	m.used(mod)
	m.leave(mod)
	mod.state, mod.ours, mod.pinned = control.Absent, false, false
	m.forgetful = m.forgetful || mod.stuck
	mod.stuck = false // nothing is left of it
	if awaited {
		m.wantedAgain(mod)
		m.queue(mod)
		return
	}
	if was != control.Coming {
		m.note("removed", "", mod.name, by...)
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
	m.used(mod) // until it is live again
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
	if e.Errno == 0 {
		defer m.learn(e)
	}
	defer m.settingsAreBack(e)
	m.timed(e)
	mod := m.ops[e.Op]
	if mod == nil {
		m.commandAfter(e)
		return
	}
	mod.scan = m.scan
	if e.State != "" && !e.Unasked {
		m.commandEnded(mod, e)
		return
	}
	switch {
	case e.Errno == 0, e.Errno == syscall.EEXIST:
		if e.Errno != 0 {
			m.endOp(mod, control.LiveBefore)
		}
		m.nowLive(mod)
		if m.scanned != mod.begunIn {
			// Its uevents may be among those that were lost, and it may have
			// been taken out since.
			m.emit(LookModule{Name: mod.name})
		}
	case e.Errno == syscall.EBUSY && !mod.busy:
		// Another load of it is under way or failing: wait, look, and try
		// once more, unless the rules have changed their mind.
		mod.busy = true
		m.endOp(mod, control.Busy)
		m.leave(mod)
		m.watch(mod, control.Coming, m.stillWanted(mod))
	case e.Unasked:
		m.putOff(mod, e.Says)
	case e.Errno == syscall.ENODEV:
		m.fail(mod, control.Declined, e.Log, "kernel", e.Says)
	case m.lostANeed(mod) && m.stillWanted(mod):
		m.endOp(mod, control.NotLoaded)
		m.leave(mod)
		m.queue(mod)
	default:
		m.fail(mod, control.Broken, e.Log, "kernel", e.Says)
	}
}

// learn takes in what came with the end of a load that went well. The module may
// have been live for long, or be gone already.
func (m *Machine) learn(e Done) {
	if len(e.Log) > 0 {
		m.note("said", "", e.Module, logged(e.Log)...)
	}
	mod := m.modules[e.Module]
	if mod == nil || mod.state != control.Live {
		return
	}
	if len(e.Firmware) > 0 {
		mod.remarks = &remarks{firmware: e.Firmware}
	}
	m.probedSo(mod, e)
	if e.Memory > 0 && !mod.shared {
		mod.cost = e.Memory
	}
}

// putOff has a load wait that could not even begin: what was short may not be
// for long. Each time the pause is twice as long.
func (m *Machine) putOff(mod *module, why string) {
	m.endOp(mod, control.PutOff)
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

// stillWanted tells whether a device that is present, or a line, leads to a
// module by the rules of now: while its load was under way both may have changed.
func (m *Machine) stillWanted(mod *module) bool {
	return len(m.leadingTo(mod)) > 0 || len(m.wantedIn(mod.name)) > 0
}

// lostANeed tells whether something that a module needs was taken out while its
// load was under way: that was live when the load began.
func (m *Machine) lostANeed(mod *module) bool {
	return m.anyModule(mod.step.Needs, func(need *module) bool {
		return !need.served() || need.live > mod.began
	})
}

// endOp forgets the load of a module: it has ended, or the module is live. What
// is left of the call then waits for other drivers' probes, and the module may
// be taken out and wanted again before that ends. Of a module that has no load
// under way there is nothing to forget.
func (m *Machine) endOp(mod *module, how control.Outcome) {
	if mod.op == 0 {
		return
	}
	m.counts.end(how, m.now-mod.began)
	delete(m.ops, mod.op)
	mod.op = 0
}

// fail takes in that a module can't be had: as is to be expected of some
// (control.Declined), as somebody wants it (control.Forbidden), or not
// (control.Broken). log is what the kernel wrote to
// its log about it.
func (m *Machine) fail(mod *module, as control.State, log []string, source, why string) {
	what, outcome := "failed", control.NotLoaded
	switch as {
	case control.Declined:
		what, outcome = "declined", control.NoHardware
	case control.Forbidden:
		what, outcome = "refused", control.SaidNo
	}
	m.endOp(mod, outcome)
	m.leave(mod)
	mod.state, mod.remarks, mod.broke = as, &remarks{err: why, log: log}, m.step
	m.note(what, "", mod.name, append([]control.Reason{reason(source, why)}, logged(log)...)...)
	m.settled(mod)
}

// settled lets go on what waited for a module's fate.
func (m *Machine) settled(mod *module) {
	m.dirty = true
	for _, dev := range m.devices {
		if !slices.Contains(dev.verdict.Modules, mod.name) {
			continue
		}
		if dev.later { // somebody else may have put it in
			if _, held := m.due(dev); !held {
				m.wantAll(dev, m.step)
			}
		}
		m.lookIfSettled(dev)
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
	names := slices.Sorted(maps.Keys(m.modules))
	sorted := make([]*module, len(names))
	for i, name := range names {
		sorted[i] = m.modules[name]
	}
	return sorted
}
