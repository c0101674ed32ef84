package core_test

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kernel/fake"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
)

// A machine is a core.Machine, or one that was broken on purpose.
type machine interface {
	Step(now time.Duration, e core.Event, out []core.Effect) []core.Effect
	Deadline() (at time.Duration, ok bool)
}

const patience = 2 * time.Second

// A world is a board, its kernel, the daemon's surroundings, and somebody who
// plugs, unplugs, loads, unloads, changes the configuration and kills the
// daemon. All of it follows from one seed.
type world struct {
	t      testing.TB
	rng    *rand.Rand
	board  *board
	kernel *fake.Kernel
	breaks breaker // breaks each machine that is started

	now    time.Duration
	agenda []entry // by time, then in the order of being planned

	present map[string]fake.Device // the devices that are there
	appears map[string]time.Duration
	was     map[string]fake.Device   // those that there ever were, as they were last
	letGo   map[string]bool          // devices whose driver somebody has taken out
	removed map[string]time.Duration // modules that somebody took out, and when
	badly   map[string]bool          // modules of which another build was loaded
	handed  map[string]bool          // modules that the daemon put in and its successor was told of

	changed  time.Duration            // when rules were read last
	says     operator                 // the rules that daemons were given last
	deniedAt map[string]time.Duration // when devices of a modalias were denied last
	touched  map[string]bool          // modules that somebody has loaded or taken out, or blacklisted once
	used     map[string]bool          // devices that somebody has used
	supplier map[string]bool          // modules of devices that others wait for
	late     map[string]bool          // modules that were passed over before they were live
	journal  core.Persist             // what was written down
	left     map[string]time.Duration // when modules went that a daemon has taken out
	pinned   map[string]bool          // modules that are to stay
	pinners  map[uint64]pinner        // who waits for the answer to that
	exiting  map[string]bool          // modules that a daemon is taking out
	sleepers
	unloads int
	days    int    // that people use the board for after that
	slept   uint64 // how often a driver has gone to sleep

	// The daemon of this life.
	life     int
	began    time.Duration
	machine  machine
	told     map[string]tidings // of modules
	lastScan uint32             // that it asked for
	calls    map[fake.Call]flight
	inFlight map[string]core.OpID
	known    map[string]bool    // modules of which it was told what their files hold
	slots    map[core.OpID]slot // of loads that hold one
	eased    bool               // the processors had time in this life, or nobody knows
	stalled  time.Duration      // for how long tasks have waited for them
	pressed  time.Duration      // when that was asked last

	firstScan         time.Duration // when the first one of this life ended, 0 for not yet
	booted, fileThere bool
	releaser          uint64 // who told it last that the boot has ended
	paths             []string
	asked             map[string]time.Duration
	bootBefore        map[string]control.BootLoad // what was reported of the boot before
	loadsBegan        map[string][]time.Duration  // of each module
	busy              map[string]bool             // modules whose last load ended with EBUSY
	unlucky           map[string]bool             // modules whose command failed for what others did
	awaited           []string                    // firmware

	// Loads of this life: asked for, put off, and abandoned.
	begun, unasked, abandoned uint64

	// The uevent source of this life.
	socket  []core.Event
	overrun bool
	mark    uint32 // of a CatchUp that was not answered, 0 for none
	wanted  uint32
	reading bool // it is about to look, or scans

	// Those who wait until nothing is pending, and since when.
	settlers  map[uint64]time.Duration
	lastAsker uint64

	violations []string
	trace      []string
	loads      int
	probes     int
	remembered bool // it was said in this life what the next boot is to expect
	asides     int  // loads whose drivers probe aside
}

// A flight is a load on its way.
type flight struct {
	life   int
	op     core.OpID
	module string
	probe  bool
	assign bool
	unload bool
	async  bool
	known  bool // its file was not looked into
	// Of a load by an install command, the command.
	command string
	handed  time.Duration // when a worker had its file
	called  time.Duration // when it made the call
}

