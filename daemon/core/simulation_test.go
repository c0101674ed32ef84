package core_test

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel/fake"
	"github.com/kmodd/kmodd/rules"
)

var (
	seeds   = flag.Int("seeds", 3000, "how many random worlds the simulation lives through")
	days    = flag.Int("days", 10_000, "how many days boards are used for in the simulation, all together")
	oneSeed = flag.Uint64("seed", 0, "live through this one world only, and print its trace")
)

func sound(_ *world, m machine) machine { return m }

func TestPromisesHoldInEveryWorld(t *testing.T) {
	if *oneSeed != 0 {
		w := newWorld(t, *oneSeed, sound)
		w.run()
		t.Logf("board: %+v", *w.board)
		t.Log(strings.Join(w.trace, "\n"))
		for _, v := range w.violations {
			t.Error(v)
		}
		return
	}
	asides := 0
	for seed := range uint64(*seeds) {
		w := newWorld(t, seed+1, sound)
		w.run()
		asides += w.asides
		for _, v := range w.violations {
			t.Errorf("%s\n\tgo test ./daemon/core -run EveryWorld -seed %d -v", v, seed+1)
		}
		if t.Failed() {
			return
		}
	}
	if asides == 0 {
		t.Error("no driver was ever had to probe aside")
	}
}

// A world of days is one in which drivers sleep, are woken and go with their devices
// long after people have done all that they do to a board at first.
func TestPromisesHoldForThousandsOfDays(t *testing.T) {
	const each = 40
	lived, slept := 0, uint64(0)
	for seed := uint64(daysFrom); lived < *days; seed++ {
		if *oneSeed != 0 {
			seed = *oneSeed
		}
		w := newWorld(t, seed, sound)
		if w.isBusyProbing() || slices.ContainsFunc(w.board.modules, func(m fake.Module) bool { return m.Oops || m.ExitOops }) {
			continue // what hangs is looked at every half minute, for ever
		}
		w.planDays(each)
		w.run()
		for _, v := range w.violations {
			t.Errorf("%s\n\tgo test ./daemon/core -run ThousandsOfDays -seed %d -v", v, seed)
		}
		if t.Failed() || *oneSeed != 0 {
			t.Log(strings.Join(w.trace, "\n"))
			return
		}
		slept += w.slept
		lived += each
	}
	t.Logf("%d days, in which drivers have slept %d times", lived, slept)
}

// daysFrom is the first seed of worlds of days.
const daysFrom = 1_000_000

func TestOneSeedGivesOneTrace(t *testing.T) {
	for seed := range uint64(200) {
		if first, second := trace(t, seed+1, sound), trace(t, seed+1, sound); first != second {
			t.Fatalf("seed %d gives two traces", seed+1)
		}
	}
}

func trace(t *testing.T, seed uint64, breaks breaker) uint64 {
	w := newWorld(t, seed, breaks)
	w.run()
	return w.digest()
}

// A breaker breaks the machine of one of a world's lives.
type breaker func(*world, machine) machine

// A fault is a machine that was broken in one way: it changes what the machine
// is told, or what it says.
type fault struct {
	machine
	hears func(core.Event) core.Event // nil for what it does not hear
	says  func(core.Effect) []core.Effect
	rests bool // it has no deadlines
}

func (f *fault) Step(now time.Duration, e core.Event, out []core.Effect) []core.Effect {
	if f.hears != nil {
		if e = f.hears(e); e == nil {
			return out
		}
	}
	said := f.machine.Step(now, e, nil)
	if f.says == nil {
		return append(out, said...)
	}
	for _, effect := range said {
		out = append(out, f.says(effect)...)
	}
	return out
}

func (f *fault) Deadline() (time.Duration, bool) {
	if f.rests {
		return 0, false
	}
	return f.machine.Deadline()
}

// deaf breaks a machine that does not hear what matches.
func deaf(to func(core.Event) bool) breaker {
	return func(_ *world, m machine) machine {
		return &fault{machine: m, hears: func(e core.Event) core.Event {
			if to(e) {
				return nil
			}
			return e
		}}
	}
}

