package worker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/worker"
)

// newPool makes a pool that the test ends.
func newPool(t *testing.T, c worker.Config) *worker.Pool {
	t.Helper()
	p, err := worker.NewPool(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// file makes a file to be loaded.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "module.ko")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// say makes one call and returns what the worker says.
func say(t *testing.T, p *worker.Pool, module string) string {
	t.Helper()
	p.Load(1, kernel.Module{Name: module, File: file(t, "")})
	return words(t, <-p.Results())
}

func words(t *testing.T, r worker.Result) string {
	t.Helper()
	var e *kernel.Error
	if !errors.As(r.Err, &e) {
		t.Fatalf("op %d: %v is not a kernel.Error", r.Op, r.Err)
	}
	return e.Words
}

// fifo is a place where a call hangs.
type fifo string

func newFIFO(t *testing.T) fifo {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return fifo(name)
}

// reached waits until a call hangs there, and returns what lets it go on, and
// the worker's process.
func (f fifo) reached(t *testing.T) (release func(), pid int) {
	t.Helper()
	w, err := os.OpenFile(string(f), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(string(f) + ".pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err = strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return func() { w.Close() }, pid
}

func (f fifo) module(t *testing.T) kernel.Module {
	return kernel.Module{Name: "hangs", File: file(t, ""), Options: string(f)}
}

// waitEnd returns when a process, ours or not, has ended.
func waitEnd(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20_000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 {
			t.Fatalf("process %d has not ended after 20 s: %v", pid, err)
		}
		return
	}
}

func TestNoCallIsMadeOfAFileThatCanNotBeOne(t *testing.T) {
	dir := t.TempDir()
	pipe := newFIFO(t)
	tests := []struct{ name, file, want string }{
		{"missing", dir + "/no.ko", "open m from " + dir + "/no.ko: ENOENT: modules.dep names it and it is not there: reinstall"},
		{"a directory", dir, "open m from " + dir + ": EINVAL: it is not a regular file: reinstall"},
		{"a FIFO, which would hold up its reader", string(pipe), "EINVAL: it is not a regular file"},
		{"a device", "/dev/zero", "EINVAL: it is not a regular file"},
		{"below a file", file(t, "") + "/a.ko", "ENOTDIR: look at the file and at the directories above it"},
	}
	p := newPool(t, worker.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.Load(7, kernel.Module{Name: "m", File: tt.file})
			r := <-p.Results()
			if r.Op != 7 || r.Err == nil || !strings.Contains(r.Err.Error(), tt.want) {
				t.Errorf("op %d: %v, want %q", r.Op, r.Err, tt.want)
			}
		})
	}
}

func TestARequestThatDoesNotFitIsRefused(t *testing.T) {
	p := newPool(t, worker.Config{})
	p.Load(1, kernel.Module{Name: "m", File: file(t, ""), Options: strings.Repeat("x", 1<<20)})
	if r := <-p.Results(); !errors.Is(r.Err, unix.EMSGSIZE) || r.Errno() != unix.EMSGSIZE {
		t.Errorf("%v", r.Err)
	}
}

func TestTheCallIsMadeAsAsked(t *testing.T) {
	tests := []struct {
		name        string
		content     string
		compression string
		want        string
	}{
		{"a plain file", "\x7fELF", "xz", `"a=1 b=\"x y\"" 0 "\x7fELF" <nil>`},
		{"a file that the kernel unpacks", "\x28\xb5\x2f\xfdx", "zstd", `"a=1 b=\"x y\"" 1 "(\xb5/\xfdx" <nil>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := t.TempDir()
			os.Mkdir(sys+"/module", 0o700)
			os.WriteFile(sys+"/module/compression", []byte(tt.compression+"\n"), 0o600)
			p := newPool(t, worker.Config{System: kernel.System{Sys: sys}})
			name := file(t, tt.content)
			p.Load(1, kernel.Module{Name: "tells_call", File: name, Options: `a=1 b="x y"`})
			want := fmt.Sprintf("%s %s %s", name, name, tt.want)
			if diff := cmp.Diff(want, words(t, <-p.Results())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResults(t *testing.T) {
	tests := []struct {
		module  string
		already bool
		errno   unix.Errno
		err     string
	}{
		{"is_killed", false, unix.EIO, "load is_killed: the worker process ended without an answer (signal: killed): look in dmesg for an oops of the module's init; what is left of the module stays until the next boot"},
		{"oopses", false, unix.EIO, "load oopses: the worker process ended without an answer (the kernel ended its thread): look in dmesg for an oops of the module's init; what is left of the module stays until the next boot"},
		{"is_there", true, unix.EEXIST, ""},
		{"goes_in", false, 0, ""},
	}
	p := newPool(t, worker.Config{})
	for _, tt := range tests {
		t.Run(tt.module, func(t *testing.T) {
			p.Load(3, kernel.Module{Name: tt.module, File: file(t, "")})
			r := <-p.Results()
			said := ""
			if r.Err != nil {
				said = r.Err.Error()
			}
			if r.Op != 3 || r.Already != tt.already || r.Errno() != tt.errno || said != tt.err {
				t.Errorf("got op %d, already %v, errno %v, %q", r.Op, r.Already, r.Errno(), said)
			}
		})
	}
}

func TestMissingFirmwareIsToldWithTheResult(t *testing.T) {
	p := newPool(t, worker.Config{})
	for content, want := range map[string]*kernel.Firmware{
		"misses a.bin b/c.bin": {Missing: []string{"a.bin", "b/c.bin"}, Total: 3},
		"misses ":              {Missing: []string{}, Total: 1},
		"needs none":           nil,
	} {
		p.Load(1, kernel.Module{Name: "goes_in", File: file(t, content)})
		r := <-p.Results()
		if diff := cmp.Diff(want, r.Firmware); diff != "" || r.NamesFirmware != (want != nil) {
			t.Errorf("%q: it names any: %v, and lacks %s", content, r.NamesFirmware, diff)
		}
	}
}

func TestAFileThatIsKnownIsNotLookedInto(t *testing.T) {
	p := newPool(t, worker.Config{})
	p.Load(1, kernel.Module{Name: "goes_in", File: file(t, "misses a.bin"), Async: kernel.AsyncUnasked, Known: true})
	if r := <-p.Results(); r.Err != nil || r.Firmware != nil || r.NamesFirmware || r.Requests != kernel.MayRequest {
		t.Errorf("%v, it lacks %v, and requests %d", r.Err, r.Firmware, r.Requests)
	}
}

func TestDriversProbeAsideWhereNothingIsSeenThatSpeaksAgainstIt(t *testing.T) {
	p := newPool(t, worker.Config{})
	requests, none := file(t, "requests"), file(t, "none")
	for _, tt := range []struct {
		name     string
		m        kernel.Module
		options  string
		async    bool
		requests kernel.Requests
	}{
		{"it was not asked about", kernel.Module{File: none, Options: "a=1"}, "a=1", false, kernel.MayRequest},
		{"it was looked into only", kernel.Module{File: none, Async: kernel.AsyncUnasked}, "", false, kernel.RequestsNone},
		{"it may request others", kernel.Module{File: requests, Async: kernel.AsyncIfSafe}, "", false, kernel.RequestsOthers},
		{"what it needs may", kernel.Module{File: none, Async: kernel.AsyncIfSafe, LookInto: []string{none, requests}}, "", false, kernel.RequestsNone},
		{"what it needs is not there", kernel.Module{File: none, Async: kernel.AsyncIfSafe, LookInto: []string{"/nowhere"}}, "", false, kernel.RequestsNone},
		{"nothing", kernel.Module{File: none, Async: kernel.AsyncIfSafe, LookInto: []string{none}}, "async_probe", true, kernel.RequestsNone},
		{"nothing, and it has options", kernel.Module{File: none, Async: kernel.AsyncIfSafe, Options: "a=1"}, "a=1 async_probe", true, kernel.RequestsNone},
		{"somebody has decided it", kernel.Module{File: none, Async: kernel.AsyncAlways, Options: "async_probe=0"}, "async_probe=0", false, kernel.RequestsNone},
		{"nothing counts but the rule", kernel.Module{File: requests, Async: kernel.AsyncAlways}, "async_probe", true, kernel.RequestsOthers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.m.Name = "tells_call"
			p.Load(1, tt.m)
			r := <-p.Results()
			if r.Async != tt.async || r.Requests != tt.requests || !strings.Contains(fmt.Sprint(r.Err), fmt.Sprintf(" %q ", tt.options)) {
				t.Errorf("async %t, requests %d, %v", r.Async, r.Requests, r.Err)
			}
		})
	}
}

func TestAProbeIsTheDevicesNameWrittenToItsBussFile(t *testing.T) {
	sys := t.TempDir()
	bus := filepath.Join(sys, "bus/pci")
	if err := os.MkdirAll(bus, 0o755); err != nil {
		t.Fatal(err)
	}
	attribute := filepath.Join(bus, "drivers_probe")
	if err := os.WriteFile(attribute, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPool(t, worker.Config{System: kernel.System{Sys: sys}})
	p.Probe(1, "pci", "0000:01:00.0")
	if r := <-p.Results(); !r.Probe || r.Op != 1 || r.Err != nil {
		t.Errorf("result: %+v", r)
	}
	if written, err := os.ReadFile(attribute); err != nil || string(written) != "0000:01:00.0" {
		t.Errorf("written: %q, %v", written, err)
	}
	p.Probe(2, "nowhere", "x")
	if r := <-p.Results(); !r.Probe || r.Err == nil || !strings.Contains(r.Err.Error(), "probe x from "+sys+"/bus/nowhere/drivers_probe: ENOENT") {
		t.Errorf("a bus that is not there: %+v", r)
	}
	p.Probe(3, "pci", "is_killed")
	if r := <-p.Results(); !r.Probe || r.Err == nil || !strings.HasPrefix(r.Err.Error(), "probe is_killed: ") || strings.Contains(r.Err.Error(), "init") {
		t.Errorf("a worker that dies in it: %+v", r)
	}
}

func TestAnAssignmentTellsWhoHasTheDevice(t *testing.T) {
	p := newPool(t, worker.Config{Able: []string{"/proc/self/exe"}})
	a := kernel.Assignment{Path: "/devices/pci0/d", Bus: "pci", Owner: kernel.OfModule, Module: "drv"}
	p.Assign(1, a)
	r := <-p.Results()
	if want := (kernel.Assigned{Module: "drv", Held: true}); r.Assigned == nil || *r.Assigned != want || r.Err != nil {
		t.Errorf("got %+v, want %+v", r, want)
	}
	a.Gently = true
	p.Assign(2, a)
	r = <-p.Results()
	var refusal *kernel.Error
	if !errors.As(r.Err, &refusal) || refusal.Op != kernel.OpInUse || r.Assigned.Module != "has_it" || r.Unasked() {
		t.Errorf("in use: got %+v", r)
	}
	// Who uses it the program knows that has the abilities.
	if want := fmt.Sprintf("%+v asked about %s", a, a.Path); refusal.Words != want {
		t.Errorf("it says %q, want %q", refusal.Words, want)
	}
}

func TestAnUnloadSaysWhyTheModuleStays(t *testing.T) {
	p := newPool(t, worker.Config{})
	p.Unload(1, "m")
	if r := <-p.Results(); !r.Unload || r.Op != 1 || r.Errno() != unix.EAGAIN || r.Unasked() || r.Err.Error() != "unload m: EAGAIN: in use" {
		t.Errorf("got %+v", r)
	}
	p.Unload(2, "oopses")
	r := <-p.Results()
	if death := (*worker.DeathError)(nil); !errors.As(r.Err, &death) || !strings.Contains(death.Error(), "an oops of the module's exit") {
		t.Errorf("got %v", r.Err)
	}
}

func TestWithoutTheProgramThatKnowsWhoUsesADeviceItCountsAsUsed(t *testing.T) {
	p := newPool(t, worker.Config{Able: []string{"/nowhere/kmodctl"}})
	p.Assign(1, kernel.Assignment{Path: "/devices/d", Gently: true})
	if r := <-p.Results(); r.Err == nil || !strings.Contains(r.Err.Error(), "can't be told without kmodd-tools") {
		t.Errorf("got %+v", r)
	}
}

func TestAWorkerDiesAloneAndTheOthersGoOn(t *testing.T) {
	p := newPool(t, worker.Config{})
	place := newFIFO(t)
	p.Load(1, place.module(t))
	release, _ := place.reached(t)
	p.Load(2, kernel.Module{Name: "is_killed", File: file(t, "")})
	var death *worker.DeathError
	if r := <-p.Results(); r.Op != 2 || !errors.As(r.Err, &death) || death.Module != "is_killed" {
		t.Errorf("op %d: %v, want op 2's death", r.Op, r.Err)
	}
	release()
	if r := <-p.Results(); r.Op != 1 || r.Err != nil {
		t.Errorf("op %d: %v, want op 1 to go on", r.Op, r.Err)
	}
}

func TestAsManyCallsAtATimeAsAreAskedFor(t *testing.T) {
	p := newPool(t, worker.Config{})
	const calls = 14 // the last two wait a moment for a worker that is free
	var release []func()
	for op := range uint64(calls) {
		place := newFIFO(t)
		p.Load(op, place.module(t))
		done, _ := place.reached(t)
		release = append(release, done)
	}
	seen := make(map[uint64]bool)
	for _, done := range release {
		done()
		r := <-p.Results()
		if r.Err != nil || seen[r.Op] {
			t.Errorf("op %d: %v, seen before: %v", r.Op, r.Err, seen[r.Op])
		}
		seen[r.Op] = true
	}
}

func TestAWorkerIsUsedAgain(t *testing.T) {
	p := newPool(t, worker.Config{Idle: time.Hour})
	if first, second := say(t, p, "tells_pid"), say(t, p, "tells_pid"); first != second {
		t.Errorf("processes %s and %s, want one", first, second)
	}
}

// A wake loads one module after another, each when the one before is live, which is a
// moment before that one's call returns.
func TestACallWaitsForTheOnlyBusyWorkerRatherThanStartAnother(t *testing.T) {
	p := newPool(t, worker.Config{Idle: time.Hour})
	p.StartTakes(time.Hour)
	place := newFIFO(t)
	p.Load(1, place.module(t))
	release, pid := place.reached(t)
	p.Load(2, kernel.Module{Name: "tells_pid", File: file(t, "")})
	release()
	if r := <-p.Results(); r.Op != 1 || r.Err != nil {
		t.Fatalf("op %d: %v, want the result of op 1", r.Op, r.Err)
	}
	if second := words(t, <-p.Results()); second != strconv.Itoa(pid) {
		t.Errorf("the second call was made in process %s, want %d, which the first was made in", second, pid)
	}
}

func TestAnAbandonedWorkerIsNotUsedAgainAndItsLateResultCounts(t *testing.T) {
	p := newPool(t, worker.Config{Idle: time.Hour})
	place := newFIFO(t)
	p.Load(9, place.module(t))
	release, pid := place.reached(t)
	p.Abandon(9)
	if other := say(t, p, "tells_pid"); other == strconv.Itoa(pid) {
		t.Error("the abandoned worker got a call")
	}
	release()
	if r := <-p.Results(); r.Op != 9 || r.Err != nil {
		t.Errorf("op %d: %v, want the late result of op 9", r.Op, r.Err)
	}
	waitEnd(t, pid)
}

func TestAnIdleWorkerEnds(t *testing.T) {
	p := newPool(t, worker.Config{Idle: time.Millisecond})
	pid, err := strconv.Atoi(say(t, p, "tells_pid"))
	if err != nil {
		t.Fatal(err)
	}
	waitEnd(t, pid)
}

func TestAnIdleWorkerThatSomebodyKilledIsReplaced(t *testing.T) {
	p := newPool(t, worker.Config{Idle: time.Hour})
	pid, err := strconv.Atoi(say(t, p, "tells_pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitEnd(t, pid)
	if next := say(t, p, "tells_pid"); next == strconv.Itoa(pid) {
		t.Error("the dead answer")
	}
}

func TestAWorkerOutlivesTheSignalsMeantForTheDaemon(t *testing.T) {
	p := newPool(t, worker.Config{})
	place := newFIFO(t)
	p.Load(1, place.module(t))
	release, pid := place.reached(t)
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		if err := unix.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
	}
	if group, err := unix.Getpgid(pid); err != nil || group != pid {
		t.Errorf("process group %d, %v, want one of its own: a terminal signals the daemon's", group, err)
	}
	release()
	if r := <-p.Results(); r.Err != nil {
		t.Error(r.Err)
	}
}

func TestCloseDoesNotWaitForTheKernel(t *testing.T) {
	p := newPool(t, worker.Config{})
	place := newFIFO(t)
	p.Load(1, place.module(t))
	release, pid := place.reached(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := unix.Kill(pid, 0); err != nil {
		t.Errorf("the worker has gone: %v", err)
	}
	select {
	case r := <-p.Results():
		t.Errorf("a result after Close: %+v", r)
	default:
	}
	release()
	waitEnd(t, pid)
	p.Load(2, kernel.Module{Name: "m"}) // is nothing to a closed pool
}

func TestAWorkerHoldsNothingOfTheDaemons(t *testing.T) {
	// Something that this process inherited, as it were: not close-on-exec.
	inherited, err := unix.Open("/proc/self/status", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	p := newPool(t, worker.Config{})
	place := newFIFO(t)
	p.Load(1, place.module(t))
	release, _ := place.reached(t) // another worker, whose socket must not be shared

	name := file(t, "")
	p.Load(2, kernel.Module{Name: "tells_files", File: name})
	files := strings.Split(words(t, <-p.Results()), "\n")
	stderr, err := os.Readlink("/proc/self/fd/2")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0 /dev/null", "1 /dev/null", "2 " + stderr, "3 socket:", "4 " + name}
	for i, f := range files {
		if strings.HasPrefix(f, "3 socket:") {
			files[i] = "3 socket:"
		}
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Error("open files:", diff)
	}
	if env := say(t, p, "tells_environment"); strings.Contains(env, "NOTIFY_SOCKET") || !strings.Contains(env, "disablethp=1") {
		t.Errorf("environment:\n%s", env)
	}
	release()
	<-p.Results()
}

func TestFilesThatTheKernelCanNotUnpack(t *testing.T) {
	zstd := "\x28\xb5\x2f\xfd"
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	whole := file(t, zstd)
	broken := filepath.Join(filepath.Dir(whole), "broken")
	if err := os.Link(whole, broken); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, file string
		unpackers  []string
		want       string
	}{
		{"no program for it", whole, []string{"/nonexistent/a", "/nonexistent/b"},
			"unpack m from " + whole + ": this kernel does not unpack zstd and there is no kmodd-tools to do it in /nonexistent/a, /nonexistent/b: install kmodd-tools beside kmodd"},
		{"a damaged one", broken, []string{exe},
			"unpack m from " + broken + ": a checksum differs: reinstall the file"},
		{"a whole one goes in from memory", whole, []string{"/nonexistent/a", exe},
			"load m from " + whole + ": ENOTNAM: " + whole + ` "misses unpacked.bin"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, worker.Config{System: kernel.System{Sys: t.TempDir()}, Able: tt.unpackers})
			p.Load(1, kernel.Module{Name: "m", File: tt.file})
			r := <-p.Results()
			if r.Err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, r.Err.Error()); diff != "" {
				t.Error(diff)
			}
			if looked := r.Firmware != nil; looked != strings.HasPrefix(tt.want, "load") {
				t.Errorf("firmware was looked for: %v", looked)
			}
		})
	}
}

