package core

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
)

// A rest is what is known of a driver that rules let sleep: take it out while
// nobody uses its devices, and put it in again when somebody opens one.
type rest struct {
	mod   *module
	phase phase
	op    OpID // of the worker's call on its way, 0 for none

	devices  []string // paths of those that it has, or had when it went to sleep
	openings []control.Opening
	must     []string // modules that have to be out, too
	covered  bool     // placeholders may stand at the openings

	idle  bool          // as of the last look
	since time.Duration // when it was seen idle first
	next  time.Duration // when it is looked at
	stays string        // why it did not go to sleep
	tries int           // how often that could not be helped

	chain []*module // that are still to go
	out   *module   // that is going

	slept   time.Duration // when it had gone
	doubled int           // how often its time was doubled, since it was woken too soon
	wanted  bool          // it is to wake, whoever asks
	bare    bool          // its placeholders go before it wakes: it is not to sleep again
	askers  []uint64      // who waits for it to be awake
	until   time.Duration // for how long they do
	pause   time.Duration // until it is looked at again whether it is awake
	ended   bool          // its devices have gone, or it can't go on
}

// A phase is how far a rest is.
type phase int

const (
	awake      phase = iota
	covering         // placeholders are put over its nodes
	fallAsleep       // its modules are taken out
	asleep
	uncovering // its placeholders are taken away so that it can wake without
	waking     // its modules are put in again
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

// restOf returns the rest of a module, nil if there is none.
func (m *Machine) restOf(mod *module) *rest {
	for _, r := range m.rests {
		if r.mod == mod && !r.ended {
			return r
		}
	}
	return nil
}

// sleeping returns the rest by which a device has no driver for now, nil for none.
func (m *Machine) sleeping(dev *device) *rest {
	for _, r := range m.rests {
		if !r.ended && r.phase != awake && r.phase != waking && slices.Contains(r.devices, dev.Path) {
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
			if dev.Driver == "" || mod == nil || mod.state != control.Live || !mod.ours {
				continue
			}
			r := m.restOf(mod)
			if r == nil {
				r = &rest{mod: mod, next: later(m.now, s.After)}
				m.rests = append(m.rests, r)
			}
			if r.phase == awake && r.op == 0 && !slices.Contains(r.devices, dev.Path) {
				r.devices = append(r.devices, dev.Path)
				r.next = min(r.next, later(m.now, s.After))
			}
		}
	}
	for _, r := range m.rests {
		if _, ok := m.rule(r); !ok && r.phase != awake && !r.ended {
			r.wanted, r.bare = true, true
		}
	}
}

// sleepTime is for how long nobody has used a driver when it goes to sleep.
func (r *rest) sleepTime(s rules.Sleep) time.Duration {
	after := s.After
	for range r.doubled {
		after = max(after, min(2*after, longestOut))
	}
	return after
}

// restOn does what is due about drivers that may sleep.
func (m *Machine) restOn() {
	if m.mayRest {
		m.findRests()
	}
	if len(m.rests) == 0 {
		return
	}
	for _, r := range slices.Clone(m.rests) {
		switch {
		case r.ended:
			m.endRest(r)
		case r.phase == awake:
			m.sample(r)
		case r.phase == fallAsleep:
			m.fall(r)
		case r.phase == asleep && (r.wanted || len(r.askers) > 0):
			m.wake(r)
		case r.phase == waking:
			m.waken(r)
		}
	}
	m.helpOpeners()
}

// sample has somebody look who uses a driver.
func (m *Machine) sample(r *rest) {
	if r.op != 0 || m.now < r.next {
		return
	}
	s, ok := m.rule(r)
	if !ok || r.mod.state != control.Live || !r.mod.ours {
		m.forgetRest(r)
		return
	}
	if why := m.mustStay(r.mod); why != "" {
		r.stays, r.next = why, never
		return
	}
	r.op = m.nextOp()
	e := Survey{Op: r.op, Module: r.mod.name, Force: s.Force, Any: s.Any}
	for _, path := range r.devices {
		for _, step := range m.device(path).verdict.Steps {
			if step.File != "" && !slices.Contains(e.Files, step.File) {
				e.Files = append(e.Files, step.File)
			}
		}
	}
	m.emit(e)
}

// forgetRest ends one that need not be looked at any more, unless something is to
// be cleared away when its devices go.
func (m *Machine) forgetRest(r *rest) {
	if r.covered {
		r.next = never
		return
	}
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
		return
	}
	after := r.sleepTime(s)
	e.Devices = m.matched(r.mod, e.Devices)
	if e.Says == "" && e.InUse == "" {
		e.Says = m.cannotSleep(r, e.Devices)
	}
	switch {
	case e.Unasked:
		r.next = m.now + actPause
	case e.Says != "":
		m.staysAwake(r, after, e.Says)
	case e.InUse != "":
		r.idle, r.tries, r.stays, r.next = false, 0, e.InUse, later(m.now, max(after, leastPause))
	case !r.idle:
		r.idle, r.since, r.stays, r.next = true, m.now, "", later(m.now, min(after, max(leastPause, after/4)))
	case m.now-r.since < after:
		r.next = min(later(r.since, after), m.now+max(leastPause, after/4))
	default:
		m.cover(r, e)
	}
}

