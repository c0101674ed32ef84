package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/handover"
)

// TestMain lets the test's own program be what the kernel runs. Its daemon and its
// modprobe are in a folder.
func TestMain(m *testing.M) {
	if dir := os.Getenv("KMODD_TEST_DIR"); dir != "" {
		forModprobe = standIn{dir + "/io.kmodd", []string{dir + "/usual", dir + "/last"}, time.Second}
		main()
	}
	os.Exit(m.Run())
}

func TestWhatMaySleepIsToldByItsName(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, "fs-ext4": false, "net-pf-10": false, "char-major": false, "xchar-major-81-0": false,
		"pci:v00008086d*": false, "snd-card-0": false, "netdev": false,
		"char-major-81-0": true, "char-major-81": false, "block-major-8-1": true, "block-major-8": false, "netdev-eth0": true,
	} {
		if got := canSleep(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestAnswersOfTheDaemon(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		handled    bool
		says       string
	}{
		{"no answer", "", false, "wake x: the daemon's answer: EOF"},
		{"half an answer", `{"parameters":{"handled":true}}`, false, "wake x: the daemon's answer: EOF"},
		{"garbage", "modprobe\x00", false, "wake x: the daemon's answer: invalid character"},
		{"nothing but an end", "\x00", false, "wake x: the daemon's answer: unexpected end"},
		{"another type", `{"parameters":{"handled":"yes"}}` + "\x00", false, "wake x: the daemon's answer: json: cannot unmarshal"},
		{"an error", `{"error":"io.kmodd.Failed","parameters":{"reason":"uvcvideo was not in again"}}` + "\x00", false, "wake x: io.kmodd.Failed uvcvideo was not in again"},
		{"an error that says handled", `{"error":"io.kmodd.Busy","parameters":{"handled":true}}` + "\x00", false, "wake x: io.kmodd.Busy"},
		{"it is not asleep", `{"parameters":{"handled":false}}` + "\x00", false, ""},
		{"it says nothing", "{}\x00", false, ""},
		{"it is awake", `{"parameters":{"handled":true}}` + "\x00", true, ""},
		{"more than the answer", `{"parameters":{"handled":true}}` + "\x00{\x00", true, ""},
		{"a long one", `{"parameters":{"reason":"` + strings.Repeat("x", 10_000) + `","handled":true}}` + "\x00", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, from := range []io.Reader{
				strings.NewReader(tt.text),
				iotest.OneByteReader(strings.NewReader(tt.text)),
				iotest.DataErrReader(strings.NewReader(tt.text)),
			} {
				handled, err := answer(from, "x")
				switch {
				case handled != tt.handled, (err != nil) != (tt.says != ""):
					t.Errorf("got %v, %v", handled, err)
				case err != nil && !strings.HasPrefix(err.Error(), tt.says):
					t.Errorf("it says %q, want %q", err, tt.says)
				}
			}
		})
	}
	broken := errors.New("broken")
	if handled, err := answer(io.MultiReader(strings.NewReader("{"), iotest.ErrReader(broken)), "x"); handled || !errors.Is(err, broken) {
		t.Errorf("got %v, %v", handled, err)
	}
}

// What is handled was said whole and without an error.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"parameters":{"handled":true}}` + "\x00"))
	f.Add([]byte(`{"error":"io.kmodd.Failed","parameters":{"reason":"no"}}` + "\x00"))
	f.Add([]byte("\x00"))
	f.Add([]byte(`{"parameters":null}` + "\x00{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		handled, err := answer(bytes.NewReader(text), "x")
		again, errAgain := answer(iotest.OneByteReader(bytes.NewReader(text)), "x")
		if handled != again || (err == nil) != (errAgain == nil) {
			t.Errorf("%v, %v; byte by byte %v, %v", handled, err, again, errAgain)
		}
		if handled && (err != nil || !bytes.Contains(text, []byte{0})) {
			t.Errorf("it is handled, and %v", err)
		}
	})
}

// wakes is a daemon that answers Wake of a name.
type wakes map[string]any

