package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/worker"
)

// A sleeper is a desk that notes what it is asked about sleep.
type sleeper struct {
	desk
	asked []any
}

func (s *sleeper) Survey(op uint64, q worker.Question) { s.asked = append(s.asked, op, q) }
func (s *sleeper) Tend(op uint64, module string, what worker.Placeholders) {
	s.asked = append(s.asked, op, module, what)
}

func TestWhatTheMachineAsksAboutSleepReachesAWorker(t *testing.T) {
	var pool sleeper
	l := newLoop(Config{Log: silent}, "6.1-test", &pool)
	l.carryOut(core.Survey{Op: 1, Module: "m", Files: []string{"/m.ko"}, Force: true, Any: true})
	for _, how := range []core.Tending{core.Cover, core.Restore, core.Uncover} {
		l.carryOut(core.Tend{Op: 2, Module: "m", How: how, Openings: []control.Opening{{Alias: "char-major-81-0", Name: "video0", Links: []string{"a"}}}})
	}
	openings := []kernel.Opening{{Alias: "char-major-81-0", Name: "video0", Links: []string{"a"}}}
	want := []any{
		uint64(1), worker.Question{Module: "m", Files: []string{"/m.ko"}, Force: true, Any: true},
		uint64(2), "m", worker.Placeholders{How: worker.Cover, Openings: openings},
		uint64(2), "m", worker.Placeholders{How: worker.Restore, Openings: openings},
		uint64(2), "m", worker.Placeholders{How: worker.Uncover, Openings: openings},
	}
	if diff := cmp.Diff(want, pool.asked); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWhatAWorkerSaysAboutSleepReachesTheMachine(t *testing.T) {
	busy := errors.New("it is broken")
	for _, tt := range []struct {
		name   string
		result worker.Result
		want   core.Event
	}{
		{"a survey that failed", worker.Result{Op: 7, Survey: new(worker.Survey), Err: busy}, core.Surveyed{Op: 7, Says: "it is broken"}},
		{"one that could not begin", worker.Result{Op: 7, Survey: new(worker.Survey), Err: os.NewSyscallError("fork", unix.ENOMEM)}, core.Surveyed{Op: 7, Says: "fork: cannot allocate memory", Unasked: true}},
		{"a survey", worker.Result{Op: 7, Survey: &worker.Survey{Devices: []string{"/d"}, Must: []string{"snd"}, InUse: "by a", Says: "no",
			Openings: []kernel.Opening{{Alias: "netdev-eth0", Name: "eth0"}}}},
			core.Surveyed{Op: 7, Devices: []string{"/d"}, Must: []string{"snd"}, InUse: "by a", Says: "no", Openings: []control.Opening{{Alias: "netdev-eth0", Name: "eth0"}}}},
		{"placeholders that failed", worker.Result{Op: 8, Tended: true, Err: busy}, core.Tended{Op: 8, Says: "it is broken"}},
		{"placeholders not begun", worker.Result{Op: 8, Tended: true, Err: os.NewSyscallError("fork", unix.ENOMEM)}, core.Tended{Op: 8, Says: "fork: cannot allocate memory", Unasked: true}},
		{"placeholders", worker.Result{Op: 8, Tended: true}, core.Tended{Op: 8}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoop(Config{Log: silent}, "6.1-test", new(desk))
			if diff := cmp.Diff(tt.want, l.finished(tt.result)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A daemon after this one would take away no node of it, and wake nothing.
func TestWhatCanNotBeWrittenDownDoesNotGoToSleep(t *testing.T) {
	var pool sleeper
	l := newLoop(Config{Log: silent}, "6.1-test", &pool)
	full := &os.PathError{Op: "write", Path: "/run/kmodd/journal.new", Err: unix.ENOSPC}
	for _, tt := range []struct {
		says error
		want string
	}{{full, "the next kmodd would not know of it: write /run/kmodd/journal.new: no space left on device"}, {nil, ""}} {
		l.persist = func(core.Persist) error { return tt.says }
		l.carryOut(core.Persist{})
		for _, how := range []core.Tending{core.Cover, core.Make, core.Restore, core.Uncover, core.Mend} {
			pool.asked = nil
			answer := l.carryOut(core.Tend{Op: 2, Module: "m", How: how})
			refused := tt.want != "" && (how == core.Cover || how == core.Make)
			if refused != (len(pool.asked) == 0) || refused && answer != (core.Tended{Op: 2, Says: tt.want}) {
				t.Errorf("%v: %d: a worker is asked %v; the answer is %v", tt.says, how, pool.asked, answer)
			}
		}
	}
}

var sleepingCamera = []control.Sleeper{{Module: "uvcvideo", Devices: []string{"/camera"}, Openings: []control.Opening{{Alias: "char-major-81-0", Name: "video0"}}}}

func TestTheMachineIsToldWhetherADeviceCanBeOpened(t *testing.T) {
	sys := t.TempDir()
	if err := errors.Join(os.MkdirAll(sys+"/class/net", 0o700), os.Symlink("../../devices/d/net/eth0", sys+"/class/net/eth0")); err != nil {
		t.Fatal(err)
	}
	l := newLoop(Config{Log: silent}, "6.1-test", new(desk))
	l.system = kernel.System{Sys: sys}
	for device, want := range map[string]core.Event{
		"/devices/d": core.Opened{Module: "m", Works: []string{"netdev-eth0"}},
		"/devices/e": core.Opened{Module: "m", Other: []string{"netdev-eth0"}, Says: "eth0 is /devices/d/net/eth0 now, and was a device of /devices/e"},
	} {
		got := l.carryOut(core.LookOpen{Module: "m", Devices: []string{device}, Openings: []control.Opening{{Alias: "netdev-eth0", Name: "eth0"}}})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", device, diff)
		}
	}
}

func TestAHelperThatCanNotBeSetIsAWarning(t *testing.T) {
	var said bytes.Buffer
	l := newLoop(Config{Log: slog.New(slog.NewTextHandler(&said, nil))}, "6.1-test", new(desk))
	var asked []bool
	l.helper = func(on bool) error {
		asked = append(asked, on)
		if on {
			return os.ErrPermission
		}
		return nil
	}
	l.carryOut(core.Help{On: false})
	if said.Len() > 0 {
		t.Errorf("it says %q", said.String())
	}
	l.carryOut(core.Help{On: true})
	if got := said.String(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "permission denied") {
		t.Errorf("it says %q", got)
	}
	if diff := cmp.Diff([]bool{false, true}, asked); diff != "" {
		t.Error(diff)
	}
}