// staysAwake takes in that a driver can't sleep as things are, which may last.
func (m *Machine) staysAwake(r *rest, after time.Duration, why string) {
	if r.stays != why {
		m.note("stays", "", r.mod.name, reason("policy", "it can't sleep: "+why))
	}
	r.idle, r.stays, r.next = false, why, never
	if pause := max(after, leastPause); pause < never>>min(r.tries, 6) {
		r.next = later(m.now, pause<<min(r.tries, 6))
	}
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
	case r.mod.state != control.Live || m.mustStay(r.mod) != "":
		return "it is not idle"
	}
	return ""
}

// cover has placeholders put over the nodes of a driver that goes to sleep. From
// here on it must not be forgotten.
func (m *Machine) cover(r *rest, e Surveyed) {
	r.devices, r.must, r.stays = e.Devices, e.Must, ""
	for _, o := range e.Openings {
		r.openings = slices.DeleteFunc(r.openings, func(old control.Opening) bool { return old.Alias == o.Alias })
		r.openings = append(r.openings, o)
	}
	r.phase, r.op = covering, m.nextOp()
	r.covered, m.forgetful = true, true
	m.note("sleep", "", r.mod.name, reason("policy", fmt.Sprintf("nobody has used it for %v", (m.now-r.since).Round(time.Second))))
	m.persist()
	m.helpOpeners()
	m.emit(Tend{Op: r.op, Module: r.mod.name, How: Cover, Openings: slices.Clone(r.openings)})
}

// tended takes in what has come of placeholders.
func (m *Machine) tended(e Tended) {
	r := m.resting(e.Op)
	if r == nil {
		return
	}
	if e.Says != "" {
		m.note("nodes", "", r.mod.name, reason("daemon", e.Says))
	}
	switch {
	case r.ended:
		r.covered = e.Says != "" || e.Kept || e.Unasked
		r.next = later(m.now, actPause)
		if !e.Unasked {
			r.next = never
		}
		m.forgetful = true
	case r.phase == covering && (e.Says != "" || e.Unasked || r.wanted || len(r.askers) > 0):
		m.awakeAgain(r, nil)
		if s, ok := m.rule(r); ok && e.Says != "" {
			m.staysAwake(r, s.After, e.Says)
		}
	case r.phase == covering:
		r.phase, r.chain = fallAsleep, m.chainOf(r)
	case r.phase == uncovering:
		r.covered, m.forgetful = e.Kept, true
		m.beginWaking(r)
	}
}

