package core_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

const ms = time.Millisecond

// boot is what the machine reports.
func (b *bench) boot() control.Boot { return b.ask(control.BootRequest{}).(control.Boot) }

// bootLoad is what it reports of one module, and whether it does.
func (b *bench) bootLoad(name string) (control.BootLoad, bool) {
	loads := b.boot().Loads
	i := slices.IndexFunc(loads, func(l control.BootLoad) bool { return l.Name == name })
	if i < 0 {
		return control.BootLoad{}, false
	}
	return loads[i], true
}

// ends ends a load at a moment, and tells when the worker's call was made.
func (b *bench) ends(name string, at time.Duration, errno syscall.Errno) {
	b.now = at
	if errno == 0 {
		b.step(core.ModuleIs{Name: name, State: control.Live})
	}
	b.step(core.Done{Op: b.ops[name], Module: name, Errno: errno, Says: errno.Error(), Read: at - 20*ms, Called: at - 10*ms, Returned: at})
	delete(b.ops, name)
}

// startsAt is a bench whose machine begins at a moment, has its rules 100 ms later, and
// ends its first scan after 200 ms more.
func startsAt(t *testing.T, at time.Duration, dep, alias, toml string, devices ...rules.Device) *bench {
	t.Helper()
	b := &bench{t: t, m: core.New(core.Limits{Slots: 4, Patience: time.Second}), ops: make(map[string]core.OpID), now: at}
	b.step(core.Inherited{})
	b.now += 100 * ms
	b.policed(dep, alias, "", toml)
	b.now += 100 * ms
	for _, d := range devices {
		b.step(core.Seen{Device: d, Scan: 1})
	}
	b.now += 100 * ms
	b.step(core.Scanned{Scan: 1})
	return b
}

