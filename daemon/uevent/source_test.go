package uevent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/uevent/inject"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// isolated runs the calling test in namespaces of its own: it reports true in
// there, and false where the test has been run that way. change, if there is
// one, makes other namespaces of them.
func isolated(t *testing.T, change func(*exec.Cmd)) bool {
	t.Helper()
	if inject.Inside() {
		return true
	}
	cmd := inject.Command("-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.count=1")
	if change != nil {
		change(cmd)
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOSPC):
		t.Fatalf("make namespaces for the test: %v (run it as root, or allow user namespaces: "+
			"sysctl kernel.apparmor_restrict_unprivileged_userns=0 user.max_user_namespaces=1000)", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
		t.Fatalf("the test did not run in its namespaces:\n%s", out)
	}
	return false
}

// A recorder is a Sink that writes a line for each call. While its gate is
// shut, Event does not return.
type recorder struct {
	lines chan string
	gate  chan struct{} // nil if it is always open
}

func newRecorder() *recorder { return &recorder{lines: make(chan string, 1000)} }

func (r *recorder) Event(e *Event) {
	r.lines <- fmt.Sprintf("event %s %s %s", e.Action, e.Path, e.Modalias)
	if r.gate != nil {
		<-r.gate
	}
}

func (r *recorder) Device(scan uint32, e *Event) {
	r.lines <- fmt.Sprintf("device %d %s", scan, e.Path)
}

func (r *recorder) Module(scan uint32, name []byte, state string) {
	r.lines <- fmt.Sprintf("module %d %s %s", scan, name, state)
}

func (r *recorder) Scanned(scan uint32, skipped int) {
	r.lines <- fmt.Sprintf("scanned %d %d", scan, skipped)
}

func (r *recorder) CaughtUp(mark uint32) { r.lines <- fmt.Sprintf("caught up %d", mark) }

func (r *recorder) Lost() { r.lines <- "lost" }

// next waits for the next line.
func (r *recorder) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-r.lines:
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("nothing more came")
		return ""
	}
}

func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	for i, w := range want {
		if got := r.next(t); got != w {
			t.Fatalf("line %d: %q, want %q", i, got, w)
		}
	}
}

// small is a sysfs with one module and one device.
func small(t *testing.T) (root string) {
	root = t.TempDir()
	write(t, filepath.Join(root, "module/usbcore/initstate"), "live\n")
	write(t, filepath.Join(root, "devices/a/uevent"), "MODALIAS=platform:a\n")
	link(t, "../../../devices/a", filepath.Join(root, "bus/platform/devices/a"))
	return root
}

// smallScanned is what a scan of small says.
func smallScanned(scan int) []string {
	return []string{fmt.Sprintf("module %d usbcore live", scan), fmt.Sprintf("device %d /devices/a", scan), fmt.Sprintf("scanned %d 0", scan)}
}

// run runs a Source until the test ends, and returns when it is ready.
func run(t *testing.T, s *Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-ended:
		ended <- err
		t.FailNow()
	}
}

// injector is open until the test ends.
func injector(t testing.TB) *inject.Injector {
	t.Helper()
	in, err := inject.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

func send(t testing.TB, in *inject.Injector, messages ...[]byte) {
	t.Helper()
	for _, m := range messages {
		if err := in.Send(m); err != nil {
			t.Fatal(err)
		}
	}
}

// said is where a log goes whose lines a test waits for.
type said chan string

func (s said) Write(line []byte) (int, error) {
	s <- string(line)
	return len(line), nil
}

func TestSourceWithoutSysfsNamesTheCureAndScansLater(t *testing.T) {
	sys := filepath.Join(t.TempDir(), "sys")
	r, log := newRecorder(), make(said, 1)
	s := NewSource(sys, r, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})))
	s.Rescan(1)
	run(t, s)
	if line := <-log; !strings.Contains(line, "mount -t sysfs") {
		t.Errorf("it says %q, want how to mount sysfs", line)
	}
	s.Retry()
	<-log // it is still not there
	if err := os.Rename(small(t), sys); err != nil {
		t.Fatal(err)
	}
	s.Retry()
	r.expect(t, smallScanned(1)...)
	s.Retry() // of a scan that was made: nothing
	s.Rescan(2)
	r.expect(t, smallScanned(2)...)
}

