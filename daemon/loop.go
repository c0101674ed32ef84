package daemon

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kmsg"
	"github.com/kmodd/kmodd/daemon/uevent"
	"github.com/kmodd/kmodd/daemon/worker"
)

// A loop owns the machine. It is the only goroutine that touches it.
type loop struct {
	version, release string
	boot, forecast   string // the kernel's boot_id, and the file of what the last boots had
	commandTime      time.Duration
	started, first   time.Duration // first is when the first daemon of this boot began
	asleep           time.Duration // for how long the machine was suspended, as of the last step
	log              *slog.Logger

	pool     loader
	source   scanner
	book     *rulebook
	system   kernel.System
	kmsg     *kmsg.Log // nil if it can't be read
	firmware fileWatch
	ahead    ahead
	paths    fileWatch // what deferred modules wait for
	opens    openWatch
	helper   func(on bool) error      // has the kernel ask us, or not any more
	asked    askWatch                 // tells that somebody else has it ask others
	persist  func(core.Persist) error // writes down what must not be forgotten
	notes    control.Notes

	events chan core.Event
	rules  chan ruleChange
	asks   chan ask
	ready  chan struct{}
	done   chan struct{} // closed when nobody reads events any more

	watchdog *watchdog
	lastAsk  atomic.Uint64

	// The rest belongs to Run.
	machine   *core.Machine
	effects   []core.Effect            // the buffer that steps are answered in
	inForce   ruleChange               // the rules that the machine has
	variables atomic.Pointer[[]string] // of uevents, that these rules ask for; nil at first
	loads     map[core.OpID]underway
	askers    map[uint64]ask
	unwritten error // why what was to be written down last could not be
	quiet     quiet

	asyncTried bool // a module was loaded with async_probe
}

// A loader puts modules in: a [worker.Pool].
type loader interface {
	Load(op uint64, m kernel.Module)
	Run(op uint64, c worker.Command)
	Probe(op uint64, bus, device string)
	Assign(op uint64, a kernel.Assignment)
	Unload(op uint64, module string)
	Survey(op uint64, q worker.Question)
	Tend(op uint64, module string, what worker.Placeholders)
	Abandon(op uint64)
	Results() <-chan worker.Result
}

// A scanner scans sysfs: a [uevent.Source].
type scanner interface {
	ReadVariables(wanted bool)
	Rescan(scan uint32)
	CatchUp(mark uint32)
	Counts() uevent.Counts
}

// An underway load, or unload, is one that the pool has: which module, and which
// record of the kernel's log was the next one when it began. Of a device that is
// assigned it has the path.
type underway struct {
	module string
	since  uint64
	size   int64 // of a module that is taken out
}

// CommandTime is for how long an install command may run unless the daemon was
// told something else. A minute is what the
// kernel itself gives user space to answer a driver's request
// (firmware_class.timeout); a command that loads a module whose init takes
// longer ends with its driver in all the same, for nothing can end that.
const CommandTime = time.Minute

// An ask is a request on its way to the machine and back.
type ask struct {
	id      uint64
	request control.Request
	reply   chan core.Reply // has room for the one reply
}

func newLoop(c Config, release string, pool loader) *loop {
	l := &loop{
		version: c.Version,
		release: release,

		commandTime: cmp.Or(c.CommandTime, CommandTime),

		started: sinceBoot(),
		asleep:  suspended(),
		log:     c.Log,
		pool:    pool,
		events:  make(chan core.Event, 64),
		rules:   make(chan ruleChange),
		asks:    make(chan ask),
		ready:   make(chan struct{}),
		done:    make(chan struct{}),
		machine: core.New(c.Limits),
		askers:  make(map[uint64]ask),
		loads:   make(map[core.OpID]underway),

		watchdog: newWatchdog(c.Log),
		helper:   func(bool) error { return nil },
	}
	l.asked = newAskWatch(l.system.AskFile(), c.Log)
	l.opens = openWatch{dev: "/dev", post: l.post, log: c.Log}
	l.firmware = newFileWatch(firmwareOf(l.system), l.post, c.Log)
	l.paths = newFileWatch(triggers, l.post, c.Log)
	return l
}

// Ready is closed when the first rules are in force.
func (l *loop) Ready() <-chan struct{} { return l.ready }

// String names the loop as a task.
func (l *loop) String() string { return "event loop" }