func (w wakes) Ask(_ context.Context, r control.Request) (any, error) {
	wake, ok := r.(control.WakeRequest)
	if !ok {
		return nil, errors.New("it was asked something else")
	}
	if err, ok := w[wake.Name].(error); ok {
		return nil, err
	}
	return w[wake.Name], nil
}

// daemonIn runs a daemon that answers in a folder, until the test ends.
func daemonIn(t *testing.T, dir string, answers wakes) {
	t.Helper()
	address := dir + "/io.kmodd"
	listener, err := control.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &control.Server{Address: address, Listener: listener, Handler: answers, Notes: new(control.Notes), Log: newLog(io.Discard, 0)}
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
}

// shortDir is a folder whose name leaves room for a socket's in an address.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kmodd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestTheDaemonIsAskedForAName(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may wake what sleeps")
	}
	dir := shortDir(t)
	daemonIn(t, dir, wakes{
		"char-major-81-0": control.Woken{Handled: true},
		"char-major-81-1": control.Woken{},
		"char-major-81-2": errors.New("it was not in again"),
	})
	for _, tt := range []struct {
		name    string
		handled bool
		says    string
	}{
		{"char-major-81-0", true, ""},
		{"char-major-81-1", false, ""},
		{"char-major-81-2", false, "wake char-major-81-2: io.kmodd.Failed it was not in again"},
	} {
		handled, err := standIn{address: dir + "/io.kmodd"}.ask(tt.name)
		if handled != tt.handled || (err == nil) != (tt.says == "") || err != nil && err.Error() != tt.says {
			t.Errorf("%s: got %v, %v", tt.name, handled, err)
		}
	}
}

func TestWithoutADaemonNobodyIsAsked(t *testing.T) {
	dir := shortDir(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/deserted"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, address := range []string{dir + "/missing", dir + "/deserted", dir + "/" + strings.Repeat("long", 40)} {
		if handled, err := (standIn{address: address}).ask("char-major-81-0"); handled || !errors.Is(err, errNoDaemon) {
			t.Errorf("%s: got %v, %v", address, handled, err)
		}
	}
}

// A daemon that ends with the question unanswered may be in the middle of it.
func TestADaemonThatHangsUpIsAnError(t *testing.T) {
	dir := shortDir(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/io.kmodd"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, _ = conn.Read(make([]byte, 1<<10))
			conn.Close()
		}
	}()
	if handled, err := (standIn{address: dir + "/io.kmodd"}).ask("char-major-81-0"); handled || !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v", handled, err)
	}
}