func TestSourceCountsAndSkipsBadMessages(t *testing.T) {
	if !isolated(t, nil) {
		return
	}
	var log bytes.Buffer
	r := newRecorder()
	s := NewSource(small(t), r, slog.New(slog.NewTextHandler(&log, nil)))
	in := injector(t)
	t.Run("running", func(t *testing.T) { // Run has ended, and the log is complete, when this returns
		run(t, s)
		for range 50 {
			send(t, in, message("add@nowhere"), message("libudev"))
			if err := in.Broadcast(inject.Message("add", "/devices/forged")); err != nil {
				t.Fatal(err)
			}
		}
		send(t, in, inject.Message("add", "/devices/b", "MODALIAS=platform:b"))
		r.expect(t, "event add /devices/b platform:b")
	})
	want := Counts{Received: 151, Malformed: 100, Foreign: 50}
	if diff := cmp.Diff(want, s.Counts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := strings.Count(log.String(), "skipped a message"); n != 1 || !strings.Contains(log.String(), "absolute path") {
		t.Errorf("150 bad messages were mentioned %d times:\n%s", n, log.String())
	}
	for _, warning := range []string{"in a user namespace", "receive buffer"} {
		if !strings.Contains(log.String(), warning) {
			t.Errorf("no warning of %s:\n%s", warning, log.String())
		}
	}
}

func TestSourceRefusesUsersThatAreNotRoot(t *testing.T) {
	asUser := func(cmd *exec.Cmd) {
		cmd.SysProcAttr.UidMappings[0].ContainerID = 1000
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN} // which exec takes from who is not root
	}
	if !isolated(t, asUser) {
		return
	}
	s, err := Listen(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	send(t, injector(t), inject.Message("add", "/devices/b"))
	if err := s.Receive(new(Event)); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "uid 1000") {
		t.Errorf("error %v, want one that names uid 1000", err)
	}
}