// Tidings are what the machine was last told of a module.
type tidings struct {
	live  bool
	scan  uint32 // the last scan asked for by then, or the one that told
	newer bool   // than the last load of it that was asked for
}

type entry struct {
	at time.Duration
	do func()
}

// socketRoom is how many uevents the socket holds: few, so that it overflows.
const socketRoom = 12

func newWorld(t testing.TB, seed uint64, breaks breaker) *world {
	rng := rand.New(rand.NewPCG(seed, seed))
	b := newBoard(rng)
	w := &world{
		t: t, rng: rng, board: b, kernel: fake.New(append(b.badBuilds(), b.modules...)...), breaks: breaks,
		present:  make(map[string]fake.Device),
		was:      make(map[string]fake.Device),
		appears:  make(map[string]time.Duration),
		letGo:    make(map[string]bool),
		removed:  make(map[string]time.Duration),
		badly:    make(map[string]bool),
		calls:    make(map[fake.Call]flight),
		touched:  make(map[string]bool),
		deniedAt: make(map[string]time.Duration),
		used:     make(map[string]bool),
		exiting:  make(map[string]bool),
		pinned:   make(map[string]bool),
		left:     make(map[string]time.Duration),
		pinners:  make(map[uint64]pinner),
		late:     make(map[string]bool),
		supplier: make(map[string]bool),
		sleepers: newSleepers(),
	}
	w.chooseMust(rand.New(rand.NewPCG(seed, ^seed)))
	w.sleepy = rng.IntN(4) == 0
	for _, m := range b.modules {
		if rng.IntN(8) == 0 || w.sleepy && rng.IntN(2) == 0 {
			w.says.sleeping = append(w.says.sleeping, m.Name)
		}
	}
	for _, d := range b.devices {
		if len(b.prefers[d.Modalias]) > 0 && rng.IntN(3) == 0 && !slices.Contains(w.says.preferred, d.Modalias) {
			w.says.preferred = append(w.says.preferred, d.Modalias)
		}
	}
	for _, d := range b.devices {
		if rng.IntN(2) == 0 {
			w.kernel.Plug(0, d)
		}
	}
	w.advanceKernel() // before there is a daemon: these are coldplugged
	w.start(nil)
	w.planActions()
	return w
}

// run lets the world go on until everything that was planned has happened, and
// long enough after that for everything to come to rest.
func (w *world) run() {
	end := time.Duration(0)
	for _, e := range w.agenda {
		end = max(end, e.at)
	}
	end += 15 * time.Minute
	for steps := 0; ; steps++ {
		if steps > 20_000+6_000*w.days {
			w.violate("never comes to rest")
			return
		}
		at, ok := w.next()
		if !ok || at > end || len(w.violations) > 0 {
			break
		}
		w.now = max(w.now, at)
		w.advance()
	}
	if len(w.violations) == 0 {
		w.checkAtRest()
	}
}

// next is when something happens next.
func (w *world) next() (at time.Duration, ok bool) {
	consider := func(t time.Duration, exists bool) {
		if exists && (!ok || t < at) {
			at, ok = t, true
		}
	}
	consider(w.kernel.Next())
	consider(w.machine.Deadline())
	if len(w.agenda) > 0 {
		consider(w.agenda[0].at, true)
	}
	return at, ok
}

func (w *world) advance() {
	w.advanceKernel()
	for len(w.agenda) > 0 && w.agenda[0].at <= w.now {
		e := w.agenda[0]
		w.agenda = w.agenda[1:]
		e.do()
		w.advanceKernel()
	}
	if at, ok := w.machine.Deadline(); ok && at <= w.now {
		w.tell(core.Tick{})
	}
}

// after plans something.
func (w *world) after(d time.Duration, do func()) {
	at := w.now + d
	i, _ := slices.BinarySearchFunc(w.agenda, at, func(e entry, at time.Duration) int {
		return cmp.Or(cmp.Compare(e.at, at), -1) // behind those of the same time
	})
	w.agenda = slices.Insert(w.agenda, i, entry{at, do})
}

