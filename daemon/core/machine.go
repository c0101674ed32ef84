package core

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
)

// Limits are the numbers that a [Machine] works by.
type Limits struct {
	// Slots is how many loads may be under way at once at most. Many drivers sleep in
	// their init or probe, so it is not bound to the number of CPUs.
	Slots int
	// Few is how many may be while the processors have no time left, 0 for as many as
	// there are slots.
	Few int
	// Patience is how long a load keeps its slot, and how long a module that
	// somebody else is loading is waited for by those that merely come after it.
	Patience time.Duration
	// KeepUnused has modules stay that nothing calls for any more, unless the
	// operator says how long: on a kernel made for real time, taking out a module
	// stops all processors for a moment.
	KeepUnused bool
	// KeepNames has modules that give names to devices of the same kind go in one
	// after the other, so that each boot gives the same ones: nobody else does.
	KeepNames bool
	// Rest is how often at most it is looked at modules that are in use, at all of
	// them at a time; 0 for half a minute: a board at rest is not to be woken for it
	// all the time.
	Rest time.Duration
	// Remember is how long after the first scan it is written down which devices the
	// boot had, 0 for half a minute: those behind others come by then. It is later if
	// modules are on their way in.
	Remember time.Duration
}

// DefaultLimits are the limits of a daemon that was told nothing else.
var DefaultLimits = Limits{Slots: 16, Patience: 5 * time.Second, Rest: 30 * time.Second, Remember: 30 * time.Second}

// A Machine is the deciding part of the daemon. Its methods must be called by
// one goroutine at a time. Make one with [New].
type Machine struct {
	limits Limits
	set    *rules.Set // nil until the first NewRules

	wants    []*want             // in the order of loading
	devices  []*device           // by path, ascending
	verdicts map[string]*verdict // by what rules.Set.Key returns
	modules  map[string]*module  // by name
	ops      map[OpID]*module    // loads whose Done has not come

	doubtAt   time.Duration     // when devices are looked at whose driver no uevent told of, 0 for never
	doubts    int               // how often they were since there was a new one
	troubled  []*device         // those that have trouble, in the order of its beginning
	acting    []*device         // those that a worker is to do something about, in the order of asking
	acts      map[OpID]*device  // those of them that one does
	steered   []*device         // those of which it is not settled yet who has them
	anew      bool              // firmware is to be looked for anew
	awaited   []string          // firmware
	unused    []*module         // ours that nothing calls for
	exits     map[OpID]*module  // those that are being taken out by us
	pins      map[string]bool   // modules that are to stay
	known     []control.Sleeper // what is opened of devices that are to wait for it
	rests     []*rest           // drivers that may sleep
	sleepers  bool              // rules have said so of some device
	mayRest   bool              // which they are is to be found out
	helping   bool              // the kernel asks us
	early     []opener          // who waits until that is known
	former    []control.Sleeper // what slept under the daemon before this one, until the first scan has ended
	halfOut   []string          // modules that the daemon before this one was taking out, until the first scan has ended
	forgetful bool              // what must not be forgotten is other than was told
	held      map[string]bool   // devices that the daemon before this one kept drivers from, until the first scan has ended

	inherited map[string]control.Module // by name, until the first scan has ended

	waiting []*module // for what they need or for a slot, in the order wanted
	queued  []*module // those that have begun to in this step
	loading []*module // in a slot
	unsure  []*module // coming or going by somebody else's doing: looked at again

	scan       uint32 // the last scan that was asked for
	scanned    uint32 // the last scan that ended
	scanBegan  uint64 // the step in which scan was asked for
	lossy      uint32 // the scan that makes good for lost uevents, 0 for none
	scanAskers []scanAsker
	settlers   []settler
	mark       uint32 // of the last CatchUp
	catchingUp bool   // it was not answered yet
	markedOp   OpID   // the last load that had begun when it was asked for
	lastOp     OpID
	rushing    bool // critical loads had just begun
	slots      slots
	hurried    time.Duration // when a critical load began or ended last
	foresight  *foresight
	syncOnly   bool // the kernel does not know async_probe

	naming map[string]string // the module wanted last that gives names of a kind

	first    time.Duration   // when the first scan ended
	released map[string]bool // what modules waited for, or they themselves
	later    []*device       // those of which something waits

	missAt      time.Duration // when it is looked whether others wait for what is held back
	releaseAt   time.Duration // when one has waited long enough
	reckonLater bool          // that, and the files, are to be worked out anew
	paths       []string      // files that are looked for on their account
	counts      counts
	boot        boot

	terse bool // nobody reads details

	// Of the step under way.
	step  uint64
	now   time.Duration
	out   []Effect
	dirty bool      // something that a waiting module may have waited for happened
	walk  []*module // those that startReady looks at, while waiting changes
}

