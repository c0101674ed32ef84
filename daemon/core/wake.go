package core

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
)

// wakeLimit is how long those who open a device of a sleeping driver wait for it.
// The kernel asks twice for a device that does not come: by the name with the
// minor number, and by that without.
const wakeLimit = 10 * time.Second

// The first and the longest pause between two looks at whether a device can be
// opened again.
const (
	firstOpen   = 2 * time.Millisecond
	longestOpen = 200 * time.Millisecond
)

// An opener waits in an open() of a device, or for an interface.
type opener struct {
	id    uint64
	alias string
	until time.Duration
}

// wakeFor takes in that somebody opens what has that alias. What is not ours is
// somebody else's to answer.
func (m *Machine) wakeFor(id uint64, alias string) {
	o := opener{id, alias, m.now + wakeLimit}
	if len(m.former) > 0 { // what slept under the daemon before this one is soon known
		m.early = append(m.early, o)
		return
	}
	for _, r := range m.rests {
		if !r.ended && r.phase != awake && slices.ContainsFunc(r.openings, func(o control.Opening) bool { return o.Alias == alias }) {
			r.openers = append(r.openers, o)
			return
		}
	}
	m.emit(Reply{ID: id, Value: control.Woken{}})
}

// wakeAll has everything wake that sleeps.
func (m *Machine) wakeAll() {
	for _, r := range m.rests {
		r.wanted = r.phase != awake
	}
}

// wake begins to put in again what sleeps.
func (m *Machine) wake(r *rest) {
	r.opened = never
	if len(r.openers) > 0 {
		r.opened = m.now
	}
	r.phase, r.pause, r.next, r.failed, r.torn = waking, firstOpen, 0, false, false
	m.note("wake", "", r.mod.name, m.whyWake(r)...)
	for _, path := range r.devices {
		dev := m.device(path)
		for _, s := range dev.verdict.Steps {
			mod := m.module(s.Module)
			if mod.outing != nil {
				mod.outing.at = 0 // which is no sign that it went too soon when nothing called for it
			}
			m.want(s, dev.Path, m.step)
		}
	}
	m.goFirst(r)
	m.waken(r)
}

// whyWake says why a driver wakes that nobody has called.
func (m *Machine) whyWake(r *rest) []control.Reason {
	if must := m.inTheWay(r.must); must != "" && !r.called() {
		return []control.Reason{reason("policy", must+" comes in, so the kernel would not ask for its devices any more")}
	}
	return nil
}

// goFirst has drivers of other devices wait for one that wakes since they bring in what
// had to be out for it: it is to have its numbers again, of which the first one to come
// has the lowest.
func (m *Machine) goFirst(r *rest) {
	if r.mod.state != control.Waiting {
		return
	}
	for _, mod := range m.waiting {
		needs := slices.ContainsFunc(mod.step.Needs, func(name string) bool { return slices.Contains(r.must, name) })
		if needs && !m.inFor(mod, r.devices) {
			mod.step.After = append(slices.Clone(mod.step.After), r.mod.name)
			// That it was wanted first had it go first.
			r.mod.step.After = slices.DeleteFunc(slices.Clone(r.mod.step.After), func(name string) bool { return name == mod.name })
		}
	}
}

// isUrgent tells whether a module is to come for a driver that wakes: somebody may wait
// for it in an open(), so that it needs no slot.
func (m *Machine) isUrgent(mod *module) bool {
	return slices.ContainsFunc(m.rests, func(r *rest) bool { return r.phase == waking && m.inFor(mod, r.devices) })
}

// waken goes on with a driver that is to be awake again.
func (m *Machine) waken(r *rest) {
	switch {
	case r.mod.state == control.Live && r.mod.settings != nil && m.now < r.mod.live+settingTime:
		r.next = r.mod.live + settingTime
	case r.mod.state == control.Live && m.now >= r.next:
		r.next, r.pause = m.now+r.pause, min(2*r.pause, longestOpen)
		m.emit(LookOpen{Module: r.mod.name, Devices: slices.Clone(r.devices), Openings: slices.Clone(r.openings)})
	case r.mod.state == control.Live, r.mod.pending(), r.mod.state == control.Going && m.sleeps(r):
	case m.sleeps(r):
		says := "it is " + string(r.mod.state)
		if err := r.mod.said().err; err != "" {
			says = err
		}
		m.answerOpeners(r, fmt.Errorf("%s could not be put in again: %s", r.mod.name, says))
		r.phase, r.wanted, r.failed = asleep, false, true // whoever opens it has it tried again
		if m.inTheWay(r.must) != "" {
			m.fallBack(r)
		}
	default:
		m.giveUp(r, fmt.Errorf("rules do not give %s to its device any more", r.mod.name))
		m.serveAwake(r)
	}
}