// afterInLife plans something that does not happen if the daemon dies before.
func (w *world) afterInLife(d time.Duration, do func()) {
	life := w.life
	w.after(d, func() {
		if w.life == life {
			do()
		}
	})
}

// soon is a random short time, now and then a long one.
func (w *world) soon() time.Duration {
	if w.rng.IntN(20) == 0 {
		return time.Duration(w.rng.IntN(400)) * time.Millisecond
	}
	return time.Duration(w.rng.IntN(2000)) * time.Microsecond
}

// start begins a life of the daemon, which is told what the one before it had
// put in.
func (w *world) start(modules []control.Module) {
	w.life++
	w.began = w.now
	w.machine = w.breaks(w, core.New(core.Limits{Slots: w.board.slots, Few: w.board.few, Patience: patience}))
	w.socket, w.overrun, w.mark, w.wanted, w.reading = nil, false, 0, 0, false
	w.settlers = make(map[uint64]time.Duration)
	w.told, w.lastScan = make(map[string]tidings), 0
	w.inFlight = make(map[string]core.OpID)
	w.known = make(map[string]bool)
	w.slots, w.eased = make(map[core.OpID]slot), false
	w.asked = make(map[string]time.Duration)
	w.bootBefore = make(map[string]control.BootLoad)
	w.loadsBegan = make(map[string][]time.Duration)
	w.busy = make(map[string]bool)
	w.unlucky = make(map[string]bool)
	w.awaited = nil
	w.begun, w.unasked, w.abandoned = 0, 0, 0
	w.openers, w.watched = make(map[uint64]opener), make(map[string]bool) // whose connections have ended
	w.handed = make(map[string]bool)
	for _, m := range modules {
		w.handed[m.Name] = true
	}
	w.firstScan = 0
	w.tell(core.Inherited{Modules: modules, Persist: w.journal})
	w.readSocket()
	w.expect()
	w.newRules()
	w.afterInLife(time.Duration(w.rng.IntN(20_000))*time.Millisecond, w.bootEnds)
	w.afterInLife(time.Duration(w.rng.IntN(20_000))*time.Millisecond, w.fileComes)
}

// expect tells the daemon what boots before this one had, which may be other devices.
func (w *world) expect() {
	w.remembered = false
	if w.rng.IntN(3) > 0 {
		return
	}
	var e core.Expected
	for _, d := range w.board.devices {
		if w.rng.IntN(2) == 0 {
			e.Devices = append(e.Devices, core.Expectation{Device: rules.Device{Path: d.Path, Modalias: d.Modalias}, Score: 1 + w.rng.IntN(3)})
		}
	}
	w.tell(e)
}

// bootEnds has somebody tell the daemon that the boot has ended.
func (w *world) bootEnds() {
	w.askForBoot()
	w.booted = true
	w.lastAsker++
	w.releaser = w.lastAsker
	w.tell(core.Asked{ID: w.lastAsker, Request: control.ReleaseRequest{Name: string(policy.BootComplete)}})
}

// askForBoot has somebody ask what was loaded when the board started.
func (w *world) askForBoot() {
	w.lastAsker++
	w.tell(core.Asked{ID: w.lastAsker, Request: control.BootRequest{}})
}

// fileComes makes the file that modules wait for.
func (w *world) fileComes() {
	w.askForBoot()
	w.fileThere = true
	if slices.Contains(w.paths, goFile) {
		w.tell(core.PathThere{Path: goFile})
	}
}

// isOver tells whether what a deferred module waits for has happened.
func (w *world) isOver(until policy.Trigger) bool {
	switch until {
	case policy.BootComplete:
		return w.booted
	case goFile:
		return w.fileThere
	}
	return w.firstScan != 0 && w.now >= w.firstScan+laterTime
}

func (w *world) newRules() {
	w.changed = w.now
	clear(w.known)
	w.tell(core.NewRules{Set: w.board.set(w.t, w.says, true), Wanted: w.board.wants()})
}