// mute breaks a machine that does not say what matches.
func mute(about func(core.Effect) bool) breaker {
	return func(_ *world, m machine) machine {
		return &fault{machine: m, says: func(e core.Effect) []core.Effect {
			if about(e) {
				return nil
			}
			return []core.Effect{e}
		}}
	}
}

// The simulator must notice each of these machines.
func TestBrokenMachinesAreCaught(t *testing.T) {
	broken := []struct {
		name   string
		breaks breaker
	}{
		{"loads without regard to dependencies", givenRules(func(w *world) *rules.Set { return w.board.set(w.t, w.says, false) })},
		{"does not know the blacklist", givenRules(func(w *world) *rules.Set {
			return w.board.set(w.t, operator{denied: w.says.denied, preferred: w.says.preferred}, true)
		})},
		{"does not know install commands", givenRules(func(w *world) *rules.Set { return w.board.setWith(w.t, w.says, true, false) })},
		{"takes a command that ended well for a live module", afterCommands(func(e *core.Done) { e.State = control.Live })},
		{"takes a command that failed for one that ended well", afterCommands(func(e *core.Done) { e.Errno = 0 })},
		{"takes a command for the kernel", afterCommands(func(e *core.Done) { e.State = "" })},
		{"keeps its first rules", keepsRules},
		{"does not know which devices are denied", givenRules(func(w *world) *rules.Set {
			return w.board.set(w.t, operator{blacklist: w.says.blacklist, preferred: w.says.preferred}, true)
		})},
		{"does not know what is preferred", givenRules(func(w *world) *rules.Set {
			return w.board.set(w.t, operator{blacklist: w.says.blacklist, denied: w.says.denied}, true)
		})},
		{"does not keep drivers from devices", mute(func(e core.Effect) bool { _, ok := e.(core.Assign); return ok })},
		{"does not hear whether a driver took a device", deaf(hears[core.Assigned])},
		{"writes down nothing", mute(func(e core.Effect) bool { _, ok := e.(core.Persist); return ok })},
		{"takes devices from those who use them", takesUsed},
		{"gives up an assignment that could not begin", misheard(func(a *core.Assigned) { a.Unasked = false })},
		{"takes out what is in use", misheard(func(c *core.Counted) { c.References = 0 })},
		{"takes out what drives a device", misheard(func(c *core.Counted) { c.Drives = "" })},
		{"takes out nothing", mute(func(e core.Effect) bool { _, ok := e.(core.Unload); return ok })},
		{"gives up taking out what could not begin", givesUpUnloads},
		{"does not hear that it is to leave modules alone", forgetsPins},
		{"does not hear what it has inherited", deaf(hears[core.Inherited])},
		{"puts no placeholders", mute(func(e core.Effect) bool { t, ok := e.(core.Tend); return ok && t.How == core.Cover })},
		{"makes no nodes for what waits", mute(func(e core.Effect) bool { t, ok := e.(core.Tend); return ok && t.How == core.Make })},
		{"does not put nodes back", mute(func(e core.Effect) bool { t, ok := e.(core.Tend); return ok && t.How == core.Restore })},
		{"does not take nodes away", mute(func(e core.Effect) bool { t, ok := e.(core.Tend); return ok && t.How == core.Uncover })},
		{"does not have the kernel ask it", mute(func(e core.Effect) bool { _, ok := e.(core.Help); return ok })},
		{"has the kernel ask it for ever", mute(func(e core.Effect) bool { h, ok := e.(core.Help); return ok && !h.On })},
		{"puts to sleep what is in use", misheard(func(s *core.Surveyed) { s.InUse = "" })},
		{"does not know what must be out", misheard(func(s *core.Surveyed) { s.Must = nil })},
		{"says that it is awake at once", opensAtOnce},
		{"does not see when it is awake", misheard(func(o *core.Opened) { o.Works = nil })},
		{"takes a placeholder that could not be put for one that was", misheard(func(e *core.Tended) { e.Unasked, e.Says = false, "" })},
		{"does not hear who opens what sleeps", wakesNobody},
		{"forgets what slept", misheard(func(e *core.Inherited) { e.Asleep = nil })},
		{"does not hear what is wanted without a device", wantsNothing},
		{"loads twice", loadsTwice},
		{"takes every file for known", missaid(func(l *core.Load) { l.Known = true })},
		{"does not hear what may request others", misheard(func(d *core.Done) { d.Requests = core.RequestsNone })},
		{"does not look into what is needed", missaid(func(l *core.Load) { l.LookInto = nil })},
		{"forgets every seventh load", forgetsLoads},
		{"takes EBUSY for the end", neverTriesAgain},
		{"gives up what could not begin", misheard(func(d *core.Done) { d.Unasked = false })},
		{"scans once only", scansOnce},
		{"does not hear that uevents were lost", deaf(hears[core.Lost])},
		{"does not hear that devices go", deaf(hears[core.Gone])},
		{"does not hear that drivers bind", deaf(hears[core.Bound])},
		{"does not hear the end of a load", deaf(hears[core.Done])},
		{"does not hear the end of a scan", deaf(hears[core.Scanned])},
		{"waits for the call and not for the module", deaf(hearsLive)},
		{"lets a call that hangs keep its slot", func(_ *world, m machine) machine { return &fault{machine: m, rests: true} }},
		{"does not hear that firmware was found", deaf(hears[core.FirmwareFound])},
		{"does not say which firmware it lacks", mute(func(e core.Effect) bool { _, ok := e.(core.AwaitFirmware); return ok })},
		{"does not look a second time", looksOnce},
		{"takes the link for the driver", deafToUnbinding},
		{"gives up a probe that could not begin", misheard(func(p *core.Probed) { p.Unasked = false })},
		{"does not look at what others have on its way", mute(func(e core.Effect) bool { _, ok := e.(core.LookModule); return ok })},
		{"says that it has settled at once", func(_ *world, m machine) machine { return hasty{m} }},
		{"says that it has settled without reading on", func(_ *world, m machine) machine { return blind{m} }},
		{"keeps who has left", deaf(hears[core.Withdrawn])},
		{"does not say that it has settled", mute(func(e core.Effect) bool { _, ok := e.(core.CatchUp); return ok })},
		{"counts what was put off as live", misreports(func(m *control.Metrics) {
			m.Loads[control.Loaded] += m.Loads[control.PutOff]
			delete(m.Loads, control.PutOff)
		})},
		{"does not count what failed", misreports(func(m *control.Metrics) { delete(m.Loads, control.NotLoaded) })},
		{"does not time what was slow", misreports(func(m *control.Metrics) { clear(m.LoadTimes.Counts[8:]) })},
		{"reports the last load for that of the boot", reportsLast},
		{"reports that a load began before it was wanted", misreports(func(b *control.Boot) {
			for i := range b.Loads {
				b.Loads[i].Began -= time.Hour
			}
		})},
		{"reports loads twice", misreports(func(b *control.Boot) { b.Loads = append(b.Loads, b.Loads...) })},
		{"forgets loads of the boot", func(_ *world, m machine) machine {
			asked := 0
			return misreports(func(b *control.Boot) {
				if asked++; asked > 1 {
					b.Loads = nil
				}
			})(nil, m)
		}},
		{"does not count what was slow", misreports(func(m *control.Metrics) { m.SlowLoads = 0 })},
	}
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			for seed := range uint64(20000) {
				w := newWorld(t, seed+1, b.breaks)
				w.run()
				if len(w.violations) > 0 {
					t.Logf("caught by seed %d: %s", seed+1, w.violations[0])
					return
				}
			}
			t.Error("not caught by 20000 seeds")
		})
	}
}

