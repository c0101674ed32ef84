package core_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

const (
	sleepy      = "[[rule]]\nmodule = [\"a\", \"b\"]\nidle = \"2s\"\n"
	sleepyDep   = "lib.ko:\na.ko: lib.ko\nb.ko:\nc.ko: lib.ko\nbelow.ko:\n"
	sleepyAlias = "alias t:a a\nalias t:b b\nalias t:c c\nalias t:below below\n"
)

// restBench has a and what it needs in for a device /a, and b for /b, which may
// sleep after two seconds.
func restBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, "", "", "")
	b.policed(sleepyDep, sleepyAlias, "", sleepy)
	b.step(core.Scanned{Scan: 2})
	b.plug("/a", "t:a")
	b.goes("lib")
	b.now++
	b.goes("a")
	b.bound("/a", "a")
	b.plug("/b", "t:b")
	b.now++
	b.goes("b")
	b.bound("/b", "b")
	return b
}

// bound tells that a driver has taken a device.
func (b *bench) bound(path, driver string) {
	b.step(core.Bound{Path: path, Driver: driver})
}

// surveyed says what a look at the driver of a device, of its name, has found. The
// look is among effects. What must be out is named.
func (b *bench) surveyed(effects []core.Effect, module, says string, must ...string) []core.Effect {
	b.t.Helper()
	for _, e := range effects {
		if s, ok := e.(core.Survey); ok && s.Module == module {
			found := core.Surveyed{Op: s.Op, Devices: []string{"/" + module}, Says: says, Must: must}
			if says == "" {
				found.Openings = []control.Opening{{Alias: "char-major-1-" + module, Name: module}}
			}
			return b.step(found)
		}
	}
	b.t.Fatalf("nobody is to look who uses %s: %v", module, effects)
	return nil
}

// fallsAsleep has the driver be idle until placeholders are put over its nodes, and
// returns the operation of that.
func (b *bench) fallsAsleep(effects []core.Effect, module string, must ...string) core.OpID {
	b.t.Helper()
	for range 10 {
		for _, e := range b.surveyed(effects, module, "", must...) {
			if tend, ok := e.(core.Tend); ok && tend.How == core.Cover {
				return tend.Op
			}
		}
		effects = b.after(2 * time.Second)
	}
	b.t.Fatalf("%s does not go to sleep", module)
	return 0
}

// sleeps has a driver that takes nothing with it go to sleep.
func (b *bench) sleeps(module string) {
	b.t.Helper()
	cover := b.fallsAsleep(b.after(2*time.Second), module)
	b.tended(b.step(core.Unloaded{Op: exitOf(b.step(core.Tended{Op: cover}), module)}))
}

// tended has all be done about placeholders that is among effects.
func (b *bench) tended(effects []core.Effect) {
	for _, e := range effects {
		if tend, ok := e.(core.Tend); ok {
			b.step(core.Tended{Op: tend.Op})
		}
	}
}

func TestADriverTakesNothingToSleepThatWasNotInForIt(t *testing.T) {
	b := restBench(t)
	effects := b.after(2 * time.Second)
	b.surveyed(effects, "a", "")
	b.surveyed(effects, "b", "")
	effects = b.after(2 * time.Second)
	b.fallsAsleep(effects, "a") // and is not covered yet
	cover := b.fallsAsleep(effects, "b")
	exit := exitOf(b.step(core.Tended{Op: cover}), "b")
	if got := asks(b.step(core.Unloaded{Op: exit})); len(got) > 0 {
		t.Errorf("b goes to sleep, and it is asked who uses %q", got)
	}
	if why := b.sleepOf("b"); !strings.Contains(why, "it sleeps since") {
		t.Errorf("of b it is said: %s", why)
	}
}

func TestADriverStaysIfWhatMustBeOutIsInForSomethingElse(t *testing.T) {
	b := restBench(t)
	b.plug("/c", "t:c")
	b.goes("c")
	b.bound("/c", "c")
	b.surveyed(b.after(2*time.Second), "a", "", "lib")
	const why = "it does not sleep: lib stays in (it is in for /c, too), so the kernel would not ask for its devices"
	if got := b.sleepOf("a"); !strings.Contains(got, why) {
		t.Errorf("it is said: %s", got)
	}
	b.step(core.Gone{Path: "/c"})
	b.surveyed(b.after(time.Minute), "a", "", "lib")
	if got := b.sleepOf("a"); !strings.Contains(got, "nobody has used it") {
		t.Errorf("/c has gone, and it is said: %s", got)
	}
}

