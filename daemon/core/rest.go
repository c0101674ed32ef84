package core

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
)

// A rest is what is known of a driver that rules let sleep: take it out while
// nobody uses its devices, and put it in again when somebody opens one.
type rest struct {
	mod   *module
	phase phase
	op    OpID    // of the worker's call on its way, 0 for none
	how   Tending // of one about placeholders

	devices  []string // paths of those that it has, or had when it went to sleep
	had      []string // the same with those that it does not match, such as the second interface of a USB adapter
	met      []string // paths of those that it had, or that it could have had
	openings []control.Opening
	must     []string // modules that have to be out, too, for the kernel to ask for the openings
	// covered says that the nodes at the openings are not in order: nobody but us
	// takes them away when the devices go, or they are others than the kernel's.
	covered  bool
	restored bool          // they are the kernel's own
	fewer    bool          // some devices have gone, and so are their nodes to
	made     bool          // its nodes were made by us, and are ours to take away at any time
	torn     bool          // a node may have gone, with another device that had its number
	hidden   bool          // its nodes were taken away, since the kernel would not ask for them
	tidyAt   time.Duration // when that is seen to

	idle  bool          // as of the last look
	since time.Duration // when it was seen idle first
	next  time.Duration // when it is looked at
	stays string        // why it did not go to sleep
	tries int           // how often that could not be helped
	lost  bool          // its module was taken out by somebody else
	used  bool          // somebody has opened or closed a node of it since the last look

	checks []string  // of must, which are to be asked about before anything goes
	chain  []*module // that are still to go
	asked  *module   // of which it was asked who uses it
	out    *module   // that is going
	outOp  OpID      // of the worker's call for that
	left   bool      // its own module has gone
	undone string    // why it wakes at once, "" if it does not
	failed bool      // its last wake did, and nothing has changed since

	slept   time.Duration // when it had gone
	opened  time.Duration // when it began to wake because somebody had opened it, never if nobody had
	doubled int           // how often its time was doubled, since it was woken too soon
	wanted  bool          // it is to wake, whoever asks
	openers []opener      // who waits for it to be awake
	pause   time.Duration // until it is looked at again whether it is
	ended   bool          // its devices have gone, or it is not to sleep any more
}

// A phase is how far a rest is.
type phase int

const (
	awake    phase = iota
	covering       // placeholders are put over its nodes
	falling        // its modules are taken out
	asleep
	waking // its modules are put in again
)

// sleeping returns the rest by which a device has no driver for now, or soon, nil
// for none.
func (m *Machine) sleeping(dev *device) *rest {
	for _, r := range m.rests {
		if !r.ended && r.phase != awake && r.phase != waking && slices.Contains(r.devices, dev.Path) {
			return r
		}
	}
	return nil
}

// isResting tells whether a device's driver sleeps, or is about to, or wakes.
func (m *Machine) isResting(dev *device) bool {
	return slices.ContainsFunc(m.rests, func(r *rest) bool {
		return !r.ended && r.phase != awake && slices.Contains(r.devices, dev.Path)
	})
}

// restOf returns the rest of a module, nil if there is none.
func (m *Machine) restOf(mod *module) *rest {
	for _, r := range m.rests {
		if r.mod == mod && !r.ended {
			return r
		}
	}
	return nil
}

// sleep is what rules say of the sleep of a device's driver of that module.
func (dev *device) sleep(module string) (rules.Sleep, bool) {
	i := slices.IndexFunc(dev.verdict.Sleeps, func(s rules.Sleep) bool { return s.Module == module })
	if i < 0 {
		return rules.Sleep{}, false
	}
	return dev.verdict.Sleeps[i], true
}

// rule is what counts for a rest: what rules say of the first of its devices.
func (m *Machine) rule(r *rest) (s rules.Sleep, ok bool) {
	for _, path := range r.devices {
		if dev := m.device(path); dev != nil {
			if s, ok = dev.sleep(r.mod.name); ok {
				return s, true
			}
		}
	}
	return s, false
}

