package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/uevent"
	"github.com/kmodd/kmodd/daemon/worker"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// A desk stands for the worker pool and the uevent source: it notes what it is
// asked for.
type desk struct {
	loads   chan kernel.Module
	results chan worker.Result
	scans   chan uint32
	marks   chan uint32
	probes  chan string
	assigns chan kernel.Assignment
	unloads chan string
	runs    chan worker.Command
}

func (d *desk) Load(op uint64, m kernel.Module)     { d.loads <- m }
func (d *desk) Run(op uint64, c worker.Command)     { d.runs <- c }
func (d *desk) Probe(op uint64, bus, device string) { d.probes <- bus + "/" + device }
func (d *desk) Abandon(uint64)                      {}

func (d *desk) Assign(op uint64, a kernel.Assignment)    { d.assigns <- a }
func (d *desk) Unload(op uint64, module string)          { d.unloads <- module }
func (d *desk) Survey(uint64, worker.Question)           {}
func (d *desk) Tend(uint64, string, worker.Placeholders) {}
func (d *desk) Results() <-chan worker.Result            { return d.results }
func (d *desk) Rescan(scan uint32)                       { d.scans <- scan }
func (d *desk) CatchUp(mark uint32)                      { d.marks <- mark }
func (d *desk) ReadVariables(bool)                       {}
func (d *desk) Counts() uevent.Counts                    { return uevent.Counts{Received: 42} }

// startLoop runs a loop with a desk until the test ends.
func startLoop(t *testing.T) (*loop, *desk) {
	d := &desk{
		loads:   make(chan kernel.Module, 8),
		results: make(chan worker.Result),
		scans:   make(chan uint32, 8),
		marks:   make(chan uint32, 8),
		probes:  make(chan string, 8),
		assigns: make(chan kernel.Assignment, 8),
		unloads: make(chan string, 8),
		runs:    make(chan worker.Command, 8),
	}
	l := newLoop(Config{Version: "test", Limits: core.DefaultLimits, Log: silent}, "6.1-test", d)
	l.source = d
	l.book = newRulebook("6.1-test", l.rules, nil, silent)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l, d
}

// read hands rules to a loop and waits until they are in force.
func read(t *testing.T, l *loop, dep, alias string) {
	t.Helper()
	readWith(t, l, dep, alias, "")
}

// readWith is read with a file of modprobe.d.
func readWith(t *testing.T, l *loop, dep, alias, conf string) {
	t.Helper()
	tables, err := match.Parse("/lib/modules/6.1-test", map[string]string{"modules.dep": dep, "modules.alias": alias})
	if err != nil {
		t.Fatal(err)
	}
	set := rules.NewSet(tables, modprobed.Parse("", modprobed.File{Name: "x.conf", Text: conf}))
	c := ruleChange{set: set, tables: tables, inForce: make(chan struct{})}
	l.rules <- c
	<-c.inForce
}