// What somebody else has put in is known to the kernel only.
func TestADriverStaysIfWhatMustBeOutIsNeededByAModuleThatDoesNotGo(t *testing.T) {
	b := restBench(t)
	cover := b.fallsAsleep(b.after(2*time.Second), "a", "lib")
	if got := asks(b.step(core.Tended{Op: cover})); !slices.Equal(got, []string{"lib"}) {
		t.Fatalf("it is asked who uses %q", got)
	}
	if exitOf(b.step(core.Counted{Name: "lib", References: 2, Holders: []string{"a", "others"}}), "a") != 0 {
		t.Error("a is taken out")
	}
	const why = "it does not sleep: lib stays in (others needs it), so the kernel would not ask for its devices"
	if got := b.sleepOf("a"); !strings.Contains(got, why) {
		t.Errorf("it is said: %s", got)
	}
}

func TestADriverThatHadToWakeAtOnceIsNotPutToSleepAgainSoon(t *testing.T) {
	b := restBench(t)
	cover := b.fallsAsleep(b.after(2*time.Second), "a", "lib")
	b.step(core.Tended{Op: cover})
	exit := exitOf(b.step(core.Counted{Name: "lib", References: 1, Holders: []string{"a"}}), "a")
	b.step(core.Unloaded{Op: exit})
	b.step(core.Counted{Name: "lib", References: 1}) // somebody has come to use it
	b.goes("a")
	b.bound("/a", "a")
	b.step(core.Opened{Module: "a", Works: []string{"char-major-1-a"}})
	if got := b.sleepOf("a"); !strings.Contains(got, "it does not sleep: lib stays in") {
		t.Errorf("it is said: %s", got)
	}
	for _, e := range b.after(10 * time.Second) {
		if s, ok := e.(core.Survey); ok && s.Module == "a" {
			t.Error("it is looked at again after 10s")
		}
	}
}

func TestDriversThatFallAtATimeTakeAllWithThem(t *testing.T) {
	b := restBench(t)
	effects := b.after(2 * time.Second)
	b.surveyed(effects, "a", "")
	b.surveyed(effects, "b", "")
	effects = b.after(2 * time.Second)
	coverA, coverB := b.fallsAsleep(effects, "a"), b.fallsAsleep(effects, "b")
	exitA := exitOf(b.step(core.Tended{Op: coverA}), "a")
	b.step(core.Tended{Op: coverB})
	effects = b.step(core.Unloaded{Op: exitA})
	exitB := exitOf(effects, "b")
	if got := asks(effects); !slices.Equal(got, []string{"lib"}) || exitB == 0 {
		t.Fatalf("b is taken out: %v; it is asked who uses %q", exitB != 0, got)
	}
	b.step(core.Counted{Name: "lib"})
	if got := asks(b.step(core.Unloaded{Op: exitB})); !slices.Equal(got, []string{"lib"}) {
		t.Fatalf("b has gone, and it is asked who uses %q", got)
	}
	if exitOf(b.step(core.Counted{Name: "lib"}), "lib") == 0 {
		t.Error("lib stays")
	}
}

// exitOf returns the operation of the unload of a module, 0 for none.
func exitOf(effects []core.Effect, module string) core.OpID {
	for _, e := range effects {
		if u, ok := e.(core.Unload); ok && u.Name == module {
			return u.Op
		}
	}
	return 0
}

// A USB adapter's driver has both of its interfaces, and another one matches both and
// has none.
func TestADriverTakesWithItWhatOnlyTheRestOfItsDeviceCallsFor(t *testing.T) {
	b := restBench(t)
	b.step(core.Seen{Device: rules.Device{Path: "/a2", Modalias: "t:c", Subsystem: "usb"}})
	b.bound("/a2", "a")
	b.goes("c")
	cover := b.coversOf("/a", "/a2")
	effects := b.step(core.Unloaded{Op: exitOf(b.step(core.Tended{Op: cover}), "a")})
	for _, name := range []string{"c", "lib"} {
		exit := b.exit(effects, name, core.Counted{})
		if exit == 0 {
			t.Fatalf("%s stays", name)
		}
		effects = b.step(core.Unloaded{Op: exit})
	}
}