// daemonName is the name under which this program is a daemon with one call
// on its way.
const daemonName = "kmodd-test-daemon"

func daemon() {
	p, err := worker.NewPool(worker.Config{})
	if err != nil {
		panic(err)
	}
	p.Load(1, kernel.Module{Name: "hangs", File: os.Args[1], Options: os.Args[2]})
	<-p.Results()
}

func TestADaemonThatIsKilledLeavesAWorkerThatEndsByItself(t *testing.T) {
	place := newFIFO(t)
	d, err := os.StartProcess("/proc/self/exe", []string{daemonName, file(t, ""), string(place)},
		&os.ProcAttr{Files: []*os.File{nil, nil, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	release, pid := place.reached(t)
	if err := d.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, 0); err != nil {
		t.Errorf("the worker went with the daemon: %v", err)
	}
	release()
	waitEnd(t, pid)
}

// Whatever this machine's kernel says to a file that is no module, the words
// say what it is and what to do.
func TestTheRealKernelsAnswerInWords(t *testing.T) {
	p := newPool(t, worker.Config{})
	name := file(t, "not a module")
	p.Load(1, kernel.Module{Name: "real", File: name})
	r := <-p.Results()
	want := map[unix.Errno]string{
		unix.ENOSYS:  "this kernel is built without support for modules (there is no /proc/modules): boot one built with CONFIG_MODULES=y",
		unix.EPERM:   "",
		unix.ENOEXEC: "it is not an ELF file: reinstall it",
	}
	begins, known := want[r.Errno()]
	if !known || !strings.HasPrefix(words(t, r), begins) {
		t.Errorf("%v", r.Err)
	}
	t.Log(r.Err)
}

func TestAResultTellsWhenTheCallWasMade(t *testing.T) {
	p := newPool(t, worker.Config{})
	before, place := kernel.SinceBoot(), newFIFO(t)
	p.Load(1, place.module(t))
	release, _ := place.reached(t)
	within := kernel.SinceBoot()
	release()
	r := <-p.Results()
	after := kernel.SinceBoot()
	if !slices.IsSorted([]time.Duration{before, r.Got, r.Called, within, r.Got + r.Took, after}) {
		t.Errorf("asked at %v; worker had it at %v, called at %v; in the call at %v; returned at %v, told at %v", before, r.Got, r.Called, within, r.Got+r.Took, after)
	}
	p.Load(2, kernel.Module{Name: "m", File: "/nowhere.ko"})
	if r := <-p.Results(); r.Got != 0 || r.Called != 0 {
		t.Errorf("nothing was called, at %v", r.Called)
	}
}

// priorities are the nice values of a process's threads (proc(5), stat).
func priorities(t *testing.T, pid int) (nice []string) {
	t.Helper()
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		nice = append(nice, strings.Fields(after)[16])
	}
	return nice
}

func TestALoadThatStandsBackDoesNotSlowTheNextOne(t *testing.T) {
	p := newPool(t, worker.Config{})
	may := kernel.System{}.CanHurry()
	for op, want := range []int{7, 0} {
		place := newFIFO(t)
		m := place.module(t)
		m.Nice = want
		p.Load(uint64(op+1), m)
		release, pid := place.reached(t)
		slow := slices.Contains(priorities(t, pid), "7")
		if slow != (want == 7 && may) {
			t.Errorf("nice values %v of a load that is to have %d; this process may change them back: %v", priorities(t, pid), want, may)
		}
		release()
		if r := <-p.Results(); r.Err != nil {
			t.Error(r.Err)
		}
	}
}
