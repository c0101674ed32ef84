package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
)

// holdVariable has this test program start a machine and hold it.
const holdVariable = "KMODLAB_TEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdVariable) != "" {
		hold()
	}
	goleak.VerifyTestMain(m)
}

// hold starts a machine, says so, and waits to be killed.
func hold() {
	b, err := Prepare(context.Background(), os.Stderr, Programs...)
	if err == nil {
		_, err = b.Start(context.Background(), Options{})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("holding")
	select {}
}

// prepare returns the build that scenarios use as well.
func prepare(t *testing.T) *Build {
	t.Helper()
	b, err := Prepare(t.Context(), os.Stderr, Programs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.inUse.Close() })
	return b
}

func closeMachine(t *testing.T, m *Machine) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestMachinesOfOneTemplateShareNothing(t *testing.T) {
	b := prepare(t)
	var both sync.WaitGroup
	var started [2]*Machine
	for i := range started {
		both.Go(func() {
			m, err := b.restore(t.Context(), kind{qemu.PC, Plain})
			if err != nil {
				t.Error(err)
				return
			}
			started[i] = m
		})
	}
	both.Wait()
	for i, m := range started {
		if m == nil {
			t.FailNow()
		}
		defer closeMachine(t, m)
		name := fmt.Sprintf("/srv/%d", i)
		if err := m.WriteFile(t.Context(), name, []byte("mine"), 0o644); err != nil {
			t.Error(err)
		}
	}
	for i, m := range started {
		r, err := m.Run(t.Context(), "ls", "/srv")
		if want := strconv.Itoa(i) + "\n"; err != nil || r.Stdout != want {
			t.Errorf("machine %d has %q, %v; want %q", i, r.Stdout, err, want)
		}
	}
}

func TestAMachineThatIsClosedLeavesNothing(t *testing.T) {
	m, err := prepare(t).Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Plug(t.Context(), "stick", "usb-storage", nil); err != nil {
		t.Error(err)
	}
	dir := m.dir
	closeMachine(t, m)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder: %v, want %v", err, os.ErrNotExist)
	}
	if _, err := m.Run(context.Background(), "true"); !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.EOF) {
		t.Errorf("a command afterwards: %v, want an error about the line", err)
	}
}

func TestAMachineEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m, err := prepare(t).Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeMachine(t, m)
	cancel()
	<-m.Done()
}

func TestWithoutATemplateAMachineBootsAndSaysWhy(t *testing.T) {
	whole := prepare(t)
	plain := whole.templates[kind{qemu.PC, Plain}]
	if err := whole.findTemplate(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	b := newBuild(plainPC, &said, whole.programs)
	b.Kernel, b.dir = whole.Kernel, t.TempDir()
	for _, name := range []string{initramfsFile, kernelFile, plain.memory()} {
		if err := os.Symlink(filepath.Join(whole.dir, name), filepath.Join(b.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, plain.state()), []byte("no state of a machine"), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := b.Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeMachine(t, m)
	if r, err := m.Run(t.Context(), "echo", "up"); err != nil || r.Stdout != "up\n" {
		t.Errorf("got %q, %v; want a guest that answers", r.Stdout, err)
	}
	if !strings.Contains(said.String(), "no template (") || !strings.Contains(said.String(), "booting") {
		t.Errorf("it said %q, want why it boots", &said)
	}
}

func TestAKernelThatPanicsShowsItsConsole(t *testing.T) {
	m, err := prepare(t).Boot(t.Context(), Options{Append: []string{"rdinit=/no/such", "init=/no/such"}})
	if err == nil {
		closeMachine(t, m)
		t.Fatal("it booted")
	}
	if !strings.Contains(err.Error(), "Kernel panic") {
		t.Errorf("error %v, want one with the panic", err)
	}
}

// TestABenchThatIsKilledTakesItsMachinesAlong holds a machine in another
// process, which gets no chance to clean up.
func TestABenchThatIsKilledTakesItsMachinesAlong(t *testing.T) {
	bench := exec.Command("/proc/self/exe")
	bench.Env = append(os.Environ(), holdVariable+"=1", "TMPDIR="+t.TempDir())
	out, err := bench.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bench.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "holding\n" {
		t.Errorf("the other bench said %q, %v", line, err)
	}
	machine := child(t, bench.Process.Pid)
	if err := bench.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if n, err := ended(machine, time.Minute); n != 1 {
		t.Errorf("the machine lives on: poll says %d, %v", n, err)
	}
	unix.Close(machine)
	_ = bench.Wait() // killed, as it should be
}

// ended waits for the end of a process, also past the signals that Go's
// scheduler sends to its own threads.
func ended(pidfd int, limit time.Duration) (n int, err error) {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for until := time.Now().Add(limit); ; {
		n, err = unix.Poll(fds, int(max(0, time.Until(until)).Milliseconds()))
		if err != unix.EINTR {
			return n, err
		}
	}
}

// child opens the only child of a process (pidfd_open(2)).
func child(t *testing.T, pid int) (pidfd int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has just ended
		}
		if number, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			fd, err := unix.PidfdOpen(number, 0)
			if err != nil {
				t.Fatal(err)
			}
			return fd
		}
	}
	t.Fatal("the other bench has no machine")
	return -1
}

func TestLastWords(t *testing.T) {
	long := strings.Repeat("line\n", lastLines+5)
	for _, tt := range []struct{ name, text, want string }{
		{"nothing is said of nothing", "", ""},
		{"a short log is shown whole", "a\nb\n", "--- log\na\nb\n"},
		{"of a long one the end", long, "--- log\n(5 earlier lines)\n" + long[:5*lastLines]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got strings.Builder
			section(&got, "log", tt.text)
			if got.String() != tt.want {
				t.Errorf("got %q, want %q", &got, tt.want)
			}
		})
	}
	if got := ownLife("[ 4] boot\n[ 5] " + beginning + "\n[ 6] plug\n"); got != "[ 6] plug\n" {
		t.Errorf("got %q, want what came after the restore", got)
	}
	if got := ownLife("[ 4] boot\n"); got != "[ 4] boot\n" {
		t.Errorf("got %q, want all of a guest that was booted", got)
	}
}