// runHelper runs this program as the kernel does, and returns its exit status and
// what it says.
func runHelper(t *testing.T, dir, name string) (status int, says string) {
	t.Helper()
	program := dir + "/bin/modprobe"
	self, err := os.Executable()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(program), 0o700)
	}
	if err == nil {
		err = os.Symlink(self, program)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-q", "--", name)
	cmd.Env = []string{"KMODD_TEST_DIR=" + dir, "HOME=/", "TERM=linux"}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// script makes a modprobe that says how it was called and ends with 3.
func script(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho \"${0##*/} $* in $HOME\"\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestWhatDoesNotSleepIsModprobes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		make   []string // the programs that are there
		before string   // in the file, "-" for no file
		status int
		says   string
	}{
		{"no modprobe anywhere", nil, "-", 1, "kmodd: there is no modprobe to pass fs-ext4 on to\n"},
		{"the kernel asked nobody before", []string{"usual"}, "\n", 1, "kmodd: there is no modprobe to pass fs-ext4 on to\n"},
		{"the file is empty", []string{"usual", "last"}, "", 3, "usual -q -- fs-ext4 in /\n"},
		{"half of the name was written", []string{"usual", "own"}, "DIR/own", 3, "usual -q -- fs-ext4 in /\n"},
		{"nobody knows who was asked", []string{"usual", "last"}, "-", 3, "usual -q -- fs-ext4 in /\n"},
		{"there is only the last", []string{"last"}, "-", 3, "last -q -- fs-ext4 in /\n"},
		{"the one before has gone", []string{"usual"}, "DIR/own\n", 3, "usual -q -- fs-ext4 in /\n"},
		{"the one before", []string{"own", "usual"}, "DIR/own\n", 3, "own -q -- fs-ext4 in /\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := shortDir(t)
			for _, name := range tt.make {
				script(t, dir+"/"+name)
			}
			if tt.before != "-" {
				before := strings.ReplaceAll(tt.before, "DIR", dir)
				if err := os.WriteFile(filepath.Join(dir, handover.HelperFile), []byte(before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			status, says := runHelper(t, dir, "fs-ext4")
			if diff := cmp.Diff(tt.says, says); diff != "" || status != tt.status {
				t.Errorf("exit status %d, it says %s", status, diff)
			}
		})
	}
}

func TestTheKernelsRequestsAreTheDaemonsOrModprobes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may wake what sleeps")
	}
	dir := shortDir(t)
	script(t, dir+"/usual")
	daemonIn(t, dir, wakes{
		"char-major-81-0": control.Woken{Handled: true},
		"char-major-81-1": control.Woken{},
		"netdev-usb0":     errors.New("it was not in again"),
		"fs-ext4":         errors.New("the daemon is not to be asked for this"),
	})
	for _, tt := range []struct {
		name   string
		status int
		says   string
	}{
		{"netdev-usb0", 1, "kmodd: wake netdev-usb0: io.kmodd.Failed it was not in again\n"},
		{"fs-ext4", 3, "usual -q -- fs-ext4 in /\n"},
		{"char-major-81-1", 3, "usual -q -- char-major-81-1 in /\n"},
		{"char-major-81-0", 0, ""},
	} {
		if status, says := runHelper(t, dir, tt.name); status != tt.status || says != tt.says {
			t.Errorf("%s: exit status %d, it says %q", tt.name, status, says)
		}
	}
}

// asleepIn writes down that a module sleeps, as a daemon does that is killed after that.
func asleepIn(t *testing.T, dir, boot string) {
	t.Helper()
	asleep := []control.Sleeper{{Module: "uvcvideo", Devices: []string{"/devices/x"}, Openings: []control.Opening{{Alias: "char-major-81-0", Name: "video0"}}}}
	if err := (handover.State{Boot: boot, Journal: handover.Journal{Asleep: asleep}}).WriteJournal(dir); err != nil {
		t.Fatal(err)
	}
}

// A service manager starts a daemon again that was killed. Whoever opens what sleeps
// meanwhile waits for that.
func TestWhatSleepsWaitsForTheNextDaemon(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may wake what sleeps")
	}
	dir := shortDir(t)
	asleepIn(t, dir, bootID())
	// It dies once with the question, and then there is none for a while.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/io.kmodd"})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() {
		handled, err := standIn{address: dir + "/io.kmodd", patience: time.Minute}.ask("char-major-81-0")
		if !handled {
			err = errors.Join(err, errors.New("it is not handled"))
		}
		answered <- err
	}()
	if conn, err := l.Accept(); err == nil {
		l.Close()
		_, _ = conn.Read(make([]byte, 1<<10))
		conn.Close()
	}
	time.Sleep(4 * successorPause)
	daemonIn(t, dir, wakes{"char-major-81-0": control.Woken{Handled: true}})
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestWithoutADaemonWhatSleepsIsModprobesByTheNameOfItsModule(t *testing.T) {
	for _, tt := range []struct {
		name, boot, opens, says string
	}{
		{"it sleeps", bootID(), "char-major-81-0", "usual -q -- uvcvideo in /\n"},
		{"another one", bootID(), "char-major-81-1", "usual -q -- char-major-81-1 in /\n"},
		{"it slept before this boot", "earlier", "char-major-81-0", "usual -q -- char-major-81-0 in /\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := shortDir(t)
			script(t, dir+"/usual")
			asleepIn(t, dir, tt.boot)
			if status, says := runHelper(t, dir, tt.opens); status != 3 || says != tt.says {
				t.Errorf("exit status %d, it says %q, want %q", status, says, tt.says)
			}
		})
	}
}