// A machine that rolls dice of its own is caught by its traces.
func TestADiceRollingMachineIsCaught(t *testing.T) {
	rolls := func(_ *world, m machine) machine {
		return &fault{machine: m, says: func(e core.Effect) []core.Effect {
			if _, ok := e.(core.Note); ok && rand.IntN(10) == 0 {
				return nil
			}
			return []core.Effect{e}
		}}
	}
	for seed := range uint64(1000) {
		first := trace(t, seed+1, rolls)
		if second := trace(t, seed+1, rolls); first != second {
			return
		}
	}
	t.Error("not caught by 1000 seeds")
}

// misheard breaks a machine that is told something else by events of a kind.
func misheard[T core.Event](falsify func(*T)) breaker {
	return func(_ *world, m machine) machine {
		return &fault{machine: m, hears: func(e core.Event) core.Event {
			if of, ok := e.(T); ok {
				falsify(&of)
				return of
			}
			return e
		}}
	}
}

// missaid breaks a machine that says something else by effects of a kind.
func missaid[T core.Effect](falsify func(*T)) breaker {
	return func(_ *world, m machine) machine {
		return &fault{machine: m, says: func(e core.Effect) []core.Effect {
			if of, ok := e.(T); ok {
				falsify(&of)
				e = of
			}
			return []core.Effect{e}
		}}
	}
}

