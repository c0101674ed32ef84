package core

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
)

// An unused module is one that this daemon has put in and that nothing calls for
// any more: no device that is present leads to it, and no line wants it.
type unused struct {
	since time.Duration // when the last one went that did
	next  time.Duration // when it is to go, or is looked at again
	stays string        // why it did not go the last time
	lost  int           // how often it came into use at the last moment
}

// An outing is what a module remembers of having been taken out.
type outing struct {
	at      time.Duration // when it had gone
	doubled int           // how often its time was doubled, since it was wanted again too soon
	busy    int           // how often the kernel has said EBUSY instead
}

// A module that is wanted again within so many of its times has gone too soon, and
// has twice the time from then on, up to an hour.
const (
	tooSoon    = 10
	longestOut = time.Hour
)

// mostBusy is how often the kernel may say EBUSY until it is believed that it
// always will.
const mostBusy = 2

// never is a time that does not come.
const never time.Duration = math.MaxInt64

// goTime is how long nothing has called for a module when it is to go.
func (m *Machine) goTime(mod *module) time.Duration {
	timeout, _ := m.set.Unused(mod.name)
	if timeout == policy.Never || m.forRealTime(mod) {
		return never
	}
	if mod.outing != nil {
		timeout = doubled(timeout, mod.outing.doubled)
	}
	return timeout
}

// forRealTime tells whether a module stays since nobody has said how long, on a kernel
// that is made for real time.
func (m *Machine) forRealTime(mod *module) bool {
	if !m.limits.KeepUnused {
		return false
	}
	_, by := m.set.Unused(mod.name)
	return by.Source == ""
}

// doubled is a time that was doubled so often, up to the longest.
func doubled(timeout time.Duration, times int) time.Duration {
	for range times {
		timeout = max(timeout, min(2*timeout, longestOut))
	}
	return timeout
}

// reckonAll looks at which modules nothing calls for, and when they are to go:
// rules may have another time for them.
func (m *Machine) reckonAll() {
	for _, mod := range m.modules { // in whatever order: each stands for itself
		m.reckon(mod)
		m.dueAgain(mod)
	}
}

// dueAgain has a module go, or looked at, as if that had not been tried yet.
func (m *Machine) dueAgain(mod *module) {
	if u := mod.unused; u != nil {
		u.next = max(m.now, later(u.since, m.goTime(mod)))
	}
}

// reckonSteps does so for those of a decision.
func (m *Machine) reckonSteps(d *rules.Decision) {
	for _, s := range d.Steps {
		if mod := m.modules[s.Module]; mod != nil {
			m.reckon(mod)
		}
	}
}

// reckon begins the time after which a module goes, or ends it; one that has not
// been put in yet is not any more. Before the first scan has ended nobody knows
// what calls for it.
func (m *Machine) reckon(mod *module) {
	switch {
	case m.scanned == 0 || m.set == nil:
	case mod.state == control.Waiting && !m.calledFor(mod.name):
		m.leave(mod) // what it was wanted for has gone before its turn came
		mod.state = control.Absent
		m.dirty = true
	case mod.state != control.Live || !mod.ours || m.calledFor(mod.name):
		m.used(mod)
	case mod.unused == nil:
		mod.unused = &unused{since: m.now, next: later(m.now, m.goTime(mod))}
		m.unused = append(m.unused, mod)
	}
}

// later is a time after another one, which may never come.
func later(at, by time.Duration) time.Duration {
	if by > never-at {
		return never
	}
	return at + by
}

// lookIn is when something is looked at again that may last, after a pause: at the next
// of the times, Limits.Rest apart, at which all such things are looked at, so that a
// board is woken once for all of them. The answers to what is asked then come a little
// later, and are not to have a time more.
func (m *Machine) lookIn(pause time.Duration) time.Duration {
	at := later(m.now, max(pause, m.limits.Rest))
	if at == never {
		return never
	}
	at -= m.limits.Rest / 32
	return at + (m.limits.Rest-at%m.limits.Rest)%m.limits.Rest
}

// lookInTimes is lookIn after a pause that is twice as long each time that it was in
// vain, up to six times.
func (m *Machine) lookInTimes(pause time.Duration, tries int) time.Duration {
	pause, tries = max(pause, m.limits.Rest), min(tries, 6)
	if pause >= never>>tries {
		return never
	}
	return m.lookIn(pause << tries)
}

// used ends the time of a module that something calls for.
func (m *Machine) used(mod *module) {
	if mod.unused == nil {
		return
	}
	mod.unused = nil
	m.unused = slices.DeleteFunc(m.unused, func(other *module) bool { return other == mod })
}