func TestTheBootReportSaysWhenEachThingHappened(t *testing.T) {
	b := startsAt(t, 5*time.Second, plainDep, plainAlias, "", rules.Device{Path: "/c", Modalias: "t:c"}, rules.Device{Path: "/b", Modalias: "t:b"},
		rules.Device{Path: "/has", Modalias: "t:none", Driver: "pcieport"}, rules.Device{Path: "/none", Modalias: "t:none"})
	b.ends("a", 5400*ms, 0)
	b.ends("b", 5500*ms, syscall.EINVAL)
	b.now = 5550 * ms
	b.step(core.Bound{Path: "/c", Driver: "c"})
	b.ends("c", 5600*ms, 0)
	want := control.Boot{
		Now: 5600 * ms, Scan: 5100 * ms, Scanned: 5300 * ms, Settled: 5600 * ms,
		Loads: []control.BootLoad{
			{Name: "a", For: "/c", Stage: control.Normal, Wanted: 5300 * ms, Began: 5300 * ms, Read: 5380 * ms, Called: 5390 * ms, Live: 5400 * ms, Returned: 5400 * ms},
			{Name: "b", For: "/b", Stage: control.Normal, Wanted: 5300 * ms, Began: 5300 * ms, Read: 5480 * ms, Called: 5490 * ms, Returned: 5500 * ms, Error: "invalid argument"},
			{Name: "c", For: "/c", Stage: control.Normal, Needs: []string{"a"}, Wanted: 5300 * ms, Began: 5400 * ms, Read: 5580 * ms, Called: 5590 * ms, Live: 5600 * ms, Returned: 5600 * ms},
		},
		Devices: []control.BootDevice{
			{Path: "/b", Modalias: "t:b", Modules: []string{"b"}, Seen: 5200 * ms},
			{Path: "/c", Modalias: "t:c", Modules: []string{"c"}, Driver: "c", Seen: 5200 * ms, Bound: 5550 * ms},
			{Path: "/has", Modalias: "t:none", Driver: "pcieport", Seen: 5200 * ms, Bound: 5200 * ms},
		},
	}
	if diff := cmp.Diff(want, b.boot()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheBootGoesOnForTenSecondsOfRest(t *testing.T) {
	b := startsAt(t, time.Second, plainDep, plainAlias, "", rules.Device{Path: "/a", Modalias: "t:a"})
	b.ends("a", 2*time.Second, 0)
	b.after(9 * time.Second)
	b.plug("/b", "t:b")
	if got := b.boot().Settled; got != 0 {
		t.Errorf("settled at %v, and b is on its way", got)
	}
	b.ends("b", 12*time.Second, 0)
	b.after(11 * time.Second)
	b.plug("/c", "t:c")
	b.ends("c", 24*time.Second, 0)
	if _, ok := b.bootLoad("b"); !ok {
		t.Error("b is no part of the boot")
	}
	if l, ok := b.bootLoad("c"); ok {
		t.Errorf("c is a part of the boot: %+v", l)
	}
	report := b.boot()
	if len(report.Devices) != 2 || report.Settled != 12*time.Second {
		t.Errorf("settled at %v, with devices %+v", report.Settled, report.Devices)
	}
}

// Once it is taken out and wanted again, and once it is loaded by hand meanwhile.
func TestALaterLoadDoesNotPassForThatOfTheBoot(t *testing.T) {
	for _, by := range []string{"us", "hand"} {
		b := startsAt(t, time.Second, plainDep, plainAlias, "", rules.Device{Path: "/a", Modalias: "t:a"})
		b.ends("a", 2*time.Second, 0)
		want, _ := b.bootLoad("a")
		for range 2 {
			b.after(3 * time.Second) // the boot goes on
			b.step(core.ModuleIs{Name: "a", State: control.Absent})
			if by == "us" {
				b.plug("/a", "t:a")
				b.ends("a", b.now+time.Second, 0)
			} else {
				b.step(core.ModuleIs{Name: "a", State: control.Live})
			}
			got, _ := b.bootLoad("a")
			if diff := cmp.Diff(want, got); diff != "" || len(b.boot().Loads) != 1 {
				t.Errorf("by %s (-want +got):\n%s", by, diff)
			}
		}
	}
}

func TestACallThatReturnsLateBelongsToItsOwnLoad(t *testing.T) {
	b := startsAt(t, time.Second, plainDep, plainAlias, "", rules.Device{Path: "/a", Modalias: "t:a"})
	first := b.ops["a"]
	b.now = 2 * time.Second
	b.step(core.ModuleIs{Name: "a", State: control.Live})
	b.step(core.ModuleIs{Name: "a", State: control.Absent})
	b.plug("/a", "t:a")
	b.now = 3 * time.Second
	b.step(core.Done{Op: first, Module: "a", Read: 1400 * ms, Called: 1500 * ms, Returned: 3 * time.Second})
	if l, _ := b.bootLoad("a"); l.Live != 2*time.Second || l.Returned != 0 {
		t.Errorf("%+v", l)
	}
}

func TestWhatIsHeldBackIsAPartOfTheBootWheneverItComes(t *testing.T) {
	b := startsAt(t, time.Second, laterDep, laterAlias, soundLater, rules.Device{Path: "/card", Modalias: "t:card"}, rules.Device{Path: "/nic", Modalias: "t:nic"})
	b.ends("nic", 2*time.Second, 0)
	b.after(time.Minute)
	b.step(core.Asked{ID: 1, Request: control.ReleaseRequest{Name: "boot-complete"}})
	b.ends("snd", 63*time.Second, 0)
	b.ends("card", 64*time.Second, 0)
	b.step(core.Bound{Path: "/card", Driver: "card"})
	b.plug("/other", "t:other") // which the card's probe has found
	b.ends("other", 65*time.Second, 0)
	report := b.boot()
	if report.Settled != 2*time.Second || report.Complete != 62*time.Second {
		t.Errorf("settled at %v, complete at %v", report.Settled, report.Complete)
	}
	got := make(map[string]control.Stage)
	for _, l := range report.Loads {
		got[l.Name] = l.Stage
	}
	want := map[string]control.Stage{"nic": control.Critical, "snd": control.Late, "card": control.Late, "other": control.Late}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := report.Devices[0]; d.Path != "/card" || d.Bound != 64*time.Second {
		t.Errorf("%+v", d)
	}
}

// A link is there from the beginning of a probe on. Of a driver that is bound by hand
// hours later nothing is said.
func TestADeviceIsBoundWhenAUeventSaysSo(t *testing.T) {
	b := startsAt(t, time.Second, plainDep, plainAlias, "", rules.Device{Path: "/a", Modalias: "t:a"}, rules.Device{Path: "/b", Modalias: "t:b"})
	b.ends("b", 1500*ms, 0)
	b.ends("a", 2*time.Second, 0)
	b.step(core.Looked{Path: "/a", Driver: "a"})
	b.now = 5 * time.Second
	b.step(core.Bound{Path: "/a", Driver: "a"})
	b.now = 30 * time.Second
	b.step(core.Bound{Path: "/a"})
	b.step(core.Bound{Path: "/a", Driver: "a"})
	b.now = time.Hour
	b.step(core.Bound{Path: "/b", Driver: "b"})
	devices := b.boot().Devices
	if devices[0].Bound != 5*time.Second || devices[1].Bound != 0 {
		t.Errorf("%+v", devices)
	}
}

func TestALoadThatCouldNotBeginIsReportedWithItsLastTry(t *testing.T) {
	b := startsAt(t, time.Second, plainDep, plainAlias, "", rules.Device{Path: "/a", Modalias: "t:a"})
	b.now = 1400 * ms
	b.step(core.Done{Op: b.ops["a"], Module: "a", Errno: syscall.EAGAIN, Unasked: true, Says: "no process"})
	b.after(100 * ms)
	b.ends("a", 2*time.Second, 0)
	if l, _ := b.bootLoad("a"); l.Wanted != 1300*ms || l.Began != 1500*ms || l.Live != 2*time.Second || l.Called != 1990*ms {
		t.Errorf("%+v", l)
	}
}

func TestWhatAnEarlierDaemonLoadedIsSaidToBeItsDoing(t *testing.T) {
	b := &bench{t: t, m: core.New(core.DefaultLimits), ops: make(map[string]core.OpID), now: time.Hour}
	b.step(core.Inherited{Modules: []control.Module{{Name: "a", State: control.Live, Ours: true, For: "/a", Wanted: 1, Began: 2, Live: 3}}})
	b.rules(plainDep, plainAlias, "")
	b.step(core.ModuleIs{Name: "a", State: control.Live, Scan: 1})
	b.step(core.Seen{Device: rules.Device{Path: "/a", Modalias: "t:a", Driver: "a"}, Scan: 1})
	b.step(core.Scanned{Scan: 1})
	l, _ := b.bootLoad("a")
	if diff := cmp.Diff(control.BootLoad{Name: "a", For: "/a", Stage: control.Normal, Earlier: true, Wanted: 1, Began: 2, Live: 3}, l); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.step(core.ModuleIs{Name: "a", State: control.Absent})
	b.plug("/a", "t:a")
	b.ends("a", time.Hour+time.Second, 0)
	if l, _ := b.bootLoad("a"); l.Earlier || l.Live != time.Hour+time.Second {
		t.Errorf("%+v", l)
	}
}