// A serial adapter's driver has a port below the device that it matches.
func TestADriverTakesWithItWhatTheDeviceAboveItsOwnCallsFor(t *testing.T) {
	b := restBench(t)
	cover := b.coversOf("/a/port")
	effects := b.step(core.Unloaded{Op: exitOf(b.step(core.Tended{Op: cover}), "a")})
	if b.exit(effects, "lib", core.Counted{}) == 0 {
		t.Error("lib stays")
	}
}

// coversOf has a, whose drivers have these devices, be idle until placeholders are put
// over its nodes, and returns the operation of that.
func (b *bench) coversOf(devices ...string) (op core.OpID) {
	for range 2 {
		for _, e := range b.after(2 * time.Second) {
			s, ok := e.(core.Survey)
			if !ok || s.Module != "a" {
				continue
			}
			found := core.Surveyed{Op: s.Op, Devices: devices, Openings: []control.Opening{{Alias: "char-major-1-a", Name: "a"}}}
			for _, e := range b.step(found) {
				if tend, ok := e.(core.Tend); ok {
					op = tend.Op
				}
			}
		}
	}
	return op
}

func TestADriverStaysWhileItsDeviceCouldChangePlacesWithASleeper(t *testing.T) {
	b := restBench(t)
	names := map[string]string{"a": "eth1", "b": "eth0"}
	for range 4 {
		for _, e := range b.after(2 * time.Second) {
			if s, ok := e.(core.Survey); ok {
				name := names[s.Module]
				b.step(core.Surveyed{Op: s.Op, Devices: []string{"/" + s.Module}, Openings: []control.Opening{{Alias: "netdev-" + name, Name: name}}})
			}
		}
	}
	asleep, stays := b.sleepOf("a"), b.sleepOf("b")
	if !strings.Contains(asleep, "it is about to sleep") || !strings.Contains(stays, "it does not sleep: eth1 sleeps (a), and they could change places") {
		t.Errorf("of a it is said: %s; of b: %s", asleep, stays)
	}
}

func TestADriverIsLookedAtAgainWhenWhatIsBelowItsDeviceHasItsDriver(t *testing.T) {
	b := restBench(t)
	b.plug("/a/below", "t:below")
	effects := b.surveyed(b.after(2*time.Second), "a", "nothing of it can be opened")
	if notes := notesOf(effects, "a"); len(notes) > 0 {
		t.Errorf("it is told of: %q", notes)
	}
	b.goes("below")
	b.surveyed(b.after(2*time.Second), "a", "")
}

func TestADriverThatSomebodyElseHasPutInStaysAndSaysSo(t *testing.T) {
	b := newBench(t, "", "", "")
	b.policed(sleepyDep, sleepyAlias, "", sleepy)
	b.step(core.ModuleIs{Name: "a", State: control.Live})
	b.step(core.ModuleIs{Name: "b", State: control.Live})
	b.step(core.ModuleIs{Name: "c", State: control.Live})
	b.plug("/a", "t:a")
	b.bound("/a", "a")
	for _, e := range b.after(time.Minute) {
		if s, ok := e.(core.Survey); ok {
			t.Errorf("it is looked at who uses %s", s.Module)
		}
	}
	const why = "it does not sleep: it was not put in by kmodd (k.toml:3: "
	for name, want := range map[string]string{"a": why, "b": why, "c": ""} { // b without a device, c without a rule
		if got := b.sleepOf(name); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("of %s it is said: %s", name, got)
		}
	}
}

// sleepOf is what is said of a module's sleep.
func (b *bench) sleepOf(name string) string { return b.module(name).Sleep }

// notesOf lists what is told of a module.
func notesOf(effects []core.Effect, module string) (said []string) {
	for _, e := range effects {
		if n, ok := e.(core.Note); ok && n.Module == module {
			said = append(said, n.What)
		}
	}
	return said
}