// calledFor tells whether a device that is present leads to a module, or a line.
func (m *Machine) calledFor(name string) bool {
	has := func(d *rules.Decision) bool {
		return slices.ContainsFunc(d.Steps, func(s rules.Step) bool { return s.Module == name })
	}
	for _, v := range m.verdicts { // in whatever order
		if has(&v.Decision) {
			return true
		}
	}
	return m.foreseen(name) || slices.ContainsFunc(m.wants, func(w *want) bool { return has(&w.Decision) })
}

// takeOutUnused takes out one module whose time has come, the one first that was
// put in last: so whatever needs another one goes before it, and a pre-softdep
// after the module that has it.
func (m *Machine) takeOutUnused() {
	if len(m.unused) == 0 || m.leaving() {
		return
	}
	for {
		last := m.lastDue()
		if last == nil {
			return
		}
		last.unused.next = m.lookIn(m.goTime(last))
		if m.mayGo(last) {
			m.emit(LookUse{Name: last.name})
			return
		}
	}
}

// lastDue returns the module that was put in last of those whose time has come.
func (m *Machine) lastDue() (last *module) {
	for _, mod := range m.unused {
		if m.now >= mod.unused.next && (last == nil || mod.live > last.live || mod.live == last.live && mod.name > last.name) {
			last = mod
		}
	}
	return last
}

// mayGo tells whether a module may be taken out at all.
func (m *Machine) mayGo(mod *module) bool {
	why := m.mustStay(mod)
	if why != "" {
		mod.unused.stays = why
	}
	return why == ""
}

// mustStay says why a module may not be taken out at all, "" if it may.
func (m *Machine) mustStay(mod *module) string {
	switch {
	case mod.pinned:
		return "it was loaded in the initramfs, and its file may be gone"
	case m.pins[mod.name]:
		return "it is pinned"
	case mod.stuck:
		return "taking it out was tried, and did not end well"
	}
	return ""
}

// leaving tells whether a module is being taken out by us, and that may still be
// waited for.
func (m *Machine) leaving() bool {
	return slices.ContainsFunc(m.unsure, func(mod *module) bool { return mod.exit != 0 && !mod.overdue })
}

// counted takes in who uses a module. If nobody does it is taken out.
func (m *Machine) counted(e Counted) {
	if m.countedInFall(e) {
		return
	}
	mod := m.modules[e.Name]
	if mod == nil || mod.unused == nil || mod.state != control.Live {
		return
	}
	switch {
	case len(e.Holders) > 0:
		mod.unused.stays = "it is needed by " + strings.Join(e.Holders, ", ")
	case e.References > 0:
		mod.unused.stays = fmt.Sprintf("it is in use: its reference count is %d", e.References)
	case e.Drives != "": // the rules do not lead to it any more, but it is there
		mod.unused.stays = "it drives " + e.Drives
	case e.References < 0:
		mod.unused.stays = "this kernel does not say whether it is in use"
	default:
		m.sendOut(mod, m.whyUnused(mod))
	}
}

// sendOut has a worker take a module out.
func (m *Machine) sendOut(mod *module, why string) {
	mod.exit = m.nextOp()
	m.exits[mod.exit] = mod
	m.note("unload", "", mod.name, reason("policy", why))
	m.forgetful = true
	m.persist()
	m.emit(Unload{Op: mod.exit, Name: mod.name})
	m.watch(mod, control.Going, false)
}

// whyUnused says since when nothing has called for a module.
func (m *Machine) whyUnused(mod *module) string {
	_, by := m.set.Unused(mod.name)
	says := fmt.Sprintf("nothing has called for it for %v", (m.now - mod.unused.since).Round(time.Second))
	if by.Source != "" {
		says += fmt.Sprintf(" (%s)", by)
	}
	return says
}

// unloaded takes in how taking out a module has ended.
func (m *Machine) unloaded(e Unloaded) {
	mod := m.exits[e.Op]
	delete(m.exits, e.Op)
	if mod != nil && e.Errno == 0 {
		gave := e.Size // at least: what others take meanwhile hides it
		if len(m.ops) == 0 {
			gave = max(gave, e.Memory)
		}
		mod.freed += gave
		m.counts.freed += gave
		m.needsDueAgain(mod)
		defer m.keepSettings(mod, e.Settings)
	}
	if mod == nil || mod.exit != e.Op { // the kernel's uevent has told more
		return
	}
	switch {
	case e.Errno == 0 && e.Says == "", e.Errno == syscall.ENOENT:
		m.nowAbsent(mod)
		return
	case e.Died:
		mod.stuck = true
		m.used(mod)
		m.note("stuck", "", mod.name, append([]control.Reason{reason("kernel", e.Says)}, logged(e.Log)...)...)
		m.emit(LookModule{Name: mod.name}) // what is left of it
		m.endExit(mod)
		return
	}
	m.endExit(mod)
	m.leave(mod)
	mod.state = control.Live
	m.reckon(mod)
	m.stayed(mod, e)
	m.settled(mod) // it may have been wanted meanwhile
	if e.Errno == syscall.EBUSY && !e.Unasked {
		m.emit(LookModule{Name: mod.name}) // somebody else may be taking it out
	}
}