// Run steps the machine until the context ends.
func (l *loop) Run(ctx context.Context) error {
	defer close(l.done)
	defer func() { l.inForce.close() }()
	defer l.watchdog.close()
	defer l.firmware.await(nil)
	defer l.paths.await(nil)
	defer l.opens.close()
	defer l.asked.watch(false)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var patience <-chan time.Time // once it is to end
	for patience == nil || l.machine.Resting() {
		if at, ok := l.machine.Deadline(); ok {
			timer.Reset(at - sinceBoot())
		} else {
			timer.Stop()
		}
		select {
		case e := <-l.events:
			l.step(e)
		case r := <-l.pool.Results():
			l.step(l.finished(r))
		case c := <-l.rules:
			l.change(c)
		case a := <-l.asks:
			l.askers[a.id] = a
			l.step(core.Asked{ID: a.id, Request: a.request})
		case <-timer.C:
			l.step(core.Tick{})
		case <-l.asked.changed:
			if l.asked.watcher != nil { // else it was written before that ended
				l.help(true)
			}
		case <-l.quiet.fell():
			l.kmsg.Release()
			l.quiet.giveBack(l.inForce.tables)
			continue
		case <-l.watchdog.ticks():
			l.watchdog.ask(l.source)
			continue
		case <-l.watchdog.answered:
			l.watchdog.alive()
			continue
		case <-l.ending(ctx, patience):
			patience = time.After(wakeTime)
			l.step(core.Ending{})
		case <-patience:
			return nil
		}
		l.quiet.disturbed()
	}
	return nil
}

// wakeTime is how long what sleeps has to wake when the daemon ends.
const wakeTime = 5 * time.Second

// ending tells once that the daemon is to end.
func (l *loop) ending(ctx context.Context, patience <-chan time.Time) <-chan struct{} {
	if patience != nil {
		return nil
	}
	return ctx.Done()
}

// ours lists the modules that this daemon has put in, or inherited. It is for
// the time when Run has ended.
func (l *loop) ours() []control.Module {
	for _, e := range l.machine.Step(sinceBoot(), core.Asked{Request: control.ModulesRequest{}}, nil) {
		if reply, ok := e.(core.Reply); ok {
			modules, _ := reply.Value.([]control.Module)
			return slices.DeleteFunc(modules, func(m control.Module) bool { return !m.Ours || m.State != control.Live })
		}
	}
	return nil
}

// post hands an event to the machine. While the loop is behind it waits: the
// kernel's socket buffer holds what comes meanwhile.
func (l *loop) post(e core.Event) {
	select {
	case l.events <- e:
	case <-l.done:
	}
}

// step tells the machine and does what it says. What the answers to its own
// questions lead to is done as well.
func (l *loop) step(e core.Event) {
	l.machine.Details(l.heard())
	l.effects = l.effects[:0]
	if asleep := suspended(); asleep-l.asleep > time.Second {
		l.asleep = asleep
		l.effects = l.machine.Step(sinceBoot(), core.Resumed{}, l.effects)
	}
	l.effects = l.machine.Step(sinceBoot(), e, l.effects)
	for i := 0; i < len(l.effects); i++ {
		if answer := l.carryOut(l.effects[i]); answer != nil {
			l.effects = l.machine.Step(sinceBoot(), answer, l.effects)
		}
	}
	clear(l.effects)
}