func TestReceivingAllocatesNothing(t *testing.T) {
	if !isolated(t, nil) {
		return
	}
	s, err := Listen(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in := injector(t)
	for range 51 { // one more than are measured
		send(t, in, inject.Message("add", "/devices/b"))
	}
	var e Event
	allocs := testing.AllocsPerRun(50, func() {
		if err := s.Receive(&e); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for each message", allocs)
	}
}

func TestSourceHandsOnWhatTheKernelSaysInOrder(t *testing.T) {
	if !isolated(t, nil) {
		return
	}
	r := newRecorder()
	run(t, NewSource(small(t), r, slog.New(slog.DiscardHandler)))
	long := "of:N" + strings.Repeat("x", 1900)
	send(t, injector(t),
		inject.Message("add", "/devices/platform/soc@0/serial@1", "MODALIAS=of:NserialT(null)Cfsl,imx"),
		inject.Message("add", "/devices/b", "MODALIAS=a=b=c"),
		inject.Message("add", "/devices/c\xff\n", "MODALIAS="),
		message("add@/d", "MODALIAS="+long),
		inject.Message("paint", "/devices/e"),
		inject.Message("remove", "/devices/b"))
	r.expect(t,
		"event add /devices/platform/soc@0/serial@1 of:NserialT(null)Cfsl,imx",
		"event add /devices/b a=b=c",
		"event add /devices/c\xff\n ",
		"event add /d "+long,
		"event paint /devices/e ",
		"event remove /devices/b ")
}

func TestSourceScansAfterWhatIsQueued(t *testing.T) {
	if !isolated(t, nil) {
		return
	}
	r := newRecorder()
	r.gate = make(chan struct{})
	s := NewSource(small(t), r, slog.New(slog.DiscardHandler))
	s.Rescan(1) // before Run
	run(t, s)
	r.expect(t, smallScanned(1)...)

	send(t, injector(t), inject.Message("add", "/devices/b"), inject.Message("add", "/devices/c"), inject.Message("add", "/devices/d"))
	r.expect(t, "event add /devices/b ") // and the gate is shut
	for _, scan := range []uint32{2, 4, 3} {
		s.Rescan(scan)
	}
	close(r.gate)
	r.expect(t, "event add /devices/c ", "event add /devices/d ")
	r.expect(t, smallScanned(4)...) // one for the three

	s.Rescan(5) // while the socket waits
	r.expect(t, smallScanned(5)...)
	if got := s.Counts().Scans; got != 3 {
		t.Errorf("%d scans, want 3", got)
	}
}

func TestSourceCatchesUpWithWhatIsQueued(t *testing.T) {
	if !isolated(t, nil) {
		return
	}
	r := newRecorder()
	r.gate = make(chan struct{})
	s := NewSource(small(t), r, slog.New(slog.DiscardHandler))
	s.CatchUp(7) // before Run
	run(t, s)
	r.expect(t, "caught up 7")

	send(t, injector(t), inject.Message("add", "/devices/b"), inject.Message("add", "/devices/c"))
	r.expect(t, "event add /devices/b ") // and the gate is shut
	s.CatchUp(8)
	s.Rescan(1)
	s.CatchUp(0)
	close(r.gate)
	r.expect(t, "event add /devices/c ", "caught up 8", "caught up 0")
	r.expect(t, smallScanned(1)...)

	s.CatchUp(9) // while the socket waits
	r.expect(t, "caught up 9")
}

// An asker is a Sink that asks for a scan when events were lost.
type asker struct {
	*recorder
	source *Source
}

func (a *asker) Lost() {
	a.recorder.Lost()
	a.source.Rescan(1)
}

// TestSourceReportsLossAfterWhatIsQueued overflows the receive buffer. What
// was in it comes first, then the loss, and then everything goes on.
func TestSourceReportsLossAfterWhatIsQueued(t *testing.T) {
	if !isolated(t, nil) {
		return
	}
	r := newRecorder()
	r.gate = make(chan struct{})
	a := &asker{recorder: r}
	s := NewSource(small(t), a, slog.New(slog.DiscardHandler))
	a.source = s
	s.buffer = 16 << 10
	run(t, s)
	in := injector(t)
	send(t, in, inject.Message("add", "/devices/0"))
	r.expect(t, "event add /devices/0 ") // and the gate is shut
	const sent = 200
	for i := range sent {
		send(t, in, inject.Message("add", fmt.Sprintf("/devices/%d", i+1)))
	}
	close(r.gate)

	came := 0
	for line := r.next(t); line != "lost"; line = r.next(t) {
		came++
		if want := fmt.Sprintf("event add /devices/%d ", came); line != want {
			t.Fatalf("%q, want %q", line, want)
		}
	}
	if came == 0 || came == sent {
		t.Fatalf("%d of %d events came, want the first few", came, sent)
	}
	r.expect(t, smallScanned(1)...)
	send(t, in, inject.Message("remove", "/devices/0"))
	r.expect(t, "event remove /devices/0 ")
	if diff := cmp.Diff(Counts{Received: uint64(came) + 2, Overflows: 1, Scans: 1}, s.Counts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A stopper is a Sink that ends the Source's context within the first scan.
type stopper struct {
	*recorder
	stop context.CancelFunc
}

func (s stopper) Module(uint32, []byte, string) { s.stop() }

func TestSourceEndsWithItsContext(t *testing.T) {
	if !isolated(t, nil) {
		return
	}
	t.Run("while it waits", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := NewSource(small(t), newRecorder(), slog.New(slog.DiscardHandler))
		go func() { <-s.Ready(); cancel() }()
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		s.Rescan(1) // too late, and harmless
	})
	t.Run("while it scans", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := newRecorder()
		s := NewSource(small(t), stopper{r, cancel}, slog.New(slog.DiscardHandler))
		s.Rescan(1)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		close(r.lines)
		for line := range r.lines {
			if strings.HasPrefix(line, "scanned") {
				t.Error("a scan that was cut short ended as if it had been complete")
			}
		}
	})
}

// A counter is a Sink that counts events, and those whose SEQNUM is not above
// the one before.
type counter struct {
	*recorder
	came  atomic.Int64
	wrong atomic.Int64
	last  uint64
	moved chan struct{} // holds something when came has grown
}

func newCounter() *counter {
	return &counter{recorder: newRecorder(), moved: make(chan struct{}, 1)}
}

func (c *counter) Event(e *Event) {
	if e.Seqnum <= c.last {
		c.wrong.Add(1)
	}
	c.last = e.Seqnum
	c.came.Add(1)
	select {
	case c.moved <- struct{}{}:
	default:
	}
}

// flood injects n events, never more at a time than the Source's receive
// buffer surely holds, at 2 KiB of memory each, and returns when all have
// come.
func (c *counter) flood(t testing.TB, s *Source, in *inject.Injector, n int) {
	t.Helper()
	buffer, err := s.socket.Load().Buffer()
	if err != nil {
		t.Fatal(err)
	}
	enough := time.After(time.Minute)
	waitFor := func(came int) {
		for c.came.Load() < int64(came) {
			select {
			case <-c.moved:
			case <-enough:
				t.Fatalf("%d of %d events came", c.came.Load(), n)
			}
		}
	}
	hub := inject.Message("add", "/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0", "SUBSYSTEM=usb",
		"DEVTYPE=usb_interface", "PRODUCT=46f4/1/0", "MODALIAS=usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00")
	for i := range n {
		waitFor(i - buffer>>11)
		send(t, in, hub)
	}
	waitFor(n)
}

// unlimited leaves out the user namespace if it can be done without: in one,
// the receive buffer can't be forced beyond net.core.rmem_max.
func unlimited(cmd *exec.Cmd) {
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	}
}

func TestSourceLosesNoneOf20000AndKeepsNone(t *testing.T) {
	if !isolated(t, unlimited) {
		return
	}
	c := newCounter()
	s := NewSource(small(t), c, slog.New(slog.DiscardHandler))
	run(t, s)
	in := injector(t)
	before := heap()
	c.flood(t, s, in, 20_000)
	grown := heap() - before
	if diff := cmp.Diff(Counts{Received: 20_000}, s.Counts()); diff != "" || c.wrong.Load() != 0 {
		t.Errorf("%d out of order; counts (-want +got):\n%s", c.wrong.Load(), diff)
	}
	if grown > 256<<10 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

// heap returns the bytes that are in use on the heap after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkSource measures an event's way from the kernel to the sink, in
// namespaces of its own. The injecting is included, in time and in
// allocations, and so is one event's share of the heap's growth.
func BenchmarkSource(b *testing.B) {
	if !inject.Inside() {
		elsewhere(b)
		return
	}
	c := newCounter()
	s := NewSource(b.TempDir(), c, slog.New(slog.DiscardHandler))
	ended := make(chan error)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	in := injector(b)
	before := heap()
	b.ReportAllocs()
	b.ResetTimer()
	c.flood(b, s, in, b.N)
	b.StopTimer()
	b.ReportMetric(float64(heap()-before), "heap-growth-B")
	b.ReportMetric(float64(int64(b.N)-c.came.Load()), "lost")
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

// elsewhere runs the calling benchmark b.N times in namespaces of its own, and
// passes on what it reported there.
func elsewhere(b *testing.B) {
	cmd := inject.Command("-test.run=^$", "-test.bench=^"+b.Name()+"$", fmt.Sprintf("-test.benchtime=%dx", b.N), "-test.count=1")
	unlimited(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	_, result, ok := strings.Cut(string(out), "\n"+b.Name())
	if !ok {
		b.Fatalf("no result:\n%s", out)
	}
	result, _, _ = strings.Cut(result, "\n")
	b.ReportAllocs()                     // so that what follows shows
	fields := strings.Fields(result)[2:] // after the number of CPUs and of runs
	for i := 0; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(value, fields[i+1])
	}
}