// tell steps the machine and carries out what it says, in the daemon's order:
// what the answers to its questions lead to comes last.
func (w *world) tell(e core.Event) {
	effects := w.hear(e, nil)
	for i := 0; i < len(effects); i++ {
		if answer := w.carryOut(effects[i]); answer != nil {
			effects = w.hear(answer, effects)
		}
	}
}

func (w *world) hear(e core.Event, effects []core.Effect) []core.Effect {
	w.traceEvent(e)
	w.learn(e)
	return w.machine.Step(w.now, e, effects)
}

// learn notes what the machine has been told.
func (w *world) learn(e core.Event) {
	switch e := e.(type) {
	case core.ModuleIs:
		w.toldOf(e.Name, e.State == control.Live, cmp.Or(e.Scan, w.lastScan))
		if e.State == control.Live {
			delete(w.slots, w.inFlight[e.Name])
			delete(w.inFlight, e.Name)
		}
	case core.Unloaded:
		for _, name := range w.journal.Unloading {
			if e.Errno == 0 && w.kernel.State(name) == kernel.Absent {
				w.toldOf(name, false, w.lastScan)
			}
		}
	case core.Done:
		delete(w.slots, e.Op)
		for name, op := range w.inFlight {
			if op == e.Op {
				if e.Unasked {
					w.unasked++
					delete(w.asked, name)
				}
				delete(w.inFlight, name)
				w.busy[name] = e.Errno == syscall.EBUSY || e.State == control.Coming || e.State == control.Going
				w.learnEnd(name, e)
			}
		}
	case core.Scanned:
		w.firstScan = cmp.Or(w.firstScan, w.now)
		for name, told := range w.told {
			if told.live && told.scan < e.Scan {
				w.toldOf(name, false, e.Scan)
			}
		}
	}
}

// learnEnd notes what the end of a load tells of a module, unless the uevents
// have told more since it began.
func (w *world) learnEnd(name string, e core.Done) {
	switch {
	case e.State != "":
		w.toldOf(name, e.State == control.Live, w.lastScan)
	case !w.told[name].newer:
		w.toldOf(name, e.Errno == 0 || e.Errno == syscall.EEXIST, w.lastScan)
	}
}

func (w *world) toldOf(name string, live bool, scan uint32) {
	w.told[name] = tidings{live: live, scan: scan, newer: true}
}

// carryOut does one thing, and returns the answer to a question.
func (w *world) carryOut(e core.Effect) core.Event {
	if load, ok := e.(core.Load); ok {
		load.Step.InstallBy = nil // its address would show
		e = load
	}
	if reply, ok := e.(core.Reply); ok && reply.Err != nil {
		w.trace = append(w.trace, fmt.Sprintf("%v Reply %d: %v", w.now, reply.ID, reply.Err)) // its address would show
	} else {
		w.trace = append(w.trace, fmt.Sprintf("%v %#v", w.now, e))
	}
	switch e := e.(type) {
	case core.Load:
		w.load(e)
	case core.Abandon:
		if _, held := w.slots[e.Op]; held { // it is a load's
			w.abandoned++
		}
		delete(w.slots, e.Op)
	case core.Rescan:
		w.wanted, w.lastScan = e.Scan, e.Scan
		w.readSocket()
	case core.CatchUp:
		w.mark = e.Mark
		w.readSocket()
	case core.Reply:
		w.answered(e)
	case core.Look:
		return w.look(e.Path)
	case core.LookForSuppliers:
		return w.supplying(e)
	case core.LookAtPressure:
		return w.pressure()
	case core.AwaitPaths:
		w.paths = e.Paths
		if w.fileThere && slices.Contains(e.Paths, goFile) {
			w.afterInLife(w.soon(), func() { w.tell(core.PathThere{Path: goFile}) })
		}
	case core.AwaitFirmware:
		w.awaited = e.Names
		for _, name := range e.Names {
			if w.kernel.Installed(name) {
				w.foundFirmware(name, false)
			}
		}
	case core.Probe:
		w.probe(e)
	case core.Assign:
		w.assign(e)
	case core.Persist:
		w.journal = e
	case core.Remember:
		w.checkRemembered(e)
	case core.Note:
		if e.What == "asleep" {
			w.slept++
		}
		if e.What == "passed over" && w.kernel.State(e.Module) != kernel.Live {
			w.late[e.Module] = true
		}
	case core.LookUse:
		c := core.Counted{Name: e.Name}
		c.References, c.Drives = w.kernel.Uses(e.Name)
		return c
	case core.Unload:
		w.unload(e)
	case core.Survey:
		w.survey(e)
	case core.Tend:
		w.tend(e)
	case core.WatchNodes:
		w.watched[e.Module] = true
	case core.Help:
		w.helping = e.On
	case core.LookOpen:
		return w.lookOpen(e)
	case core.LookNodes:
		return core.NodesLooked{Module: e.Module, Missing: slices.ContainsFunc(e.Openings, w.lacks)}
	case core.HideNodes:
		w.hide(e)
	case core.LookModule:
		return core.ModuleIs{Name: e.Name, State: control.State(w.kernel.State(e.Name))}
	}
	return nil
}