// chainOf lists what goes with a driver, in the order of going: what was put in
// for its devices, and what hangs below these, and for nothing else. What needs
// the driver goes before it.
func (m *Machine) chainOf(r *rest) []*module {
	mine := func(dev *device) bool {
		return slices.ContainsFunc(r.devices, func(path string) bool {
			return dev.Path == path || strings.HasPrefix(dev.Path, path+"/")
		})
	}
	var before, after []*module
	for _, mod := range m.sortedModules() {
		if mod == r.mod || mod.state != control.Live || !mod.ours || m.mustStay(mod) != "" {
			continue
		}
		called, others := false, len(m.wantedIn(mod.name)) > 0
		for _, dev := range m.leadingTo(mod) {
			if mine(dev) {
				called = true
			} else if m.sleeping(dev) == nil {
				others = true
			}
		}
		switch {
		case !called || others:
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

// fall takes out one module after the other.
func (m *Machine) fall(r *rest) {
	if r.out != nil && !m.hasGone(r) {
		return
	}
	for len(r.chain) > 0 && r.phase == fallAsleep {
		if m.leaving() {
			return // whose end is an event
		}
		mod := r.chain[0]
		if (r.wanted || len(r.askers) > 0) && r.mod.state == control.Live {
			m.awakeAgain(r, nil)
			return
		}
		r.chain = r.chain[1:]
		if mod.state == control.Live && mod.ours {
			r.out = mod
			m.sendOut(mod, "it sleeps with "+r.mod.name)
			return
		}
	}
	if r.phase == fallAsleep {
		m.fallen(r)
	}
}

// hasGone tells whether the fate of the module that is being taken out is known,
// and goes on by it.
func (m *Machine) hasGone(r *rest) bool {
	mod := r.out
	switch {
	case mod.exit != 0 && !mod.overdue:
		return false
	case mod.exit != 0 || mod.stuck:
		r.out, r.chain = nil, nil
		if mod == r.mod { // it is neither in nor out, until the next boot
			r.ended = true
			return false
		}
		m.wakeFrom(r, mod.name+" could not be taken out")
	case mod.state == control.Live && (mod == r.mod || slices.Contains(r.must, mod.name)):
		r.out, r.chain = nil, nil
		m.wakeFrom(r, mod.name+" came into use at the last moment")
	}
	r.out = nil
	return true
}

// wakeFrom ends an attempt to sleep.
func (m *Machine) wakeFrom(r *rest, why string) {
	m.note("stays", "", r.mod.name, reason("kernel", why))
	if r.mod.state != control.Live {
		r.phase, r.wanted, r.slept = asleep, true, m.now
		return
	}
	m.awakeAgain(r, nil)
	r.stays = why
	if s, ok := m.rule(r); ok {
		r.tries++
		r.next = later(m.now, max(s.After, leastPause)<<min(r.tries, 6))
	}
}

// fallen takes in that a driver sleeps.
func (m *Machine) fallen(r *rest) {
	for _, name := range r.must {
		if mod := m.modules[name]; mod != nil && mod.inKernel() {
			m.wakeFrom(r, name+" stays in, so the kernel would not ask for it")
			return
		}
	}
	r.phase, r.slept, r.tries = asleep, m.now, 0
	m.note("asleep", "", r.mod.name)
	if slices.ContainsFunc(r.openings, func(o control.Opening) bool { return len(o.Links) > 0 }) {
		r.op = m.nextOp()
		m.emit(Tend{Op: r.op, Module: r.mod.name, How: Link, Openings: slices.Clone(r.openings)})
	}
}

// wake begins to put in again what sleeps.
func (m *Machine) wake(r *rest) {
	if !r.bare || !r.covered {
		m.beginWaking(r)
		return
	}
	if r.op == 0 {
		r.phase, r.op = uncovering, m.nextOp()
		m.emit(Tend{Op: r.op, Module: r.mod.name, How: Uncover, Openings: slices.Clone(r.openings)})
	}
}

func (m *Machine) beginWaking(r *rest) {
	if s, ok := m.rule(r); ok && len(r.askers) > 0 {
		if (m.now-r.slept)/tooSoon < s.After {
			r.doubled++
		} else {
			r.doubled = 0
		}
	}
	r.phase, r.until, r.pause, r.next = waking, m.now+wakeLimit, firstOpen, 0
	m.note("wake", "", r.mod.name)
	for _, path := range r.devices {
		dev := m.device(path)
		for _, s := range dev.verdict.Steps {
			mod := m.module(s.Module)
			if mod.outing != nil {
				mod.outing.at = 0 // which is no sign that it went too soon when nothing called for it
			}
			m.want(s, dev.Path, m.step)
			mod.urgent = mod.state == control.Waiting
		}
	}
}

// waken goes on with a driver that is to be awake again.
func (m *Machine) waken(r *rest) {
	switch {
	case r.mod.state == control.Live && m.now >= r.next:
		r.next, r.pause = m.now+r.pause, min(2*r.pause, longestOpen)
		m.emit(LookOpen{Module: r.mod.name, Devices: slices.Clone(r.devices), Openings: slices.Clone(r.openings)})
	case r.mod.state == control.Live:
	case !r.mod.pending():
		says := "it is " + string(r.mod.state)
		if err := r.mod.said().err; err != "" {
			says = err
		}
		m.answerOpeners(r, fmt.Errorf("%s could not be put in again: %s", r.mod.name, says))
		r.phase, r.wanted = asleep, false
	case m.now >= r.until:
		m.answerOpeners(r, fmt.Errorf("%s was not in again within %v", r.mod.name, wakeLimit))
		r.until = never
	}
}

// opened takes in whether the devices of a driver that wakes can be opened.
func (m *Machine) opened(e Opened) {
	mod := m.modules[e.Module]
	if mod == nil {
		return
	}
	r := m.restOf(mod)
	switch {
	case r == nil || r.phase != waking:
	case e.Other != "":
		m.awakeAgain(r, errors.New(e.Other))
		m.note("nodes", "", mod.name, reason("kernel", e.Other))
		if r.op == 0 {
			r.op = m.nextOp()
			m.emit(Tend{Op: r.op, Module: mod.name, How: Uncover, Openings: slices.Clone(r.openings)})
		}
	case e.Works:
		m.awakeAgain(r, nil)
	case m.now >= r.until:
		m.awakeAgain(r, fmt.Errorf("%s is in, and its device was not there again within %v", mod.name, wakeLimit))
	}
}

// awakeAgain takes in that a driver is awake, with what those are told who wait
// for it.
func (m *Machine) awakeAgain(r *rest, err error) {
	if r.phase == waking {
		m.note("awake", "", r.mod.name)
	}
	m.answerOpeners(r, err)
	r.phase, r.wanted, r.bare, r.idle, r.next = awake, false, false, false, never
	if s, ok := m.rule(r); ok {
		r.next = later(m.now, r.sleepTime(s))
	}
}

func (m *Machine) answerOpeners(r *rest, err error) {
	for _, id := range r.askers {
		reply := Reply{ID: id, Err: err}
		if err == nil {
			reply.Value = control.Woken{Handled: true}
		}
		m.emit(reply)
	}
	r.askers = nil
}

// deviceLeaves takes in that a device of a driver that may sleep has gone.
func (m *Machine) deviceLeaves(path string) {
	for _, r := range m.rests {
		if !r.ended && slices.Contains(r.devices, path) {
			r.devices = slices.DeleteFunc(slices.Clone(r.devices), func(other string) bool { return other == path })
			if len(r.devices) == 0 {
				r.ended = true
				m.answerOpeners(r, fmt.Errorf("the device of %s has gone", r.mod.name))
			}
		}
		if r.ended { // what could not be cleared away while another one was there
			r.next = m.now
		}
	}
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
	case r.op != 0 || m.now < r.next || r.out != nil && r.out.exit != 0 && !r.out.overdue:
	case r.covered:
		r.op = m.nextOp()
		m.emit(Tend{Op: r.op, Module: r.mod.name, How: Uncover, Openings: slices.Clone(r.openings)})
	default:
		m.forgetRest(r)
	}
}

// helpOpeners has the kernel ask us while anything sleeps, or may soon.
func (m *Machine) helpOpeners() {
	wanted := slices.ContainsFunc(m.rests, func(r *rest) bool { return r.phase != awake && !r.ended })
	if wanted != m.helping {
		m.helping = wanted
		m.emit(Help{On: wanted})
	}
}

// wakeFor takes in that somebody opens what has that alias. What is not ours is
// somebody else's to answer.
func (m *Machine) wakeFor(id uint64, alias string) {
	for _, r := range m.rests {
		if r.ended || r.phase == awake || !slices.ContainsFunc(r.openings, func(o control.Opening) bool { return o.Alias == alias }) {
			continue
		}
		r.askers = append(r.askers, id)
		return
	}
	m.emit(Reply{ID: id, Value: control.Woken{}})
}

// wakeAll has everything wake that sleeps, and with bare so that nothing is left
// of it.
func (m *Machine) wakeAll(bare bool) {
	for _, r := range m.rests {
		if r.phase != awake && !r.ended {
			r.wanted, r.bare = true, r.bare || bare
		}
	}
}

// Resting tells whether anything sleeps, or is about to.
func (m *Machine) Resting() bool { return m.helping }

// adoptRests takes over what slept under the daemon before this one.
func (m *Machine) adoptRests() {
	former := m.former
	m.former = nil
	for _, a := range former {
		r := &rest{mod: m.module(a.Module), openings: a.Openings, covered: true, slept: m.now, next: never}
		for _, path := range a.Devices {
			if m.device(path) != nil {
				r.devices = append(r.devices, path)
			}
		}
		switch {
		case len(r.devices) == 0:
			r.ended, r.next = true, m.now
		case r.mod.state == control.Absent:
			r.phase = asleep
		}
		m.rests = append(m.rests, r)
	}
	m.mayRest = true
}

// restingTime is when something is due about a rest.
func (m *Machine) restingTime(r *rest) time.Duration {
	switch {
	case r.op != 0 && (r.phase == awake || r.ended):
		return never
	case r.ended, r.phase == awake:
		return r.next
	case r.phase == waking && r.mod.state == control.Live:
		return r.next
	case r.phase == waking:
		return r.until
	}
	return never
}

// rested lists what must not be forgotten of rests.
func (m *Machine) rested() (all []control.Sleeper) {
	for _, r := range m.rests {
		if r.covered {
			all = append(all, control.Sleeper{Module: r.mod.name, Devices: slices.Clone(r.devices), Openings: slices.Clone(r.openings)})
		}
	}
	return all
}

// restWords say of a driver that may sleep what is to become of it, "" of others.
func (m *Machine) restWords(mod *module) string {
	r := m.restOf(mod)
	if r == nil {
		return ""
	}
	s, ok := m.rule(r)
	if !ok {
		return ""
	}
	says := ""
	switch {
	case r.phase == asleep:
		says = fmt.Sprintf("it sleeps since %v, and wakes when somebody opens %s", (m.now - r.slept).Round(time.Second), names(r.openings))
	case r.phase == waking, r.phase == uncovering:
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

// names are those of what is opened.
func names(openings []control.Opening) string {
	var all []string
	for _, o := range openings {
		all = append(all, o.Name)
	}
	return strings.Join(all, ", ")
}