// findRests takes in which drivers may sleep by the rules of now.
func (m *Machine) findRests() {
	if m.scanned == 0 || m.set == nil {
		return
	}
	m.mayRest = false
	for _, dev := range m.devices {
		for _, s := range dev.verdict.Sleeps {
			mod := m.modules[s.Module]
			if dev.Driver != "" && mod != nil && mod.state == control.Live && mod.ours {
				m.mayFall(mod, dev, s)
			}
		}
	}
	for _, r := range m.rests {
		if _, ok := m.rule(r); !ok || m.isOwned(r) {
			r.wanted = r.phase != awake && !r.failed
		}
	}
}

// isOwned tells whether rules say who has any of the devices of a driver.
func (m *Machine) isOwned(r *rest) bool {
	return slices.ContainsFunc(r.devices, func(path string) bool {
		dev := m.device(path)
		return dev != nil && owned(&dev.verdict.Decision)
	})
}

// mayFall takes in that a driver may sleep because of a device.
func (m *Machine) mayFall(mod *module, dev *device, s rules.Sleep) {
	r := m.restOf(mod)
	if r == nil {
		r = &rest{mod: mod, next: never}
		m.rests = append(m.rests, r)
	}
	if r.phase == awake && r.op == 0 && (r.lost || !slices.Contains(r.devices, dev.Path)) {
		r.devices = append(r.devices, dev.Path)
		if slices.Contains(r.met, dev.Path) && !r.lost {
			return // it was left out since another driver has it, and is no reason to look sooner
		}
		r.met = append(r.met, dev.Path)
		r.next, r.lost = min(r.next, later(m.now, s.After)), false
		if s.OnOpen && !slices.ContainsFunc(m.known, func(k control.Sleeper) bool { return knows(k, mod.name, dev) }) {
			r.next = min(r.next, m.now+learnPause)
		}
	}
}

// sleepTime is for how long nobody has used a driver when it goes to sleep.
func (r *rest) sleepTime(s rules.Sleep) time.Duration { return doubled(s.After, r.doubled) }

// restOn does what is due about drivers that may sleep.
func (m *Machine) restOn() {
	if m.mayRest {
		m.findRests()
	}
	for _, r := range slices.Clone(m.rests) {
		m.tellLateOpeners(r)
		m.tidy(r)
		switch {
		case r.ended:
			m.endRest(r)
		case r.phase == awake:
			m.sample(r)
		case r.phase == falling:
			m.fall(r)
		case r.phase == asleep:
			m.hide(r)
			if m.isCalled(r) {
				m.wake(r)
			}
		case r.phase == waking:
			m.waken(r)
		}
	}
	m.helpOpeners()
}

// called tells whether a rest is to end.
func (r *rest) called() bool { return r.wanted || len(r.openers) > 0 }

// isCalled tells whether a driver that sleeps is to wake: it is called, or in already
// by somebody else's doing, or the kernel would not ask for it any more.
func (m *Machine) isCalled(r *rest) bool {
	return r.called() || r.mod.state == control.Live || !r.failed && m.inTheWay(r.must) != ""
}

// inTheWay names which of modules that have to be out for the kernel to ask for what
// sleeps is in, or on its way, "" for none. Another device may need it, or somebody
// else has put it in.
func (m *Machine) inTheWay(must []string) string {
	i := slices.IndexFunc(must, func(name string) bool {
		mod := m.modules[name]
		return mod != nil && (mod.inKernel() || mod.pending())
	})
	if i < 0 {
		return ""
	}
	return must[i]
}

// sample has somebody look who uses a driver.
func (m *Machine) sample(r *rest) {
	switch s, ok := m.rule(r); {
	case r.op != 0 || r.covered && !r.made || m.now < r.next:
	case r.covered && (!ok || r.mod.state != control.Live || !r.mod.ours):
		r.next, r.lost = never, true // its nodes are ours to take away when its device goes
	case !ok || r.mod.state != control.Live || !r.mod.ours:
		m.forgetRest(r)
	case m.mustStay(r.mod) != "":
		r.stays, r.next = m.mustStay(r.mod), never
	default:
		// From before the look on, so that whoever closes it meanwhile is noticed.
		m.watchNodes(r, r.openings)
		r.op, r.used = m.nextOp(), false
		m.emit(Survey{Op: r.op, Module: r.mod.name, Files: m.filesOf(r), Force: s.Force, Any: s.Any})
	}
}