// pressure says how much of the time since the last look tasks have waited for a
// processor, unless this board's kernel does not tell.
func (w *world) pressure() core.Pressure {
	if w.board.blind {
		w.eased = true
		return core.Pressure{}
	}
	share := w.rng.IntN(101)
	w.eased = w.eased || share < 60
	w.stalled += (w.now - w.pressed) * time.Duration(share) / 100
	w.pressed = w.now
	return core.Pressure{Stalled: w.stalled, Known: true}
}

// supplying says of what is held back, now and then, that others wait for it.
func (w *world) supplying(e core.LookForSuppliers) (found core.Supplying) {
	for _, path := range e.Held {
		if d, there := w.present[path]; there && w.rng.IntN(8) == 0 {
			for _, name := range w.board.matching(d.Modalias) {
				w.supplier[name] = true
			}
			found.Needs = append(found.Needs, core.Need{Device: "/devices/some", Supplier: path})
		}
	}
	return found
}

func (w *world) look(path string) core.Looked {
	e := core.Looked{Path: path, Driver: w.kernel.Link(path)}
	e.Probing = w.kernel.Probing(path) && w.kernel.State(e.Driver) == kernel.Coming
	if file := w.kernel.Lacked(path); file != "" && e.Driver == "" {
		e.Firmware = []string{file}
	}
	return e
}

func (w *world) foundFirmware(name string, changed bool) {
	w.afterInLife(w.soon(), func() { w.tell(core.FirmwareFound{Name: name, Changed: changed}) })
}

// probe has a worker try a device's drivers again.
func (w *world) probe(e core.Probe) {
	life := w.life
	w.probes++
	w.after(w.soon(), func() {
		if life != w.life {
			return
		}
		if w.rng.IntN(5) == 0 {
			w.tell(core.Probed{Op: e.Op, Says: "no process", Unasked: true})
			return
		}
		w.calls[w.kernel.Probe(w.now, e.Path)] = flight{life: life, op: e.Op, probe: true}
	})
}

// unload has a worker take a module out.
func (w *world) unload(e core.Unload) {
	w.checkUnload(e)
	w.unloads++
	w.afterInLife(w.soon(), func() {
		if w.rng.IntN(5) == 0 {
			w.tell(core.Unloaded{Op: e.Op, Errno: syscall.EAGAIN, Says: "no process", Unasked: true})
			return
		}
		if w.kernel.State(e.Name) == kernel.Live {
			w.exiting[e.Name] = true
		}
		w.calls[w.kernel.Remove(w.now, e.Name)] = flight{life: w.life, op: e.Op, module: e.Name, unload: true}
	})
}