// serveAwake serves the devices of a rest that has ended as if they had just come.
func (m *Machine) serveAwake(r *rest) {
	for _, path := range r.devices {
		dev := m.device(path)
		m.serveDevice(dev, m.step)
	}
}

// sleeps tells whether rules still lead from the devices to the driver, and let it
// sleep.
func (m *Machine) sleeps(r *rest) bool {
	_, ok := m.rule(r)
	return ok
}

// opened takes in whether the devices of a driver that wakes can be opened.
func (m *Machine) opened(e Opened) {
	mod := m.modules[e.Module]
	if mod == nil {
		return
	}
	r := m.restOf(mod)
	if r == nil || r.phase != waking {
		return
	}
	r.openers = slices.DeleteFunc(r.openers, func(o opener) bool {
		switch {
		case slices.Contains(e.Works, o.alias):
			m.answerOpener(o, nil)
		case slices.Contains(e.Other, o.alias):
			m.answerOpener(o, errors.New(e.Says))
		default:
			return false
		}
		return true
	})
	switch {
	case len(e.Works)+len(e.Other) == len(r.openings):
		if e.Says != "" {
			m.note("nodes", "", mod.name, reason("kernel", e.Says))
		}
		m.awakeAgain(r, nil)
	case m.now >= mod.live+wakeLimit:
		m.awakeAgain(r, fmt.Errorf("%s is in, and its device was not there again within %v", mod.name, wakeLimit))
	}
}

// awakeAgain takes in that a driver is awake, with what those are told who wait
// for it.
func (m *Machine) awakeAgain(r *rest, err error) {
	if r.phase == waking {
		m.counts.woken++
		m.note("awake", "", r.mod.name)
		if err == nil {
			m.judgeSleep(r)
		}
	}
	m.answerOpeners(r, err)
	r.phase, r.wanted, r.idle, r.hidden = awake, false, false, false
	r.next, r.tidyAt, m.mayRest = never, m.now, true
	why := r.undone
	r.undone = ""
	switch s, ok := m.rule(r); {
	case ok && why != "":
		m.staysAwake(r, s.After, why)
	case ok:
		r.next = later(m.now, r.sleepTime(s))
	}
	// The nodes of a device that is not there go, as they would have gone with it: it
	// has new ones when it comes. Nobody else would take these away.
	r.fewer = r.fewer || err != nil
	switch {
	case r.restored && r.hasNodes(): // what was done beside that is undone now
		r.restored = false
	case r.restored:
		m.uncovered(r)
	}
	for _, path := range r.devices { // rules may have begun to say so while it slept, or what others wait for may have happened
		if dev := m.device(path); dev != nil && (dev.later || dev.assignment == nil && owned(&dev.verdict.Decision)) {
			m.wantAll(dev, m.step)
		}
	}
}

// judgeSleep has a driver that somebody has woken soon after it had gone sleep later the
// next time. That an open() failed, however often, says nothing of that.
func (m *Machine) judgeSleep(r *rest) {
	switch s, ok := m.rule(r); {
	case !ok || r.opened == never:
	case (r.opened-r.slept)/tooSoon < s.After:
		r.doubled++
	default:
		r.doubled = 0
	}
}

func (m *Machine) answerOpeners(r *rest, err error) {
	for _, o := range r.openers {
		m.answerOpener(o, err)
	}
	r.openers = nil
}

func (m *Machine) answerOpener(o opener, err error) {
	reply := Reply{ID: o.id, Err: err}
	if err == nil {
		reply.Value = control.Woken{Handled: true}
	}
	m.emit(reply)
}

// tellLateOpeners tells those who have waited long enough that it takes longer.
func (m *Machine) tellLateOpeners(r *rest) {
	r.openers = slices.DeleteFunc(r.openers, func(o opener) bool {
		if m.now < o.until {
			return false
		}
		m.answerOpener(o, fmt.Errorf("%s was not awake within %v", r.mod.name, wakeLimit))
		return true
	})
}

// helpOpeners has the kernel ask us while anything sleeps, or may soon.
func (m *Machine) helpOpeners() {
	wanted := len(m.former) > 0 || slices.ContainsFunc(m.rests, func(r *rest) bool { return r.phase != awake && !r.ended })
	if wanted != m.helping {
		m.helping = wanted
		m.emit(Help{On: wanted})
	}
}

// Resting tells whether anything sleeps, or is about to, or has left nodes that are
// not in order.
func (m *Machine) Resting() bool {
	return m.helping || slices.ContainsFunc(m.rests, func(r *rest) bool { return r.covered })
}