// carryOut does one thing. A question that is answered on the spot has its
// answer returned.
func (l *loop) carryOut(e core.Effect) core.Event {
	switch e := e.(type) {
	case core.Load:
		l.load(e)
	case core.Abandon:
		l.pool.Abandon(uint64(e.Op))
	case core.Rescan:
		l.source.Rescan(e.Scan)
	case core.Look:
		return l.look(e)
	case core.LookForSuppliers:
		return suppliers{}.lookFor(e.Held)
	case core.ReadAhead:
		l.ahead.read(e.Files)
	case core.LookAtPressure:
		stalled, known := l.system.Pressure()
		return core.Pressure{Stalled: stalled, Known: known}
	case core.AwaitFirmware:
		l.firmware.await(e.Names)
	case core.AwaitPaths:
		l.paths.await(e.Paths)
	case core.Probe:
		l.pool.Probe(uint64(e.Op), e.Subsystem, filepath.Base(e.Path))
	case core.Assign:
		l.loads[e.Op] = underway{module: e.Path}
		l.pool.Assign(uint64(e.Op), kernel.Assignment{
			Path: e.Path, Bus: e.Subsystem, Owner: kernel.Owner(e.Owner), Module: e.Module, Gently: e.Gently, Ours: e.Held,
		})
	case core.Remember:
		l.remember(e)
	case core.Persist:
		l.unwritten = l.persist(e)
	case core.LookUse:
		references, holders := l.system.Uses(e.Name)
		return core.Counted{Name: e.Name, References: references, Holders: holders, Drives: l.system.Drives(e.Name)}
	case core.Unload:
		l.loads[e.Op] = underway{e.Name, l.kmsg.Now(), l.system.Size(e.Name)}
		l.pool.Unload(uint64(e.Op), e.Name)
	case core.Survey:
		l.pool.Survey(uint64(e.Op), worker.Question{Module: e.Module, Files: e.Files, Force: e.Force, Any: e.Any})
	case core.Tend:
		if hides := e.How == core.Cover || e.How == core.Make; hides && l.unwritten != nil {
			return core.Tended{Op: e.Op, Says: "the next kmodd would not know of it: " + l.unwritten.Error()}
		}
		l.pool.Tend(uint64(e.Op), e.Module, worker.Placeholders{How: worker.Tending(e.How), Openings: openingsOf(e.Openings)})
	case core.WatchNodes:
		l.opens.watch(e)
	case core.Help:
		l.help(e.On)
	case core.LookNodes:
		return core.NodesLooked{Module: e.Module, Missing: l.system.Lacks(openingsOf(e.Openings))}
	case core.HideNodes:
		if err := l.system.Hide(openingsOf(e.Openings)); err != nil {
			l.log.Warn("a node is in the way of another device's", "error", err)
		}
	case core.LookOpen:
		works, other, says := l.system.Opens(e.Devices, openingsOf(e.Openings))
		return core.Opened{Module: e.Module, Works: works, Other: other, Says: says}
	case core.LookModule:
		return core.ModuleIs{Name: e.Name, State: control.State(l.system.State(e.Name))}
	case core.CatchUp:
		l.source.CatchUp(e.Mark)
	case core.Reply:
		l.answer(e)
	case core.Note:
		l.notes.Publish(e.Note)
		logNote(l.log, e.Note)
	}
	return nil
}

// help has the kernel ask us when somebody opens what nobody serves, or not.
func (l *loop) help(on bool) {
	l.asked.watch(on)
	if err := l.helper(on); err != nil {
		l.log.Warn("what sleeps may not wake", "error", err)
	}
}

// load hands a module, or the command that stands for it, to a worker.
func (l *loop) load(e core.Load) {
	s := e.Step
	l.loads[e.Op] = underway{module: s.Module, since: l.kmsg.Now()}
	if s.Install != "" {
		l.pool.Run(uint64(e.Op), worker.Command{Verb: "install", Module: s.Module, Shell: s.Install, Options: s.Options, Limit: l.commandTime})
		return
	}
	l.pool.Load(uint64(e.Op), kernel.Module{Name: s.Module, File: s.File, Options: s.Options, Nice: e.Nice, Measure: e.Measure, Async: kernel.Async(e.Async), LookInto: e.LookInto, Known: e.Known, Settings: e.Settings})
}

// finished turns a worker's result into what the machine is told. What the
// kernel had to say of a load that went well is of interest only while somebody
// listens.
func (l *loop) finished(r worker.Result) core.Event {
	switch {
	case r.Probe:
		return probed(r)
	case r.Assigned != nil:
		return l.assigned(r)
	case r.Unload:
		return l.unloaded(r)
	case r.Survey != nil:
		return surveyed(r)
	case r.Tended:
		e := core.Tended{Op: core.OpID(r.Op), Unasked: r.Unasked()}
		if r.Err != nil {
			e.Says = r.Err.Error()
		}
		return e
	}
	done := core.Done{Op: core.OpID(r.Op), Errno: r.Errno(), Unasked: r.Unasked(), Memory: max(r.Memory, 0), Unset: r.Unset,
		Async: r.Async, Requests: core.Requests(r.Requests), NamesFirmware: r.NamesFirmware}
	done.Read, done.Called, done.Returned = r.Got, r.Called, r.Got+r.Took
	load := l.loads[done.Op]
	delete(l.loads, done.Op)
	done.Module = load.module
	if r.Command {
		done.State = control.State(l.system.State(load.module))
	}
	if r.Firmware != nil {
		done.Firmware = r.Firmware.Missing
	}
	if r.Err != nil {
		done.Says = r.Err.Error()
	}
	if r.Err != nil || l.heard() {
		// That a driver has found no hardware is often not worth a word to it.
		failed := r.Err != nil && done.Errno != syscall.ENODEV
		done.Log = l.kmsg.About(kmsg.Question{Module: load.module, Since: load.since, Failed: failed})
	}
	if r.Async && !l.asyncTried {
		l.asyncTried = true
		done.NoAsync = slices.ContainsFunc(l.kmsg.About(kmsg.Question{Module: load.module, Since: load.since}), ignoresAsync)
	}
	return done
}