// unloaded has the worker answer that taking out a module has ended.
func (w *world) unloaded(f flight, e fake.Event) {
	says := core.Unloaded{Op: f.op, Errno: e.Errno, Died: e.What == fake.Killed}
	if says.Died {
		says.Errno = syscall.EIO
	}
	if says.Errno != 0 {
		says.Says = says.Errno.Error()
	}
	w.afterInLife(w.soon(), func() { w.tell(says) })
}

// assign has a worker see to it who has a device.
func (w *world) assign(e core.Assign) {
	w.checkAssign(e)
	w.probes++
	w.afterInLife(w.soon(), func() {
		if w.rng.IntN(5) == 0 {
			w.tell(core.Assigned{Op: e.Op, Says: "no process", Unasked: true})
			return
		}
		a := kernel.Assignment{Path: e.Path, Owner: kernel.Owner(e.Owner), Module: e.Module, Gently: e.Gently, Ours: e.Held}
		w.calls[w.kernel.Assign(w.now, a)] = flight{life: w.life, op: e.Op, module: e.Path, assign: true}
	})
}

// assigned has the worker answer that an assignment has ended.
func (w *world) assigned(f flight, e fake.Event) {
	says := core.Assigned{Op: f.op, Path: f.module, Module: e.Module, Held: e.Held}
	if e.InUse {
		says.InUse = "somebody"
	}
	if e.Errno != 0 {
		says.Says = e.Errno.Error()
	}
	w.afterInLife(w.soon(), func() { w.tell(says) })
}

// load has a worker put a module in.
func (w *world) load(e core.Load) {
	name := e.Step.Module
	w.checkLoad(e)
	w.loads++
	w.begun++
	w.asked[name] = w.now
	w.loadsBegan[name] = append(w.loadsBegan[name], w.now)
	w.inFlight[name], w.told[name] = e.Op, tidings{}
	w.slots[e.Op] = slot{e.Critical, w.now}
	life := w.life
	w.after(w.soon(), func() {
		if life != w.life {
			return // the daemon was killed before it had handed over the file
		}
		if w.rng.IntN(15) == 0 {
			w.tell(core.Done{Op: e.Op, Errno: syscall.EAGAIN, Says: "no process", Unasked: true})
			return
		}
		if e.Step.Install != "" {
			w.runCommand(e)
			return
		}
		options, async := w.probing(e)
		call := w.kernel.Insert(w.now, strings.TrimPrefix(e.Step.File, "/lib/modules/test/"), options)
		w.calls[call] = flight{life: life, op: e.Op, module: name, async: async, known: e.Known, handed: w.now, called: w.now}
	})
}

// probing is what a worker makes of how a module is to have its drivers probe.
func (w *world) probing(e core.Load) (options string, async bool) {
	name := e.Step.Module
	if e.Async != core.AsyncIfSafe || w.requests(name) != core.RequestsNone {
		return e.Step.Options, false
	}
	for _, file := range e.LookInto {
		if w.requests(strings.TrimSuffix(path.Base(file), ".ko")) != core.RequestsNone {
			return e.Step.Options, false
		}
	}
	w.checkAsync(e)
	return e.Step.Options + " async_probe", true
}

// requests is what the file of a module tells.
func (w *world) requests(module string) core.Requests {
	if w.board.requests[module] {
		return core.RequestsOthers
	}
	return core.RequestsNone
}

// commandTime is how long the commands of a world may take.
const commandTime = 10 * time.Second

// runCommand has a worker run the install command of a module.
func (w *world) runCommand(e core.Load) {
	f := flight{life: w.life, op: e.Op, module: e.Step.Module, command: e.Step.Install}
	if !strings.HasPrefix(f.command, cmdLoads) {
		w.runAlone(f)
		return
	}
	call := w.kernel.Insert(w.now, e.Step.Module+".ko", e.Step.Options)
	w.calls[call] = f
	w.after(commandTime, func() {
		if _, runs := w.calls[call]; runs { // nothing can end the call
			delete(w.calls, call)
			w.unlucky[f.module] = true
			w.commandEnded(f, syscall.EIO)
		}
	})
}