// New returns a machine that knows of no device and no module.
func New(limits Limits) *Machine {
	limits.Rest = cmp.Or(limits.Rest, DefaultLimits.Rest)
	limits.Remember = cmp.Or(limits.Remember, DefaultLimits.Remember)
	return &Machine{
		limits:   limits,
		slots:    slots{now: cmp.Or(min(limits.Few, limits.Slots), limits.Slots)},
		verdicts: make(map[string]*verdict),
		modules:  make(map[string]*module),
		ops:      make(map[OpID]*module),
		acts:     make(map[OpID]*device),
		exits:    make(map[OpID]*module),
		pins:     make(map[string]bool),
		released: make(map[string]bool),
		naming:   make(map[string]string),

		missAt:    never,
		releaseAt: never,
		counts:    counts{ends: make(map[control.Outcome]uint64)},
	}
}

// Step tells the machine what happened at now, a time since the kernel's start
// that never goes back, and appends to out what is to be done. The same
// sequence of steps always gives the same effects.
func (m *Machine) Step(now time.Duration, e Event, out []Effect) []Effect {
	m.step++
	m.now, m.out = now, out
	if m.step == 1 {
		m.boot.start = now - time.Microsecond // the first stamp is 1
	}
	m.handle(e)
	m.passTime()
	m.carryOn()
	m.readAhead()
	m.persist()
	m.lookAtPressure()
	m.startActs()
	m.askToCatchUp()
	m.awaitFirmware()
	m.awaitTriggers()
	m.followBoot()
	out, m.out = m.out, nil
	return out
}

// carryOn starts what can start now. What could not be had may be the turn of
// something else.
func (m *Machine) carryOn() {
	for {
		if m.dirty {
			m.dirty = false
			m.dispatch()
		}
		m.steerOn()
		if !m.dirty {
			return
		}
	}
}

func (m *Machine) handle(e Event) {
	switch e := e.(type) {
	case Seen:
		m.seen(e)
	case Gone:
		m.gone(e.Path)
	case Moved:
		m.moved(e.From, e.To)
	case Bound:
		m.bound(e.Path, e.Driver, true)
	case ModuleIs:
		m.moduleIs(e)
	case Scanned:
		m.endScan(e)
	case Lost:
		m.note("lost", "", "", reason("kernel", "uevents were lost: the socket's buffer overflowed; scanning again"))
		m.rescan()
		m.lossy = m.scan
	case Done:
		m.done(e)
	case Looked:
		m.looked(e)
	case FirmwareFound:
		m.firmwareFound(e)
	case Supplying:
		m.supplying(e)
	case Pressure:
		m.pressure(e)
	case PathThere:
		m.release(e.Path)
	case Probed:
		m.probed(e)
	case Assigned:
		m.assigned(e)
	case Counted:
		m.counted(e)
	case Unloaded:
		m.unloaded(e)
	case Surveyed:
		m.surveyed(e)
	case Tended:
		m.tended(e)
	case Opened:
		m.opened(e)
	case NodesLooked:
		m.nodesLooked(e)
	case NodeUsed:
		m.nodeUsed(e)
	case Ending:
		m.wakeAll()
	case Resumed:
		m.resumed()
	case NewRules:
		m.newRules(e)
	case Inherited:
		m.inherited = make(map[string]control.Module, len(e.Modules))
		for _, mod := range e.Modules {
			m.inherited[mod.Name] = mod
		}
		m.held = make(map[string]bool, len(e.Held))
		for _, path := range e.Held {
			m.held[path] = true
		}
		m.halfOut, m.former, m.known = e.Unloading, e.Asleep, e.Known
		if m.helping = len(e.Asleep) > 0; m.helping { // so that it ends if none of it is left
			m.emit(Help{On: true})
		}
		for _, s := range e.Settings {
			m.module(s.Module).settings = &s
		}
		for _, name := range e.Pinned {
			m.pins[name] = true
		}
		for _, name := range e.Released {
			m.released[name] = true
		}
	case Asked:
		m.answer(e)
	case Expected:
		m.foresight = &foresight{expected: e.Devices}
	case Withdrawn:
		m.withdraw(e.ID)
	case CaughtUp:
		m.caughtUp(e)
	case Tick:
	default:
		panic(fmt.Sprintf("core: unknown event %T", e))
	}
}