// filesOf lists the files that a driver, and what it needs, would come from again.
func (m *Machine) filesOf(r *rest) (files []string) {
	for _, path := range r.devices {
		for _, step := range m.device(path).verdict.Steps {
			if step.File != "" && !slices.Contains(files, step.File) {
				files = append(files, step.File)
			}
		}
	}
	return files
}

func (m *Machine) forgetRest(r *rest) {
	m.rests = slices.DeleteFunc(m.rests, func(other *rest) bool { return other == r })
}

func (m *Machine) nextOp() OpID {
	m.lastOp++
	return m.lastOp
}

// resting returns the rest that a worker's call is about, whose end this is, nil
// for none.
func (m *Machine) resting(op OpID) *rest {
	for _, r := range m.rests {
		if r.op == op {
			r.op = 0
			return r
		}
	}
	return nil
}

// surveyed takes in who uses a driver. One that nobody has used for long enough
// goes to sleep.
func (m *Machine) surveyed(e Surveyed) {
	r := m.resting(e.Op)
	if r == nil || r.ended || r.phase != awake {
		return
	}
	s, ok := m.rule(r)
	if !ok {
		return // which is seen to when it is due
	}
	after := r.sleepTime(s)
	bound, matched := e.Devices, m.matched(r.mod, e.Devices)
	r.had, e.Devices = slices.Concat(bound, matched), matched
	m.learnOpenings(r, e)
	if len(e.Openings) > 0 && !r.covered {
		r.openings = e.Openings
	}
	if e.Says == "" && e.InUse == "" {
		e.Says = cmp.Or(m.cannotSleep(r, matched), m.givenTo(r.mod, bound, matched), m.mustGo(e.Must, r.had), m.namesake(r, e.Openings))
	}
	switch {
	case e.Unasked:
		r.next = m.now + actPause
	case e.Says != "" && m.isComing(e.Devices):
		r.idle, r.stays, r.next = false, e.Says, later(m.now, max(after, actPause))
	case e.Says != "":
		m.staysAwake(r, after, e.Says)
	case e.InUse != "" && r.used: // and perhaps not any more
		r.idle, r.tries, r.stays, r.next = false, 0, e.InUse, later(m.now, max(after, actPause))
	case e.InUse != "":
		r.idle, r.tries, r.stays, r.next = false, 0, e.InUse, m.lookIn(after)
	case !r.idle || r.used:
		r.idle, r.since, r.stays, r.next = true, m.now, "", min(later(m.now, after), m.lookIn(after/4))
	case m.now-r.since < after:
		r.next = min(later(r.since, after), m.lookIn(after/4))
	default:
		m.cover(r, e)
	}
}

// watchNodes asks to be told when somebody opens or closes the nodes of a driver,
// once: a program that does so all the time is not to be followed.
func (m *Machine) watchNodes(r *rest, openings []control.Opening) {
	e := WatchNodes{Module: r.mod.name}
	for _, o := range openings {
		if isNode(o) {
			e.Names = append(e.Names, o.Name)
		}
	}
	if len(e.Names) > 0 {
		m.emit(e)
	}
}

// nodeUsed takes in that somebody has opened or closed a node: it is looked at when
// it may have been idle for long enough since.
func (m *Machine) nodeUsed(e NodeUsed) {
	for _, r := range m.rests {
		s, ok := m.rule(r)
		if !ok || r.mod.name != e.Module || r.phase != awake || r.ended {
			continue
		}
		r.used = true
		r.next = min(r.next, later(m.now, r.sleepTime(s)))
	}
}

// staysAwake takes in that a driver can't sleep as things are, which may last.
func (m *Machine) staysAwake(r *rest, after time.Duration, why string) {
	if r.stays != why {
		m.note("stays", "", r.mod.name, reason("policy", "it can't sleep: "+why))
	}
	r.idle, r.stays, r.next = false, why, m.lookInTimes(after, r.tries)
	r.tries++
}