// runAlone runs a command that does nothing to the kernel.
func (w *world) runAlone(f flight) {
	takes, errno := w.soon(), syscall.Errno(0)
	switch f.command {
	case cmdHangs:
		takes, errno = commandTime, syscall.EIO
	case cmdFalse, cmdFails:
		errno = syscall.EIO
	}
	w.after(takes, func() { w.commandEnded(f, errno) })
}

// commandEnded has the worker answer that a command has ended.
func (w *world) commandEnded(f flight, errno syscall.Errno) {
	if f.life != w.life {
		return
	}
	w.afterInLife(w.soon(), func() {
		done := core.Done{Op: f.op, Module: f.module, Errno: errno, State: control.State(w.kernel.State(f.module))}
		if errno != 0 {
			done.Says = "its install command says no"
		}
		w.tell(done)
	})
}

// commandLoaded has a command end, or the rest of it, whose modprobe has ended.
func (w *world) commandLoaded(f flight, e fake.Event) {
	errno := e.Errno
	if errno == syscall.EEXIST {
		errno = 0
	}
	if errno == syscall.EBUSY || errno == syscall.ENOENT {
		w.unlucky[f.module] = true
	}
	if errno != 0 || e.What == fake.Killed || strings.HasSuffix(f.command, cmdThenFails) {
		errno = syscall.EIO
	}
	w.commandEnded(f, errno)
}

// advanceKernel lets the kernel work up to now and passes on what it says.
func (w *world) advanceKernel() {
	for _, e := range w.kernel.Advance(w.now) {
		w.trace = append(w.trace, fmt.Sprintf("%v kernel %+v", w.now, e))
		switch e.What {
		case fake.Done, fake.Killed:
			w.finished(e)
		default:
			w.noteTruth(e)
			w.uevent(e)
		}
	}
}

// finished has the worker answer.
func (w *world) finished(e fake.Event) {
	f, ok := w.calls[e.Call]
	if !ok {
		return // somebody else's
	}
	delete(w.calls, e.Call)
	if f.unload && e.Errno != 0 {
		delete(w.exiting, f.module)
	}
	if f.life != w.life {
		return
	}
	if f.unload {
		w.unloaded(f, e)
		return
	}
	if f.probe {
		probed := core.Probed{Op: f.op}
		if e.Errno != 0 {
			probed.Says = e.Errno.Error()
		}
		w.afterInLife(w.soon(), func() { w.tell(probed) })
		return
	}
	if f.assign {
		w.assigned(f, e)
		return
	}
	if f.command != "" {
		w.commandLoaded(f, e)
		return
	}
	done := core.Done{Op: f.op, Module: f.module, Errno: e.Errno, Async: f.async, Requests: w.requests(f.module), Read: f.handed, Called: f.called, Returned: w.now}
	if e.What == fake.Killed {
		done.Errno = syscall.EIO
	}
	if done.Errno != 0 {
		done.Says = done.Errno.Error()
	}
	if f.known {
		done.Requests = core.MayRequest
	}
	w.afterInLife(w.soon(), func() {
		w.known[f.module] = w.known[f.module] || done.Errno == 0
		w.tell(done)
	})
}

// noteTruth keeps the list of what is there.
func (w *world) noteTruth(e fake.Event) {
	switch {
	case strings.HasPrefix(e.Path, "/module/"):
		name := strings.TrimPrefix(e.Path, "/module/")
		delete(w.handed, name) // it comes or goes
		if e.What == fake.Remove && !w.exiting[name] {
			w.removed[name] = w.now
		}
		if w.exiting[name] && e.What == fake.Remove {
			w.left[name] = w.now
		}
		delete(w.exiting, name)
	case e.What == fake.Add:
		w.present[e.Path] = fake.Device{Path: e.Path, Modalias: e.Modalias}
		w.appears[e.Path], w.was[e.Path] = w.now, w.present[e.Path]
		delete(w.letGo, e.Path)
	case e.What == fake.Bind:
		w.nodeChanges(e.Path, true)
	case e.What == fake.Unbind:
		w.nodeChanges(e.Path, false)
		if !w.exiting[e.Driver] {
			w.letGo[e.Path] = true
		}
	case e.What == fake.Remove:
		delete(w.present, e.Path)
	}
}

