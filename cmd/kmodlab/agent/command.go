package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
)

// command prepares what a request asks for. It gets a process group of its own,
// so that ending it ends its children too.
func command(ctx context.Context, r agentwire.Request) (*exec.Cmd, error) {
	if len(r.Argv) == 0 {
		return nil, errors.New("no command")
	}
	cmd := exec.CommandContext(ctx, r.Argv[0], r.Argv[1:]...)
	cmd.Env = environment
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if r.UID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: r.UID, Gid: r.UID}
	}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	return cmd, nil
}

// A capture is the output of a command, in files without a name: what the
// command has written when it ends is all there, and a daemon that it leaves
// behind may go on writing and holds nothing up.
type capture struct{ stdout, stderr *os.File }

func newCapture() (c capture, err error) {
	if c.stdout, err = memoryFile("stdout"); err != nil {
		return c, err
	}
	if c.stderr, err = memoryFile("stderr"); err != nil {
		c.stdout.Close()
	}
	return c, err
}

func (c capture) Close() error { return errors.Join(c.stdout.Close(), c.stderr.Close()) }

// memoryFile makes a file that has no name and lives in memory
// (memfd_create(2)). Several processes that write into it at once do so one after the
// other: the kernel locks the place that they have in common for files with a name
// only (FMODE_ATOMIC_POS in fs/open.c), so that is the end for each.
func memoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file for %s: %w", name, err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_RDWR|unix.O_APPEND); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make a file for %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// run runs a command to its end, sends its output, and returns its exit code.
func (s *server) run(ctx context.Context, r agentwire.Request, stdin []byte) (int, error) {
	out, err := newCapture()
	if err != nil {
		return 0, err
	}
	defer out.Close()
	code, err := out.run(ctx, r, stdin)
	return code, errors.Join(err, s.report(r.ID, out))
}

// run runs a command to its end and returns its exit code.
func (c capture) run(ctx context.Context, r agentwire.Request, stdin []byte) (int, error) {
	cmd, err := command(ctx, r)
	if err != nil {
		return 0, err
	}
	input, err := memoryFile("stdin")
	if err != nil {
		return 0, err
	}
	defer input.Close()
	if _, err := input.Write(stdin); err != nil {
		return 0, err
	}
	if _, err := input.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, c.stdout, c.stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(c.stderr, err)
		return notStarted(err), nil
	}
	return exitCode(cmd.Wait())
}

// report sends what a command has put out.
func (s *server) report(id uint64, c capture) error {
	return errors.Join(
		send(s.stream(id, agentwire.Stdout), c.stdout),
		send(s.stream(id, agentwire.Stderr), c.stderr))
}

// send sends a file from its beginning. The offset is not touched: others may
// be writing there.
func send(w io.Writer, f *os.File) error {
	_, err := io.Copy(w, io.NewSectionReader(f, 0, math.MaxInt64))
	return err
}

// notStarted is the exit code of a command that could not be started, as a
// shell tells them apart.
func notStarted(err error) int {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return 127
	}
	return 126
}

// exitCode is what a shell calls $?: 128+n for a command that signal n ended.
// The error is about a command whose end could not be seen.
func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, err
	}
	if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// until runs a command until it succeeds (or fails, if that is wanted), with
// pauses that grow from 10 to 200 ms. Only the last try's output is sent; where the time
// was over in the middle of that, and there is one before it, the output of that one.
func (s *server) until(ctx context.Context, r agentwire.Request) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	var before capture // of the run before, if there was one
	defer func() { before.Close() }()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		out, err := newCapture()
		if err != nil {
			return 0, err
		}
		began := time.Now()
		code, err := out.run(ctx, r, nil)
		shown := out
		switch {
		case ctx.Err() == nil && err == nil && (code == 0) != r.Fail:
			return code, errors.Join(s.report(r.ID, out), out.Close())
		case ctx.Err() != nil && before.stdout != nil:
			shown = before
		}
		select {
		case <-ctx.Done():
			return code, errors.Join(s.report(r.ID, shown), out.Close(), fmt.Errorf("not within %s", r.Timeout), err)
		case <-time.After(max(pause, time.Since(began))): // half of the time is for what is waited for
			before.Close()
			before = out
		}
	}
}

// A background is a command that runs on while other requests are answered.
type background struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the next two are set
	code  int
	err   error
}

// start starts a background command, whose output goes to its log. A name may
// be used again when its command has ended.
func (s *server) start(r agentwire.Request) (pid int, err error) {
	cmd, err := command(context.Background(), r)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.background[r.Name]; ok && !old.hasEnded() {
		return 0, fmt.Errorf("%s is running already, as process %d", r.Name, old.cmd.Process.Pid)
	}
	log, err := os.OpenFile(agentwire.LogFile(r.Name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	b := &background{cmd: cmd, ended: make(chan struct{})}
	s.background[r.Name] = b
	go b.collect()
	return cmd.Process.Pid, nil
}

func (b *background) collect() {
	defer close(b.ended)
	b.code, b.err = exitCode(b.cmd.Wait())
}

func (b *background) hasEnded() bool {
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

// find returns the background command of that name.
func (s *server) find(name string) (*background, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.background[name]; ok {
		return b, nil
	}
	return nil, fmt.Errorf("no background command was started as %s", name)
}

// signal sends a signal to a background command itself, not to its group.
func (s *server) signal(r agentwire.Request) error {
	b, err := s.find(r.Name)
	if err != nil {
		return err
	}
	return b.cmd.Process.Signal(syscall.Signal(r.Signal))
}

// wait waits for the end of a background command.
func (s *server) wait(ctx context.Context, name string) (int, error) {
	b, err := s.find(name)
	if err != nil {
		return 0, err
	}
	select {
	case <-b.ended:
		return b.code, b.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