// matched returns, for devices that drivers of a module have, those that it
// matches: these or what they hang below. A serial adapter's port has a driver of
// ftdi_sio, and the interface above it one of usbserial.
func (m *Machine) matched(mod *module, devices []string) (paths []string) {
	for _, p := range devices {
		for ; len(p) > 1; p = path.Dir(p) {
			if dev := m.device(p); dev != nil && slices.Contains(dev.verdict.Modules, mod.name) {
				if !slices.Contains(paths, p) {
					paths = append(paths, p)
				}
				break
			}
		}
	}
	return paths
}

// givenTo says which device a module drives though that does not lead to it, as when
// somebody has given it to the driver: it would not come back to it. An interface
// that a driver takes with its neighbour does. "" is for none.
func (m *Machine) givenTo(mod *module, bound, matched []string) string {
	for _, p := range bound {
		dev := m.device(p)
		if dev == nil || slices.Contains(dev.verdict.Modules, mod.name) {
			continue
		}
		if !slices.ContainsFunc(matched, func(other string) bool { return path.Dir(other) == path.Dir(p) && dev.Subsystem == "usb" }) {
			return p + " was given to it, and does not lead to it"
		}
	}
	return ""
}

// cannotSleep says why a driver that has these devices must not sleep, "" for
// nothing.
func (m *Machine) cannotSleep(r *rest, devices []string) string {
	for _, path := range devices {
		dev := m.device(path)
		switch _, ok := dev.sleep(r.mod.name); {
		case !ok:
			return "no rule says so of " + path
		case dev.assignment != nil || dev.act != nil:
			return "rules say who has " + path
		case m.pending(dev.verdict.Modules):
			return "a driver for " + path + " is on its way"
		}
	}
	switch {
	case len(devices) == 0:
		return "it has no device that calls for it"
	case r.mod.state != control.Live:
		return "it is not in"
	case m.mustStay(r.mod) != "":
		return m.mustStay(r.mod)
	}
	return m.calledForToo(r.mod, devices)
}

// counted are what names begin with to which the kernel adds the lowest number that
// is free.
var counted = []string{"ttyUSB", "ttyACM", "video", "eth", "usb", "wlan", "wwan"}

// namesake says of which sleeper's number a driver's device could have when it comes
// back, "" for none: the first one to wake has the lowest.
func (m *Machine) namesake(r *rest, openings []control.Opening) string {
	for _, other := range m.rests {
		if other == r || other.phase == awake || other.ended {
			continue
		}
		for _, o := range other.openings {
			kind := strings.TrimRight(o.Name, "0123456789")
			if slices.Contains(counted, kind) && slices.ContainsFunc(openings, func(o control.Opening) bool { return strings.TrimRight(o.Name, "0123456789") == kind }) {
				return fmt.Sprintf("%s sleeps (%s), and they could change places", o.Name, other.mod.name)
			}
		}
	}
	return ""
}

// isComing tells whether a driver for any of devices, or for what hangs below them,
// is on its way in: there is more of them soon.
func (m *Machine) isComing(devices []string) bool {
	return slices.ContainsFunc(m.devices, func(dev *device) bool {
		return isOf(dev.Path, devices) && m.pending(dev.verdict.Modules)
	})
}

// calledForToo says what else calls for the module of a driver than the devices
// that it has, "" for nothing. A device that has another driver does not.
func (m *Machine) calledForToo(mod *module, devices []string) string {
	for _, dev := range m.leadingTo(mod) {
		if !slices.Contains(devices, dev.Path) && (dev.Driver == "" || !slices.Contains(dev.verdict.Modules, mod.name)) {
			return dev.Path + " calls for it, too"
		}
	}
	return m.wantedByLine(mod)
}

// wantedByLine says which line wants a module, "" for none.
func (m *Machine) wantedByLine(mod *module) string {
	if lines := m.wantedIn(mod.name); len(lines) > 0 {
		return "a line wants it: " + lines[0].String()
	}
	return ""
}