// However many drivers there are that may sleep and are in use: each on its own would
// have the board woken at times of its own.
func TestABoardAtRestIsWokenTwiceAMinuteAtMost(t *testing.T) {
	b := restBench(t)
	for _, e := range append(b.after(1500*time.Millisecond), b.after(700*time.Millisecond)...) {
		if s, ok := e.(core.Survey); ok {
			b.now += 300 * time.Millisecond
			b.step(core.Surveyed{Op: s.Op, Devices: []string{"/" + s.Module}, InUse: "it is open"})
		}
	}
	const minutes = 10
	woken, looks := 0, 0
	for end := b.now + minutes*time.Minute; ; {
		at, ok := b.m.Deadline()
		if !ok || at > end {
			break
		}
		woken++
		for _, e := range b.after(at - b.now) {
			if s, ok := e.(core.Survey); ok {
				looks++
				b.now += 2 * time.Millisecond
				b.step(core.Surveyed{Op: s.Op, Devices: []string{"/" + s.Module}, InUse: "it is open"})
			}
		}
	}
	if woken > 2*minutes || looks < 2*minutes {
		t.Errorf("woken %d times in %d minutes, and looked %d times who uses the two", woken, minutes, looks)
	}
}

func TestADeviceThatGoesWhileItsDriverIsTakenOutKeepsNobodyBusy(t *testing.T) {
	b := restBench(t)
	b.surveyed(b.after(2*time.Second), "b", "")
	cover := b.fallsAsleep(b.after(2*time.Second), "b")
	exit := exitOf(b.step(core.Tended{Op: cover}), "b")
	b.step(core.Gone{Path: "/b"})
	if at, ok := b.m.Deadline(); ok && at <= b.now {
		t.Errorf("it is due at %v, and that is %v ago", at, b.now-at)
	}
	for _, e := range b.step(core.Unloaded{Op: exit}) {
		if tend, ok := e.(core.Tend); ok && tend.How == core.Uncover {
			return
		}
	}
	t.Error("its node is not taken away")
}

// Whoever waits in an open() does not wait for that.
func TestAFileIsLookedIntoForAWakeOnlyIfSomethingIsToBeFoundOut(t *testing.T) {
	for _, tt := range []struct {
		name    string
		told    core.Done
		changes bool // rules and tables are read again while it is awake
		want    bool
	}{
		{name: "all is known", told: core.Done{Requests: core.RequestsNone}, want: true},
		{name: "it was not looked into"},
		{name: "it names firmware", told: core.Done{Requests: core.RequestsNone, NamesFirmware: true}},
		{name: "it may be another one", told: core.Done{Requests: core.RequestsNone}, changes: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, "", "", "")
			b.policed(sleepyDep, sleepyAlias, "", sleepy)
			b.step(core.Scanned{Scan: 2})
			b.plug("/b", "t:b")
			b.now++
			known := func(effects []core.Effect) bool {
				for _, e := range effects {
					if load, ok := e.(core.Load); ok {
						return load.Known
					}
				}
				t.Fatalf("nothing is loaded: %v", effects)
				return false
			}
			tt.told.Op, tt.told.Module = b.ops["b"], "b"
			b.step(tt.told)
			b.bound("/b", "b")
			if tt.changes {
				b.policed(sleepyDep, sleepyAlias, "", sleepy)
			}
			for range 2 {
				b.sleeps("b")
				b.after(time.Minute) // so that it may sleep as soon the next time
				got := known(b.step(core.Asked{ID: 9, Request: control.WakeRequest{Name: "char-major-1-b"}}))
				if got != tt.want {
					t.Errorf("it is loaded as one whose file is known: %v", got)
				}
				told := tt.told
				if told.Op = b.ops["b"]; got {
					told.Requests = core.MayRequest
				}
				b.step(told)
				b.bound("/b", "b")
				b.tended(b.step(core.Opened{Module: "b", Works: []string{"char-major-1-b"}}))
				if tt.changes {
					break
				}
			}
		})
	}
}

func TestOpensThatFailDoNotHaveADriverSleepLater(t *testing.T) {
	b := restBench(t)
	b.sleeps("b")
	open := core.Asked{ID: 9, Request: control.WakeRequest{Name: "char-major-1-b"}}
	for range 3 {
		b.step(open)
		b.fails("b", syscall.ENOENT)
		if why := b.sleepOf("b"); !strings.Contains(why, "it sleeps since") || strings.Contains(why, "doubled") {
			t.Fatalf("it is said: %s", why)
		}
	}
	b.step(open)
	b.goes("b")
	b.bound("/b", "b")
	b.step(core.Opened{Module: "b", Works: []string{"char-major-1-b"}})
	if why := b.sleepOf("b"); !strings.Contains(why, "doubled 1 times") {
		t.Errorf("it is said: %s", why)
	}
}