// ignoresAsync tells whether the kernel says in a line of its log that it does not know
// async_probe, as one older than 4.2 does (unknown_module_param_cb in
// kernel/module/main.c).
func ignoresAsync(line string) bool {
	return strings.HasSuffix(line, "unknown parameter '"+kernel.AsyncOption+"' ignored")
}

func surveyed(r worker.Result) core.Event {
	s := r.Survey
	e := core.Surveyed{Op: core.OpID(r.Op), Devices: s.Devices, Must: s.Must, InUse: s.InUse, Says: s.Says, Unasked: r.Unasked()}
	if r.Err != nil {
		e.Says = r.Err.Error()
	}
	for _, o := range s.Openings {
		e.Openings = append(e.Openings, control.Opening(o))
	}
	return e
}

func openingsOf(list []control.Opening) (openings []kernel.Opening) {
	for _, o := range list {
		openings = append(openings, kernel.Opening(o))
	}
	return openings
}

func probed(r worker.Result) core.Event {
	e := core.Probed{Op: core.OpID(r.Op), Unasked: r.Unasked()}
	if r.Err != nil {
		e.Says = r.Err.Error()
	}
	return e
}

func (l *loop) assigned(r worker.Result) core.Event {
	op := core.OpID(r.Op)
	path := l.loads[op].module
	delete(l.loads, op)
	e := core.Assigned{Op: op, Path: path, Module: r.Assigned.Module, Held: r.Assigned.Held, Unasked: r.Unasked()}
	var refusal *kernel.Error
	switch {
	case errors.As(r.Err, &refusal) && refusal.Op == kernel.OpInUse:
		e.InUse = refusal.Words
	case r.Err != nil:
		e.Says = r.Err.Error()
	}
	return e
}

func (l *loop) unloaded(r worker.Result) core.Event {
	begun := l.loads[core.OpID(r.Op)]
	e := core.Unloaded{Op: core.OpID(r.Op), Errno: r.Errno(), Unasked: r.Unasked(), Size: begun.size, Memory: max(-r.Memory, 0), Settings: r.Settings}
	delete(l.loads, e.Op)
	if r.Err != nil {
		e.Says = r.Err.Error()
		_, e.Died = errors.AsType[*worker.DeathError](r.Err)
	}
	if e.Died {
		e.Log = l.kmsg.About(kmsg.Question{Module: begun.module, Since: begun.since, Failed: true})
	}
	return e
}

// heard tells whether anybody reads details: a subscriber, or the log.
func (l *loop) heard() bool {
	return l.notes.Heard() || l.log.Enabled(context.Background(), slog.LevelDebug)
}

// change puts new rules into force, and closes the tables of the old ones,
// which nothing refers to any more.
func (l *loop) change(c ruleChange) {
	names := c.set.Variables()
	l.variables.Store(&names)
	l.source.ReadVariables(len(names) > 0)
	first := l.inForce.set == nil
	l.expect(first && c.set.Predicts())
	l.step(core.NewRules{Set: c.set, Wanted: c.wanted})
	l.inForce.close()
	l.inForce = c
	if first {
		close(l.ready)
	}
	close(c.inForce)
}

// Ask answers a request of the control socket. It may be called from any
// goroutine.
func (l *loop) Ask(ctx context.Context, r control.Request) (any, error) {
	if _, ok := r.(control.ReloadRequest); ok {
		return nil, l.book.reload(ctx)
	}
	a := ask{id: l.lastAsk.Add(1), request: r, reply: make(chan core.Reply, 1)}
	select {
	case l.asks <- a:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
		return nil, context.Canceled
	}
	select {
	case reply := <-a.reply:
		return reply.Value, reply.Err
	case <-ctx.Done():
		l.post(core.Withdrawn{ID: a.id})
		return nil, ctx.Err()
	case <-l.done:
		return nil, context.Canceled
	}
}

// answer passes the machine's reply on, with what only the daemon knows.
func (l *loop) answer(r core.Reply) {
	switch value := r.Value.(type) {
	case control.Status:
		value.Version, value.Kernel, value.PID, value.Started = l.version, l.release, os.Getpid(), l.started
		value.Warnings = l.inForce.warnings()
		value.Tables, value.Uevents = l.book.tables, control.Uevents(l.source.Counts())
		r.Value = value
	case control.Boot:
		value.Version, value.Kernel, value.PID = l.version, l.release, os.Getpid()
		value.First, value.Started = l.first, l.started
		r.Value = value
	case control.Metrics:
		value.NotesMissed = l.notes.Missed()
		r.Value = value
	}
	l.askers[r.ID].reply <- r
	delete(l.askers, r.ID)
	if _, ok := r.Value.(control.Woken); ok {
		runtime.Gosched() // somebody waits in an open(), and not for what else is to be done now
	}
}