// deviceLeaves takes in that a device of a driver that may sleep has gone.
func (m *Machine) deviceLeaves(path string) {
	for _, r := range m.rests {
		if r.ended || !slices.Contains(r.devices, path) {
			continue
		}
		isIt := func(other string) bool { return other == path }
		r.devices, r.met = slices.DeleteFunc(slices.Clone(r.devices), isIt), slices.DeleteFunc(slices.Clone(r.met), isIt)
		m.forgetful = m.forgetful || r.covered
		switch s, ok := m.rule(r); {
		case len(r.devices) == 0:
			m.giveUp(r, fmt.Errorf("the device of %s has gone", r.mod.name))
		case r.covered:
			r.wanted, r.fewer, r.restored = r.phase != awake, true, false
		case ok: // what stood against its sleep may have gone with it
			r.tries, r.next = 0, min(r.next, later(m.now, r.sleepTime(s)))
		}
	}
}

// hasNodes tells whether any of what is opened is a node.
func (r *rest) hasNodes() bool {
	return slices.ContainsFunc(r.openings, isNode)
}

func isNode(o control.Opening) bool { return !strings.HasPrefix(o.Alias, "netdev-") }

// giveUp ends a rest, as soon as what is left of it is cleared away.
func (m *Machine) giveUp(r *rest, err error) {
	m.answerOpeners(r, err)
	r.ended, r.tidyAt = true, m.now
}

// restMoves takes in that a device has another path.
func (m *Machine) restMoves(from, to string) {
	for _, r := range m.rests {
		for i, path := range r.devices {
			if path == from {
				r.devices[i], m.forgetful = to, true
			}
		}
	}
}

// endRest clears away what is left of a rest.
func (m *Machine) endRest(r *rest) {
	switch {
	case r.op != 0 || m.now < r.tidyAt || r.isLeaving():
	case r.covered:
		m.tend(r, Uncover)
	default:
		m.forgetRest(r)
	}
}

// isLeaving tells whether a module is being taken out for a rest, whose end, or taking
// too long, is an event.
func (r *rest) isLeaving() bool { return r.out != nil && r.out.exit != 0 && !r.out.overdue }

// isUntidy tells whether nodes are others than the kernel's that should not be.
func (r *rest) isUntidy() bool {
	return r.covered && !r.restored && !r.ended && (r.phase == awake || (r.phase == asleep || r.phase == waking) && !r.fewer)
}

// tidy has nodes put back.
func (m *Machine) tidy(r *rest) {
	switch {
	case r.op != 0 || m.now < r.tidyAt:
	case r.isUntidy() && r.fewer:
		m.tend(r, Uncover)
	case r.isUntidy():
		m.tend(r, Restore)
	case r.isTorn():
		r.torn = false
		m.emit(LookNodes{Module: r.mod.name, Openings: slices.Clone(r.openings)})
	}
}

// nodesLooked has the nodes of a driver that sleeps made again, if some are missing.
// From here on they are ours to take away.
func (m *Machine) nodesLooked(e NodesLooked) {
	for _, r := range m.rests {
		if e.Missing && r.mod.name == e.Module && r.phase == asleep && !r.ended && r.op == 0 {
			r.made, m.forgetful = true, true
			m.persist()
			m.tend(r, Mend)
		}
	}
}

// hide takes away the nodes of a driver that sleeps when a module comes in with which
// the kernel would not ask for them, and has them made again when that has gone. Where
// they stood another device's may be to come, of the same name and another number:
// the kernel makes none where there is one.
func (m *Machine) hide(r *rest) {
	switch inTheWay := m.inTheWay(r.must) != ""; {
	case inTheWay && !r.called() && !r.hidden:
		r.hidden, r.fewer, r.restored, m.forgetful = true, true, false, true
		m.emit(HideNodes{Openings: slices.Clone(r.openings)})
	case !inTheWay && r.hidden:
		r.hidden, r.fewer, r.restored, r.torn, m.forgetful = false, false, true, true, true
		m.tidy(r)
	}
}

// isTorn tells whether a driver that sleeps may lack a node.
func (r *rest) isTorn() bool { return r.torn && r.phase == asleep && !r.ended }

// lookAtNodes looks at the nodes of sleepers when a device goes that had the name of
// one: while a driver sleeps its number is anybody's, and the node that the kernel had
// made for it goes with whoever has it.
func (m *Machine) lookAtNodes(gone string) {
	for _, r := range m.rests {
		r.torn = r.torn || r.phase == asleep && !isOf(gone, r.had) && slices.ContainsFunc(r.openings, func(o control.Opening) bool {
			return isNode(o) && path.Base(o.Name) == path.Base(gone)
		})
	}
}