// Deadline tells when the machine wants a [Tick] if nothing else happens
// before. Without ok it can wait for ever.
func (m *Machine) Deadline() (at time.Duration, ok bool) {
	earlier := func(t time.Duration) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	for _, mod := range m.loading {
		earlier(mod.began + m.limits.Patience)
	}
	if until, on := m.rush(); on && len(m.waiting) > 0 {
		earlier(until)
	}
	for _, dev := range m.troubled {
		if at := dev.trouble.look; at != 0 {
			earlier(at)
		}
	}
	for _, dev := range m.acting {
		if at := dev.act.nextTime(m.now, m.limits.Patience); at != 0 {
			earlier(at)
		}
	}
	for _, dev := range m.steered {
		if at := dev.assignment.until; at > m.now {
			earlier(at)
		}
	}
	if m.doubtAt != 0 {
		earlier(m.doubtAt)
	}
	for _, mod := range m.waiting {
		if mod.notBefore > m.now {
			earlier(mod.notBefore)
		}
	}
	if len(m.unused) > 0 && !m.leaving() {
		for _, mod := range m.unused {
			if mod.unused.next != never {
				earlier(mod.unused.next)
			}
		}
	}
	if at := min(m.releaseAt, m.missAt, m.rememberAt(), m.pressureTime()); at != never {
		earlier(at)
	}
	for _, r := range m.rests {
		if at := m.restTime(r); at != never {
			earlier(at)
		}
	}
	for _, mod := range m.unsure {
		earlier(mod.nextLook)
		if !mod.overdue {
			earlier(mod.since + m.limits.Patience)
		}
	}
	return at, ok
}

// passTime does what is due.
func (m *Machine) passTime() {
	for i := 0; i < len(m.loading); {
		if mod := m.loading[i]; m.now >= mod.began+m.limits.Patience {
			m.abandon(mod) // which takes it out of the list
		} else {
			i++
		}
	}
	if _, on := m.rush(); m.rushing != on {
		m.rushing, m.dirty = on, true
	}
	for _, mod := range m.waiting {
		if mod.notBefore != 0 && m.now >= mod.notBefore {
			mod.notBefore = 0
			m.dirty = true
		}
	}
	for _, mod := range m.unsure {
		if m.now >= mod.nextLook {
			m.look(mod)
		}
		if !mod.overdue && m.now >= mod.since+m.limits.Patience {
			mod.overdue = true
			m.dirty = true
		}
	}
	if m.now >= m.releaseAt {
		m.goOn()
	}
	m.lookForSuppliers()
	if m.foresight != nil {
		m.writeDown()
	}
	m.lookAgain()
	m.resolveDoubts()
	m.restOn()
	m.takeOutUnused()
}

// rescan asks for a scan of sysfs.
func (m *Machine) rescan() {
	m.scan++
	m.scanBegan = m.step
	m.emit(Rescan{Scan: m.scan})
	m.anew = true // a file system may have been mounted
}