// uevent puts the kernel's message into the socket, if there is one with room.
// After an overrun everything is dropped until the queue has been read.
func (w *world) uevent(e fake.Event) {
	if w.machine == nil {
		return
	}
	if w.overrun || len(w.socket) == socketRoom {
		w.overrun = true
		return
	}
	w.socket = append(w.socket, asEvent(e))
	w.readSocket()
}

func asEvent(e fake.Event) core.Event {
	if name, ok := strings.CutPrefix(e.Path, "/module/"); ok {
		state := control.Live
		if e.What == fake.Remove {
			state = control.Absent
		}
		return core.ModuleIs{Name: name, State: state}
	}
	switch e.What {
	case fake.Add:
		return core.Seen{Device: rules.Device{Path: e.Path, Modalias: e.Modalias}}
	case fake.Remove:
		return core.Gone{Path: e.Path}
	case fake.Bind:
		return core.Bound{Path: e.Path, Driver: e.Driver}
	}
	return core.Bound{Path: e.Path}
}

// readSocket has the source look at its socket soon: one message at a time, and
// when the queue is empty what waited for that. One goroutine owns socket and
// scans, so it does not look during a scan.
func (w *world) readSocket() {
	if w.reading {
		return
	}
	w.reading = true
	w.afterInLife(w.soon(), func() {
		w.reading = false
		switch {
		case len(w.socket) > 0:
			e := w.socket[0]
			w.socket = w.socket[1:]
			w.tell(e)
		case w.overrun:
			w.overrun = false
			w.tell(core.Lost{})
		case w.mark != 0:
			mark := w.mark
			w.mark = 0
			w.tell(core.CaughtUp{Mark: mark})
		case w.wanted != 0:
			scan := w.wanted
			w.wanted = 0
			w.reading = true
			w.scanModules(scan)
			return
		default:
			return
		}
		w.readSocket()
	})
}

// scanModules reads /sys/module, then lets time pass before the devices: the
// kernel does not stand still during a scan.
func (w *world) scanModules(scan uint32) {
	var met []core.Event
	for _, m := range w.board.modules {
		if state := w.kernel.State(m.Name); state != kernel.Absent {
			met = append(met, core.ModuleIs{Name: m.Name, State: control.State(state), Scan: scan})
		}
	}
	w.pass(met, func() { w.scanDevices(scan) })
}

func (w *world) scanDevices(scan uint32) {
	var met []core.Event
	for _, d := range w.sortedPresent() {
		met = append(met, core.Seen{Device: rules.Device{Path: d.Path, Modalias: d.Modalias, Driver: w.kernel.Link(d.Path)}, Scan: scan})
	}
	w.pass(append(met, core.Scanned{Scan: scan}), func() {
		w.reading = false
		w.readSocket()
	})
}

// pass tells the machine events one by one, with time in between.
func (w *world) pass(events []core.Event, then func()) {
	w.afterInLife(w.soon()/4, func() {
		if len(events) == 0 {
			then()
			return
		}
		w.tell(events[0])
		w.pass(events[1:], then)
	})
}

func (w *world) sortedPresent() []fake.Device {
	var all []fake.Device
	for _, d := range w.present {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b fake.Device) int { return strings.Compare(a.Path, b.Path) })
	return all
}

func (w *world) traceEvent(e core.Event) {
	if n, ok := e.(core.NewRules); ok {
		n.Set = nil // its address would show
		e = n
	}
	w.trace = append(w.trace, fmt.Sprintf("%v %T%+v", w.now, e, e))
}

// digest is the trace in one number.
func (w *world) digest() uint64 {
	h := fnv.New64a()
	for _, line := range w.trace {
		h.Write([]byte(line))
	}
	return h.Sum64()
}

func (w *world) violate(format string, args ...any) {
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}