// stayed notes why a module did not go, be it that nothing calls for it or that its
// driver was to sleep.
func (m *Machine) stayed(mod *module, e Unloaded) {
	u := mod.unused
	forSleep := u == nil
	if forSleep {
		u = &unused{}
	}
	switch {
	case e.Unasked:
		u.stays, u.next = e.Says, m.now+actPause
		return
	case e.Errno == syscall.EAGAIN, e.Errno == syscall.EBUSY && mod.oftenBusy() < mostBusy:
		u.lost++
		u.stays = "it came into use at the last moment"
		u.next = m.lookInTimes(m.goTime(mod), u.lost)
	default: // that won't change
		mod.stuck = true
		u.stays, u.next = e.Says, never
	}
	if !forSleep || mod.stuck {
		m.note("stays", "", mod.name, reason("kernel", u.stays))
	}
}

// oftenBusy counts that the kernel says EBUSY, and returns how often it had before: it may be
// that somebody else is taking the module out, or that it has no exit function.
func (mod *module) oftenBusy() int {
	if mod.outing == nil {
		mod.outing = &outing{}
	}
	mod.outing.busy++
	return mod.outing.busy - 1
}

// endExit ends what is remembered of taking out a module.
func (m *Machine) endExit(mod *module) {
	if mod.exit == 0 {
		return
	}
	mod.exit = 0
	m.forgetful = true
}

// wentOut remembers that a module has gone by our doing.
func (m *Machine) wentOut(mod *module) {
	if mod.exit == 0 {
		return
	}
	m.endExit(mod)
	if mod.outing == nil {
		mod.outing = &outing{}
	}
	mod.outing.at, mod.outing.busy = m.now, 0
	m.needsDueAgain(mod)
}

// needsDueAgain has what a module needed looked at again, which may have waited for
// it: when its uevent tells that it has gone, and when the call has ended, since only
// in between the kernel lets go of what it needed.
func (m *Machine) needsDueAgain(mod *module) {
	for _, need := range mod.step.Needs {
		if n := m.modules[need]; n != nil {
			m.dueAgain(n)
		}
	}
}

// wantedAgain takes in that a module is wanted that has been out: it was not for
// long enough, or it was.
func (m *Machine) wantedAgain(mod *module) {
	o := mod.outing
	if o == nil || o.at == 0 || m.set == nil {
		return
	}
	if usual := m.goTime(mod); usual != never && (m.now-o.at)/tooSoon < usual {
		o.doubled++
	} else {
		o.doubled = 0
	}
	o.at = 0
}

// unusedWords say of a module that nothing calls for what is to become of it, ""
// of others.
func (m *Machine) unusedWords(mod *module) string {
	u := mod.unused
	if u == nil || m.set == nil {
		return ""
	}
	says := m.whyUnused(mod)
	may := m.mayGo(mod)
	if u.stays != "" {
		says += "; " + u.stays
	}
	switch {
	case may && m.forRealTime(mod):
		return says + "; it stays: on a kernel for real time nothing goes unless gone_timeout or a rule says so"
	case !may, u.next == never:
		return says + "; it stays"
	case u.next > m.now:
		says += fmt.Sprintf("; it goes in %v if nobody uses it then", (u.next - m.now).Round(time.Second))
	}
	if mod.outing != nil && mod.outing.doubled > 0 {
		says += fmt.Sprintf(" (its time was doubled %d times, since it was wanted again soon after it had gone)", mod.outing.doubled)
	}
	return says
}

// resumed begins the times of all modules anew after a suspend, during which
// their users slept too.
func (m *Machine) resumed() {
	for _, r := range m.rests {
		if s, ok := m.rule(r); ok && r.phase == awake && !r.ended {
			r.idle, r.next = false, later(m.now, r.sleepTime(s))
		}
	}
	for _, mod := range m.unused {
		if mod.unused.next != never {
			mod.unused.next = later(m.now, m.goTime(mod))
		}
	}
}

// pin has a module stay, or go like others.
func (m *Machine) pin(r control.PinRequest) error {
	name := moduleName(r.Module)
	if r.Unpin {
		if !m.pins[name] {
			return control.NotFound(r.Module)
		}
		delete(m.pins, name)
		if mod := m.modules[name]; mod != nil {
			m.dueAgain(mod)
			if r := m.restOf(mod); r != nil && r.phase == awake {
				r.next = m.now
			}
		}
	} else {
		if m.modules[name] == nil && m.class(name, "") == nil { // an alias pins nothing
			return control.NotFound(r.Module)
		}
		m.pins[name] = true
		if mod := m.modules[name]; mod != nil {
			if r := m.restOf(mod); r != nil {
				r.wanted = r.phase != awake
			}
		}
	}
	m.forgetful = true
	return nil
}