// endScan takes in that a scan has met all there is.
func (m *Machine) endScan(e Scanned) {
	if m.scanned == 0 {
		m.first = m.now
	}
	m.scanned = max(m.scanned, e.Scan)
	if e.Skipped == 0 {
		m.sweep(e.Scan)
	}
	m.inherited, m.held = nil, nil // who has not been met yet has gone
	for _, name := range m.halfOut {
		if mod := m.modules[name]; mod != nil && mod.inKernel() {
			mod.stuck = true
		}
	}
	m.halfOut = nil
	m.reckonLater = true
	m.adoptRests()
	m.wantFresh()
	if m.lossy != 0 && e.Scan >= m.lossy {
		m.lossy = 0
		m.makeGood()
	}
	m.reckonAll()
	m.answerScanAskers()
	m.note("scanned", "", "", reason("sysfs", fmt.Sprintf("%d devices with a MODALIAS", len(m.devices))))
}

// wantFresh begins to serve what is wanted without a device, and the devices
// that a scan has met, in the order of their paths: sysfs lists them in none,
// and the order of loads decides about names, and about which of several drivers
// takes a device.
func (m *Machine) wantFresh() {
	m.serveFresh()
	for _, dev := range m.devices {
		if dev.fresh {
			dev.fresh = false
			m.serveDevice(dev, m.scanBegan)
		}
	}
}

// makeGood ends a scan that uevents were lost before. A device that was
// unplugged and plugged in again meanwhile looks as if nothing had happened, so
// each one counts as plugged in. A driver that somebody has just taken out by
// hand may come back by that, which is the smaller evil.
func (m *Machine) makeGood() {
	m.wakeAll()
	for _, dev := range m.devices {
		dev.told = false
		if dev.act != nil && dev.act.slow { // about the one before it, perhaps
			m.drop(dev)
		}
		if !dev.wellAssigned() {
			m.wantAll(dev, m.step)
		}
		m.lookIfSettled(dev)
	}
	m.doubt()
}

// sweep forgets what a scan did not meet. What a uevent told of since the scan
// was asked for carries the scan's number already.
func (m *Machine) sweep(scan uint32) {
	for _, dev := range slices.Clone(m.devices) {
		if dev.scan < scan {
			m.gone(dev.Path)
		}
	}
	for _, mod := range m.sortedModules() {
		if mod.scan < scan && mod.inKernel() {
			m.nowAbsent(mod)
		}
	}
}

// newRules decides everything again. That modules wait, or are waited for, is
// forgotten first: the new rules may know another file for them, or forbid
// them.
//
// Rules that ask for other variables of devices than those before them can
// decide when the scan that follows has read them.
func (m *Machine) newRules(e NewRules) {
	unread := m.set != nil && !slices.Equal(m.set.Variables(), e.Set.Variables())
	first := m.set == nil
	m.set, m.mayRest = e.Set, true
	clear(m.verdicts)
	again := make([]bool, len(m.devices))
	for i, dev := range m.devices {
		again[i] = m.unfinished(dev)
	}
	unfinished := m.unfinishedWants()
	for _, mod := range m.waiting {
		mod.state = control.Absent
	}
	m.waiting = nil
	for _, mod := range m.unsure {
		mod.awaited = false
	}
	for _, mod := range m.modules {
		mod.requests = MayRequest // its file may be another one
	}
	for _, r := range m.rests {
		r.failed = false
	}
	m.newWants(e.Wanted, unfinished)
	for i, dev := range m.devices {
		before := dev.verdict
		m.decide(dev)
		dev.hot = false
		switch {
		case !m.otherOwner(dev, before) && !again[i] && slices.Equal(before.Modules, dev.verdict.Modules) && !m.otherCommand(dev.verdict.Decision):
		case unread:
			dev.fresh = true
		default:
			m.serveDevice(dev, m.step)
		}
	}
	if first {
		m.foresee()
	}
	m.reckonAll()
	m.note("rules", "", "", reason("configuration", "module tables and configuration were read; everything is decided again"))
	m.rescan()
}

// emit adds an effect to those of this step.
func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

// Details tells the machine whether anybody reads the notes about single devices
// and the beginning of loads: a coldplug has hundreds, and each costs memory. A
// new machine gives them.
func (m *Machine) Details(wanted bool) { m.terse = !wanted }

func (m *Machine) note(what, device, module string, reasons ...control.Reason) {
	m.emit(Note{control.Note{At: m.now, What: what, Device: device, Module: module, Reasons: reasons}})
}

func reason(source, says string) control.Reason {
	return control.Reason{Source: source, Says: says}
}
