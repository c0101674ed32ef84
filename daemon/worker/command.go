package worker

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// A Command is what modprobe.d has a shell run in place of putting a module in
// or taking it out.
type Command struct {
	Verb    string // "install" or "remove": how people know it
	Module  string // the kernel's name, which the command finds in MODPROBE_MODULE
	Shell   string // the line, for sh -c
	Options string // the module's parameters, which take the place of $CMDLINE_OPTS
	// Limit is after what time the command and all that it has started are
	// killed.
	Limit time.Duration
}

const (
	shell = "/bin/sh"
	// searchPath is the PATH of a command: the one that the kernel gives to its
	// own modprobe helper (call_modprobe in kernel/kmod.c).
	searchPath = "/sbin:/usr/sbin:/bin:/usr/bin"
	// kept is how much of a command's output is kept: its end.
	kept = 1 << 10
	// hangover is for how long what a command has written is waited for when it
	// has ended, and its end when it was killed. The first is more than none only
	// if it has left something behind that may write; the second if it is in a
	// system call that can't be ended, of a driver's init most likely.
	hangover = 50 * time.Millisecond
	dying    = time.Second
)

// run has a shell run the command and waits for its end. The error is a
// [*kernel.Error].
func (c Command) run() error {
	failed := func(errno syscall.Errno, words string) error {
		return &kernel.Error{Op: "run", Module: c.Module, Errno: errno, Words: words}
	}
	out, in, err := os.Pipe()
	if err != nil {
		return failed(errnoOf(err), "no pipe for what its "+c.Verb+" command writes")
	}
	defer out.Close()
	process, err := c.start(in)
	in.Close()
	if err != nil {
		return failed(errnoOf(err), "its "+c.Verb+" command can't be started: "+err.Error())
	}
	end := newTail(out)
	if says := c.await(process); says != "" {
		return failed(0, says+end.told())
	}
	return nil
}

// start starts the shell, in a session of its own, with none of our files and
// none of our environment, and with the signals that ordinary processes hear.
func (c Command) start(out *os.File) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	// What is ignored stays so in the program that is started; what has a
	// handler does not.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, deafTo...)
	defer signal.Ignore(deafTo...)
	process, err := os.StartProcess(shell, []string{"sh", "-c", strings.ReplaceAll(c.Shell, "$CMDLINE_OPTS", c.Options)}, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"PATH=" + searchPath, "MODPROBE_MODULE=" + c.Module},
		Files: []*os.File{null, out, out},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err
	}
	killable(process.Pid)
	return process, nil
}

// killable makes a process one that may be killed for want of memory, which the
// daemon's service is protected from: whatever the command does with memory is
// its own.
func killable(pid int) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // it has ended already, or there is no /proc
	}
	unix.Write(fd, []byte("0"))
	unix.Close(fd)
}

// await waits for the end of the command, or ends it, and says what went wrong,
// "" for nothing.
func (c Command) await(process *os.Process) string {
	ended := make(chan *os.ProcessState, 1)
	go func() {
		state, _ := process.Wait() // of our own child, that knows of no error
		ended <- state
	}()
	select {
	case state := <-ended:
		return c.verdict(state)
	case <-time.After(c.Limit):
	}
	unix.Kill(-process.Pid, unix.SIGKILL) // its whole group
	select {
	case <-ended:
		return fmt.Sprintf("its %s command has not ended after %v and was killed, with its process group", c.Verb, c.Limit)
	case <-time.After(dying):
		return fmt.Sprintf("its %s command has not ended after %v and can't be killed: it is in the kernel, most likely in a driver's init", c.Verb, c.Limit)
	}
}

// verdict says how the command ended, "" if well.
func (c Command) verdict(state *os.ProcessState) string {
	status, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return fmt.Sprintf("its %s command was ended by a signal (%v)", c.Verb, status.Signal())
	case state.Success():
		return ""
	}
	return fmt.Sprintf("its %s command says no (exit status %d)", c.Verb, state.ExitCode())
}

// A tail keeps the end of what is written into a pipe, so that whoever writes
// never waits.
type tail struct {
	pipe *os.File
	over chan struct{}

	// Both belong to read until over is closed.
	text []byte
	lost bool // there was more before
}

func newTail(pipe *os.File) *tail {
	t := &tail{pipe: pipe, over: make(chan struct{})}
	go t.read()
	return t
}

func (t *tail) read() {
	defer close(t.over)
	buf := make([]byte, 4<<10)
	for {
		n, err := t.pipe.Read(buf)
		t.keep(buf[:n])
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return // the end, or nobody waits for it any more
		}
	}
}

func (t *tail) keep(more []byte) {
	t.text = append(t.text, more...)
	if over := len(t.text) - kept; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
		t.lost = true
	}
}

// told says what the command wrote, if it did. What it has left in the pipe is
// read first.
func (t *tail) told() string {
	t.pipe.SetReadDeadline(time.Now().Add(hangover))
	<-t.over
	text := legible(t.text)
	if text == "" {
		return ""
	}
	if t.lost {
		text = "… " + text
	}
	return "; it wrote: " + text
}

// legible makes one line of what a program wrote for a terminal.
func legible(text []byte) string {
	// The cut may be in the middle of a character.
	for len(text) > 0 && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	clean := strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || r == utf8.RuneError || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, string(text))
	var lines []string
	for line := range strings.Lines(clean) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}