// tend has a worker see to placeholders.
func (m *Machine) tend(r *rest, how Tending) {
	r.op, r.how = m.nextOp(), how
	m.emit(Tend{Op: r.op, Module: r.mod.name, How: how, Openings: slices.Clone(r.openings)})
}

// tended takes in what has come of that.
func (m *Machine) tended(e Tended) {
	r := m.resting(e.Op)
	if r == nil {
		return
	}
	if e.Says != "" {
		m.note("nodes", "", r.mod.name, reason("daemon", e.Says))
	}
	switch {
	case r.phase == covering && !r.ended && r.made && r.mod.state == control.Absent:
		m.isMade(r, e)
		return
	case r.phase == covering && !r.ended:
		m.isCovered(r, e)
		return
	case e.Unasked:
		r.tidyAt, r.torn = m.now+actPause, r.torn || r.how == Mend
		return
	}
	if r.hidden && r.phase == asleep { // it may have put them back
		m.emit(HideNodes{Openings: slices.Clone(r.openings)})
	}
	r.restored = !r.fewer || r.phase == awake // or that can't be helped
	if r.ended || r.phase == awake {
		m.uncovered(r)
	}
}

// uncovered takes in that the nodes are in order, as far as they are ours to see
// to.
func (m *Machine) uncovered(r *rest) {
	if r.made && !r.ended { // until its device goes
		r.fewer, m.forgetful = false, m.forgetful || r.fewer
		return
	}
	if r.made && len(m.leadingTo(r.mod)) > 0 { // one may have come back meanwhile, to the node that we had made
		m.keepMade(r)
		return
	}
	r.covered, r.restored, r.fewer, m.forgetful = false, false, false, true
	if _, ok := m.rule(r); !ok && !r.ended {
		m.forgetRest(r)
	}
}

// keepMade keeps in mind that nodes of ours may be left, until another device of the
// module goes.
func (m *Machine) keepMade(r *rest) {
	r.tidyAt = never
	for _, other := range m.rests {
		if other == r || other.mod != r.mod || !other.ended || !other.made || other.op != 0 {
			continue
		}
		for _, o := range r.openings {
			if !slices.ContainsFunc(other.openings, func(known control.Opening) bool { return known.Alias == o.Alias }) {
				other.openings = append(other.openings, o)
			}
		}
		r.covered = false
		m.forgetRest(r)
		m.forgetful = true
		return
	}
}

// inheritMade takes over nodes of ours that were left where a driver's own are to be
// covered: they are its placeholders now, and go with its devices.
func (m *Machine) inheritMade(r *rest) {
	for _, left := range slices.Clone(m.rests) {
		if left == r || left.mod != r.mod || !left.ended || !left.made || left.op != 0 {
			continue
		}
		before := len(left.openings)
		left.openings = slices.DeleteFunc(slices.Clone(left.openings), func(o control.Opening) bool {
			return slices.ContainsFunc(r.openings, func(own control.Opening) bool { return own.Alias == o.Alias })
		})
		if len(left.openings) == before {
			continue
		}
		r.made, m.forgetful = true, true
		if len(left.openings) == 0 {
			left.covered = false
			m.forgetRest(left)
		}
	}
}

// lookAtMade has nodes of ours taken away that were left for a device which has gone.
func (m *Machine) lookAtMade(gone *device) {
	for _, r := range m.rests {
		if r.ended && r.made && slices.ContainsFunc(gone.verdict.Steps, func(s rules.Step) bool { return s.Module == r.mod.name }) {
			r.tidyAt = min(r.tidyAt, m.now)
		}
	}
}

// restTime is when something is due about a rest.
func (m *Machine) restTime(r *rest) time.Duration {
	at := never
	for _, o := range r.openers {
		at = min(at, o.until)
	}
	switch {
	case r.op != 0, r.ended && r.isLeaving():
	case r.isUntidy(), r.isTorn(), r.covered && r.ended:
		at = min(at, r.tidyAt)
	case r.phase == awake, r.phase == waking && r.mod.state == control.Live:
		at = min(at, r.next)
	}
	return at
}