func hears[T core.Event](e core.Event) bool { _, ok := e.(T); return ok }

func hearsLive(e core.Event) bool {
	m, ok := e.(core.ModuleIs)
	return ok && m.Scan == 0 && m.State == control.Live
}

func loadsTwice(_ *world, m machine) machine {
	return &fault{machine: m, says: func(e core.Effect) []core.Effect {
		if load, ok := e.(core.Load); ok {
			again := load
			again.Op += 1 << 32
			return []core.Effect{load, again}
		}
		return []core.Effect{e}
	}}
}

func neverTriesAgain(_ *world, m machine) machine {
	return &fault{machine: m, hears: func(e core.Event) core.Event {
		if done, ok := e.(core.Done); ok && done.Errno == syscall.EBUSY {
			done.Errno = syscall.EIO
			return done
		}
		return e
	}}
}

// afterCommands breaks a machine that is told something else of the ends of
// install commands.
func afterCommands(falsify func(*core.Done)) breaker {
	return func(_ *world, m machine) machine {
		return &fault{machine: m, hears: func(e core.Event) core.Event {
			if done, ok := e.(core.Done); ok && done.State != "" {
				falsify(&done)
				return done
			}
			return e
		}}
	}
}

// A hasty machine answers those who wait until nothing is pending at once.
type hasty struct{ machine }

func (h hasty) Step(now time.Duration, e core.Event, out []core.Effect) []core.Effect {
	if asked, ok := e.(core.Asked); ok && asked.Request == (control.SettleRequest{}) {
		return append(out, core.Reply{ID: asked.ID})
	}
	return h.machine.Step(now, e, out)
}

// A blind machine answers them without reading what the kernel has said
// meanwhile.
type blind struct{ machine }

func (b blind) Step(now time.Duration, e core.Event, out []core.Effect) []core.Effect {
	for _, effect := range b.machine.Step(now, e, nil) {
		if c, ok := effect.(core.CatchUp); ok {
			out = b.machine.Step(now, core.CaughtUp(c), out)
			continue
		}
		out = append(out, effect)
	}
	return out
}

// deafToUnbinding breaks a machine that never learns by a look or a scan that a
// device has no driver.
func deafToUnbinding(_ *world, m machine) machine {
	links := make(map[string]string)
	return &fault{machine: m, hears: func(e core.Event) core.Event {
		if looked, ok := e.(core.Looked); ok {
			if links[looked.Path] == "" {
				links[looked.Path] = looked.Driver
			}
			looked.Driver = links[looked.Path]
			return looked
		}
		return e
	}}
}

func looksOnce(_ *world, m machine) machine {
	looked := make(map[string]bool)
	return &fault{machine: m, says: func(e core.Effect) []core.Effect {
		if look, ok := e.(core.Look); ok && looked[look.Path] {
			return nil
		} else if ok {
			looked[look.Path] = true
		}
		return []core.Effect{e}
	}}
}

func givesUpUnloads(_ *world, m machine) machine {
	return &fault{machine: m, hears: func(e core.Event) core.Event {
		if unloaded, ok := e.(core.Unloaded); ok && unloaded.Unasked {
			unloaded.Unasked, unloaded.Errno = false, syscall.EIO
			return unloaded
		}
		return e
	}}
}

