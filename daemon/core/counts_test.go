package core_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

func (b *bench) metrics() control.Metrics {
	b.t.Helper()
	for _, e := range b.step(core.Asked{ID: 1, Request: control.MetricsRequest{}}) {
		if reply, ok := e.(core.Reply); ok {
			return reply.Value.(control.Metrics)
		}
	}
	b.t.Fatal("no reply")
	return control.Metrics{}
}

func TestALoadIsCountedByHowItEnded(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  core.Event // of the load of module a, its first one
		want map[control.Outcome]uint64
	}{
		{"refused", core.Done{Op: 1, Errno: syscall.ENOEXEC}, map[control.Outcome]uint64{control.NotLoaded: 1}},
		{"no hardware", core.Done{Op: 1, Errno: syscall.ENODEV}, map[control.Outcome]uint64{control.NoHardware: 1}},
		{"under way by somebody else's doing", core.Done{Op: 1, Errno: syscall.EBUSY}, map[control.Outcome]uint64{control.Busy: 1}},
		{"not begun", core.Done{Op: 1, Errno: syscall.EAGAIN, Unasked: true}, map[control.Outcome]uint64{control.PutOff: 1}},
		{"live before", core.Done{Op: 1, Errno: syscall.EEXIST}, map[control.Outcome]uint64{control.LiveBefore: 1}},
		{"live by its uevent", core.ModuleIs{Name: "a", State: control.Live}, map[control.Outcome]uint64{control.Loaded: 1}},
		{"live by the call's return", core.Done{Op: 1}, map[control.Outcome]uint64{control.Loaded: 1}},
		{"not ended", core.Tick{}, map[control.Outcome]uint64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// c needs a: with a broken, it is never handed to the kernel.
			b := newBench(t, plainDep, "alias t:1 c\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
			b.step(tt.end)
			if diff := cmp.Diff(tt.want, b.metrics().Loads); diff != "" {
				t.Errorf("loads (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEndThatIsToldTwiceCountsOnce(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	b.live("a") // the uevent, then the return of the call
	if diff := cmp.Diff(map[control.Outcome]uint64{control.Loaded: 1}, b.metrics().Loads); diff != "" {
		t.Errorf("loads (-want +got):\n%s", diff)
	}
}

// The upper bound of a class belongs to it, as in Prometheus' "le".
func TestLoadTimesFallIntoTheirClasses(t *testing.T) {
	for _, tt := range []struct {
		name string
		took time.Duration
		want time.Duration // the bound of its class, 0 for the last
	}{
		{"longer than all bounds", time.Hour, 0},
		{"just longer than a bound", 10*time.Millisecond + 1, 25 * time.Millisecond},
		{"a bound", 10 * time.Millisecond, 10 * time.Millisecond},
		{"nothing", 0, time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
			b.after(tt.took)
			b.live("a")
			times := b.metrics().LoadTimes
			if len(times.Counts) != len(times.Bounds)+1 || times.Sum != tt.took {
				t.Fatalf("%d counts of %d bounds, sum %v", len(times.Counts), len(times.Bounds), times.Sum)
			}
			for i, n := range times.Counts {
				bound := append(times.Bounds, 0)[i]
				if (n == 1) != (bound == tt.want) {
					t.Errorf("%d up to %v", n, bound)
				}
			}
		})
	}
}

func TestALoadThatGaveUpItsSlotIsSlow(t *testing.T) {
	b := newBench(t, plainDep, "alias t:1 a\n", "", rules.Device{Path: "/d", Modalias: "t:1"})
	if n := b.metrics().SlowLoads; n != 0 {
		t.Errorf("%d slow loads at first", n)
	}
	b.after(time.Second)
	b.after(time.Second)
	if n := b.metrics().SlowLoads; n != 1 {
		t.Errorf("%d slow loads, want 1", n)
	}
}

// What others take while a module goes must not hide that it is gone.
func TestAModuleGivesBackItsCodeAndDataAtLeast(t *testing.T) {
	for _, tt := range []struct {
		name string
		e    core.Unloaded
		want int64
	}{
		{"more came free", core.Unloaded{Size: 16 << 10, Memory: 300 << 10}, 300 << 10},
		{"others took more", core.Unloaded{Size: 16 << 10}, 16 << 10},
		{"the kernel does not say", core.Unloaded{}, 0},
		{"it stayed", core.Unloaded{Size: 16 << 10, Errno: syscall.EWOULDBLOCK, Says: "in use"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := unusedBench(t, "")
			b.step(core.Gone{Path: "/a"})
			tt.e.Op = b.exit(b.after(time.Minute), "a", core.Counted{})
			b.step(tt.e)
			if got := b.metrics().Freed; got != tt.want {
				t.Errorf("%d bytes, want %d", got, tt.want)
			}
		})
	}
}