// rested lists what must not be forgotten of rests.
func (m *Machine) rested() (all []control.Sleeper) {
	for _, r := range m.rests {
		if r.covered {
			devices := slices.Clone(r.devices)
			if r.ended && r.made { // only its nodes are left
				devices = nil
			}
			all = append(all, control.Sleeper{Module: r.mod.name, Devices: devices, Openings: slices.Clone(r.openings), Must: r.must, Made: r.made, Fewer: r.fewer})
		}
	}
	return all
}

// adoptRests takes over what slept under the daemon before this one.
func (m *Machine) adoptRests() {
	former := m.former
	m.former = nil
	for _, a := range former {
		r := &rest{mod: m.module(a.Module), openings: a.Openings, must: a.Must, covered: true, made: a.Made, fewer: a.Fewer, slept: m.now, next: m.now}
		for _, path := range a.Devices {
			if m.device(path) != nil {
				r.devices = append(r.devices, path)
			}
		}
		r.had = slices.Clone(r.devices)
		switch {
		case len(r.devices) == 0:
			r.ended = true
		case r.mod.state != control.Live:
			r.phase, r.wanted, r.torn = asleep, a.Fewer, r.hasNodes() // while nobody looked
		default:
			r.lost, r.fewer = true, true // until it is seen that its module is ours
		}
		m.rests = append(m.rests, r)
	}
	for _, r := range slices.Clone(m.rests) {
		if !r.ended {
			m.inheritMade(r)
		}
		for _, path := range slices.Clone(r.devices) {
			m.losesSleeper(m.device(path))
		}
	}
	m.mayRest = true
	for _, o := range m.early {
		m.wakeFor(o.id, o.alias)
	}
	m.early = nil
}

// restWords say of a driver that may sleep what is to become of it, "" of others.
func (m *Machine) restWords(mod *module) string {
	r := m.restOf(mod)
	if r == nil {
		return m.strangerWords(mod)
	}
	s, ok := m.rule(r)
	if !ok {
		return ""
	}
	says := ""
	switch {
	case r.phase == asleep:
		says = fmt.Sprintf("it sleeps since %v, and wakes when somebody opens %s", (m.now - r.slept).Round(time.Second), names(r.openings))
	case r.phase == waking:
		says = "it is waking"
	case r.phase != awake:
		says = "it is about to sleep"
	case r.idle:
		says = fmt.Sprintf("nobody has used it for %v; it sleeps in %v", (m.now - r.since).Round(time.Second), max(0, r.since+r.sleepTime(s)-m.now).Round(time.Second))
	case r.stays != "":
		says = "it does not sleep: " + r.stays
	default:
		says = fmt.Sprintf("it sleeps when nobody has used it for %v", r.sleepTime(s))
	}
	if r.doubled > 0 {
		says += fmt.Sprintf(" (its time was doubled %d times, since it was woken soon after it had gone to sleep)", r.doubled)
	}
	return says + " (" + s.By.String() + ")"
}

// strangerWords say of a module that rules would let sleep, if somebody else has
// put it in, that it stays. They are "" of others.
func (m *Machine) strangerWords(mod *module) string {
	if mod.ours || mod.state != control.Live || m.set == nil {
		return ""
	}
	by := rules.Reason{}
	for _, dev := range m.devices {
		if s, ok := dev.sleep(mod.name); ok {
			by = s.By
			break
		}
	}
	if by.Source == "" {
		by = m.idleRule(mod)
	}
	if by.Source == "" {
		return ""
	}
	return "it does not sleep: it was not put in by kmodd (" + by.String() + ")"
}

// idleRule is the rule that says when a module goes or sleeps, the zero value for
// none.
func (m *Machine) idleRule(mod *module) rules.Reason {
	timeout, by := m.set.Unused(mod.name)
	if timeout == policy.Never || by.Says == "gone_timeout" {
		return rules.Reason{}
	}
	return by
}

// names are those of what is opened.
func names(openings []control.Opening) string {
	var all []string
	for _, o := range openings {
		all = append(all, o.Name)
	}
	return strings.Join(all, ", ")
}