// A device that rules deny is handed to a worker when it is written down that it
// is, and what the worker says reaches whoever asks.
func TestADeniedDeviceIsWrittenDownAndThenTakenAway(t *testing.T) {
	l, d := startLoop(t)
	held := make(chan []string, 8)
	l.persist = func(p core.Persist) error { held <- p.Held; return nil }
	tables, err := match.Parse("/lib/modules/6.1-test", map[string]string{"modules.dep": "", "modules.alias": ""})
	if err != nil {
		t.Fatal(err)
	}
	deny := policy.Parse(policy.File{Name: "k.toml", Text: "[[rule]]\nmodalias = \"t:*\"\nstage = \"deny\"\n"})
	c := ruleChange{set: rules.NewSet(tables, modprobed.Parse(""), rules.WithPolicy(deny)), tables: tables, inForce: make(chan struct{})}
	l.rules <- c
	<-c.inForce
	l.post(core.Seen{Device: rules.Device{Path: "/d", Subsystem: "t", Modalias: "t:a"}})
	if got := <-held; !slices.Equal(got, []string{"/d"}) {
		t.Errorf("written down: %q", got)
	}
	if got, want := <-d.assigns, (kernel.Assignment{Path: "/d", Bus: "t", Owner: kernel.Nobody}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	busy := &kernel.Error{Op: kernel.OpInUse, Module: "d", Words: "a disk of it is mounted"}
	d.results <- worker.Result{Op: 1, Assigned: new(kernel.Assigned), Err: busy}
	if got := <-held; got != nil {
		t.Errorf("written down: %q", got)
	}
	answer, err := l.Ask(t.Context(), control.WhyRequest{Subject: "/d"})
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.(control.Story).Devices[0].Assignment; !strings.Contains(got, busy.Words) {
		t.Errorf("why says %q", got)
	}
}

// A module whose hardware has gone is asked about, written down and handed to a
// worker; what the worker says is heard.
func TestAModuleThatNothingCallsForIsTakenOut(t *testing.T) {
	l, d := startLoop(t)
	sys := t.TempDir()
	l.system = kernel.System{Sys: sys}
	module := filepath.Join(sys, "module/a")
	if err := os.MkdirAll(module, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"refcnt": "0\n", "initstate": "live\n"} {
		if err := os.WriteFile(filepath.Join(module, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	journal := make(chan core.Persist, 8)
	l.persist = func(p core.Persist) error { journal <- p; return nil }
	tables, err := match.Parse("/lib/modules/6.1-test", map[string]string{"modules.dep": "a.ko:\n", "modules.alias": "alias t:a a\n"})
	if err != nil {
		t.Fatal(err)
	}
	soon := policy.Parse(policy.File{Name: "k.toml", Text: "gone_timeout = \"1ms\"\n"})
	c := ruleChange{set: rules.NewSet(tables, modprobed.Parse(""), rules.WithPolicy(soon)), tables: tables, inForce: make(chan struct{})}
	l.rules <- c
	<-c.inForce
	l.post(core.Seen{Device: rules.Device{Path: "/d", Modalias: "t:a"}, Scan: 1})
	l.post(core.Scanned{Scan: 1})
	<-d.loads
	d.results <- worker.Result{Op: 1}
	l.post(core.Gone{Path: "/d"})
	if name := <-d.unloads; name != "a" {
		t.Errorf("%s is taken out", name)
	}
	if p := <-journal; !slices.Equal(p.Unloading, []string{"a"}) {
		t.Errorf("written down: %+v", p)
	}
	d.results <- worker.Result{Op: 2, Unload: true, Err: &worker.DeathError{Module: "a", Doing: "unload", State: "killed"}}
	if p := <-journal; !slices.Equal(p.Unloading, []string{"a"}) { // what is left of it
		t.Errorf("written down: %+v", p)
	}
}

func TestTheLoopScansLoadsAndAnswers(t *testing.T) {
	l, d := startLoop(t)
	select {
	case <-l.Ready():
		t.Error("ready without rules")
	default:
	}
	read(t, l, "a.ko:\n", "alias t:a a\n")
	<-l.Ready()
	if scan := <-d.scans; scan != 1 {
		t.Errorf("the first scan is number %d", scan)
	}
	l.post(core.Seen{Device: rules.Device{Path: "/d", Modalias: "t:a"}, Scan: 1})
	l.post(core.Scanned{Scan: 1})
	if m := <-d.loads; m.Name != "a" || m.File != "/lib/modules/6.1-test/a.ko" {
		t.Errorf("it loads %+v", m)
	}
	now := sinceBoot()
	d.results <- worker.Result{Op: 1, Got: now, Called: now + time.Microsecond, Took: 2 * time.Microsecond}

	answer, err := l.Ask(t.Context(), control.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	s := answer.(control.Status)
	if s.Version != "test" || s.Kernel != "6.1-test" || s.PID == 0 || s.Uevents.Received != 42 || s.Modules[control.Live] != 1 {
		t.Errorf("status: %+v", s)
	}
	answer, err = l.Ask(t.Context(), control.BootRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if b := answer.(control.Boot); b.Version != "test" || b.Kernel != "6.1-test" || b.PID == 0 || b.Started != l.started || len(b.Loads) != 1 ||
		b.Loads[0].Called-b.Loads[0].Read != time.Microsecond || b.Loads[0].Returned-b.Loads[0].Called != time.Microsecond {
		t.Errorf("boot: %+v", b)
	}
	slow := l.notes.Subscribe()
	defer slow.Close()
	for l.notes.Missed() == 0 {
		l.notes.Publish(control.Note{})
	}
	answer, err = l.Ask(t.Context(), control.MetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m := answer.(control.Metrics); m.Loads[control.Loaded] != 1 || m.NotesMissed != 1 {
		t.Errorf("metrics: %+v", m)
	}
	if _, err := l.Ask(t.Context(), control.WhyRequest{Subject: "nothing"}); !errors.As(err, new(*control.Error)) {
		t.Errorf("why of nothing: %v", err)
	}
}

func TestMissingTablesAreAWarningForAsLongAsTheyAreMissing(t *testing.T) {
	l, d := startLoop(t)
	book := newRulebook("6.1-nowhere", l.rules, nil, silent)
	c := book.read()
	l.rules <- c
	<-c.inForce
	<-d.scans
	warnings := func() []string {
		answer, err := l.Ask(t.Context(), control.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.(control.Status).Warnings
	}
	says := func(s string) bool {
		return strings.Contains(s, "no module tables in /lib/modules/6.1-nowhere: run depmod")
	}
	if got := warnings(); !slices.ContainsFunc(got, says) {
		t.Errorf("warnings: %q", got)
	}
	read(t, l, "a.ko:\n", "")
	if got := warnings(); slices.ContainsFunc(got, says) {
		t.Errorf("warnings: %q", got)
	}
}

func TestAQuestionEndsWithItsContextAndWithTheLoop(t *testing.T) {
	l, _ := startLoop(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// The scan that this would wait for never ends.
	if _, err := l.Ask(ctx, control.RescanRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Ask: %v", err)
	}
	stopped := newLoop(Config{Log: silent}, "", nil)
	close(stopped.done)
	if _, err := stopped.Ask(t.Context(), control.StatusRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Ask of a loop that has ended: %v", err)
	}
	stopped.post(core.Tick{}) // must not block
}

func TestWhoWaitsUntilNothingIsPendingIsForgottenWhenItLeaves(t *testing.T) {
	l, d := startLoop(t)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := l.Ask(ctx, control.SettleRequest{})
		left <- err
	}()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("Ask: %v", err)
	}
	settled := make(chan error)
	go func() {
		_, err := l.Ask(t.Context(), control.SettleRequest{})
		settled <- err
	}()
	read(t, l, "a.ko:\n", "")
	l.post(core.Scanned{Scan: <-d.scans})
	l.post(core.CaughtUp{Mark: <-d.marks})
	if err := <-settled; err != nil {
		t.Errorf("Ask: %v", err)
	}
}

// startWatched runs a loop that a service manager watches, and returns what that
// one hears.
func startWatched(t *testing.T, patience time.Duration) (*loop, *desk, *net.UnixConn) {
	address := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	t.Setenv("NOTIFY_SOCKET", address)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(patience.Microseconds(), 10))
	l, d := startLoop(t)
	return l, d, manager
}

// A daemon that hangs anywhere between the socket and the loop must not be taken
// for one that lives.
func TestASignOfLifeHasGoneRound(t *testing.T) {
	l, d, manager := startWatched(t, 2*time.Millisecond)
	if mark := <-d.marks; mark != lifeMark {
		t.Errorf("mark %d", mark)
	}
	// The source does not answer, for longer than the next sign is due.
	manager.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	var word [100]byte
	if n, err := manager.Read(word[:]); err == nil {
		t.Errorf("it says %q of a source that does not answer", word[:n])
	}
	select {
	case <-d.marks:
		t.Error("it asks again while nobody answers")
	default:
	}
	sink{l}.CaughtUp(lifeMark)
	manager.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := manager.Read(word[:]); err != nil || string(word[:n]) != "WATCHDOG=1" {
		t.Errorf("it says %q, %v", word[:n], err)
	}
	<-d.marks // and it goes on
}

func TestWithoutAWatchdogThereAreNoTicks(t *testing.T) {
	for _, usec := range []string{"", "soon", "0"} {
		t.Setenv("WATCHDOG_USEC", usec)
		if w := newWatchdog(silent); w.ticks() != nil {
			t.Errorf("WATCHDOG_USEC=%s: it ticks", usec)
		}
	}
}

func TestTasksEndTogether(t *testing.T) {
	broken := errors.New("broken")
	ends := &task{ready: make(chan struct{}), run: func(context.Context) error { return broken }}
	runs := &task{ready: make(chan struct{}), run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	if err := runTasks(t.Context(), silent, runs, ends); !errors.Is(err, broken) || err.Error() != "a task: broken" {
		t.Errorf("runTasks: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if err := runTasks(ctx, silent, runs); err != nil {
		t.Errorf("the end of the context is no error: %v", err)
	}
}

type task struct {
	ready chan struct{}
	run   func(context.Context) error
}

func (t *task) Run(ctx context.Context) error { return t.run(ctx) }
func (t *task) Ready() <-chan struct{}        { return t.ready }
func (t *task) String() string                { return "a task" }

func TestAnInstallCommandIsRunAndWhatTheKernelSaysAfterwardsCounts(t *testing.T) {
	l, d := startLoop(t)
	readWith(t, l, "a.ko:\n", "alias t:a a\n", "install a /bin/true $CMDLINE_OPTS\noptions a x=1\n")
	<-d.scans
	l.post(core.Seen{Device: rules.Device{Path: "/d", Modalias: "t:a"}, Scan: 1})
	l.post(core.Scanned{Scan: 1})
	want := worker.Command{Verb: "install", Module: "a", Shell: "/bin/true $CMDLINE_OPTS", Options: "x=1", Limit: time.Minute}
	if c := <-d.runs; c != want {
		t.Errorf("it runs %+v, want %+v", c, want)
	}
	d.results <- worker.Result{Op: 1, Command: true}
	answer, err := l.Ask(t.Context(), control.ModulesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if modules := answer.([]control.Module); len(modules) != 1 || modules[0].State != control.Stood {
		t.Errorf("modules: %+v", modules)
	}
}