// opensAtOnce breaks a machine that takes everything for open that it asks about.
func opensAtOnce(_ *world, m machine) machine {
	var all []string
	return &fault{machine: m, says: func(e core.Effect) []core.Effect {
		if look, ok := e.(core.LookOpen); ok {
			all = nil
			for _, o := range look.Openings {
				all = append(all, o.Alias)
			}
		}
		return []core.Effect{e}
	}, hears: func(e core.Event) core.Event {
		if opened, ok := e.(core.Opened); ok {
			opened.Works = all
			return opened
		}
		return e
	}}
}

// wakesNobody breaks a machine that says of everything that is opened that it is
// somebody else's.
func wakesNobody(_ *world, m machine) machine {
	return &fault{machine: m, hears: func(e core.Event) core.Event {
		if asked, ok := e.(core.Asked); ok {
			if _, ok := asked.Request.(control.WakeRequest); ok {
				asked.Request = control.WakeRequest{Name: "netdev-nobody"}
			}
			return asked
		}
		return e
	}}
}

// forgetsPins breaks a machine that says yes to a pin, and does nothing.
func forgetsPins(_ *world, m machine) machine {
	return &fault{machine: m, hears: func(e core.Event) core.Event {
		if asked, ok := e.(core.Asked); ok {
			if _, ok := asked.Request.(control.PinRequest); ok {
				asked.Request = control.MetricsRequest{}
			}
			return asked
		}
		return e
	}}
}

func takesUsed(_ *world, m machine) machine {
	return &fault{machine: m, says: func(e core.Effect) []core.Effect {
		if assign, ok := e.(core.Assign); ok {
			assign.Gently = false
			return []core.Effect{assign}
		}
		return []core.Effect{e}
	}}
}

func scansOnce(w *world, m machine) machine {
	scans := 0
	return mute(func(e core.Effect) bool {
		if _, ok := e.(core.Rescan); ok {
			scans++
			return scans > 1
		}
		return false
	})(w, m)
}

func keepsRules(w *world, m machine) machine {
	given := 0
	return deaf(func(e core.Event) bool {
		if hears[core.NewRules](e) {
			given++
			return given > 1
		}
		return false
	})(w, m)
}

func wantsNothing(_ *world, m machine) machine {
	return &fault{machine: m, hears: func(e core.Event) core.Event {
		if n, ok := e.(core.NewRules); ok {
			n.Wanted = nil
			return n
		}
		return e
	}}
}

func forgetsLoads(w *world, m machine) machine {
	loads := 0
	return mute(func(e core.Effect) bool {
		if _, ok := e.(core.Load); ok {
			loads++
			return loads%7 == 0
		}
		return false
	})(w, m)
}

// givenRules breaks a machine that has other rules than it was given.
func givenRules(other func(*world) *rules.Set) breaker {
	return func(w *world, m machine) machine {
		return &fault{machine: m, hears: func(e core.Event) core.Event {
			if n, ok := e.(core.NewRules); ok {
				n.Set = other(w)
				return n
			}
			return e
		}}
	}
}

// misreports breaks a machine whose answers of a kind are not true.
func misreports[T any](falsify func(*T)) breaker {
	return func(_ *world, m machine) machine {
		return &fault{machine: m, says: func(e core.Effect) []core.Effect {
			if reply, ok := e.(core.Reply); ok {
				if answer, ok := reply.Value.(T); ok {
					falsify(&answer)
					reply.Value = answer
					return []core.Effect{reply}
				}
			}
			return []core.Effect{e}
		}}
	}
}

// reportsLast breaks a machine that tells of the last load of each module for that of
// the boot.
func reportsLast(w *world, m machine) machine {
	return misreports(func(b *control.Boot) {
		for i, l := range b.Loads {
			if began := w.loadsBegan[l.Name]; len(began) > 0 && l.Live != 0 {
				b.Loads[i].Began = began[len(began)-1].Truncate(time.Microsecond)
				b.Loads[i].Live = max(l.Live, b.Loads[i].Began)
			}
		}
	})(w, m)
}
