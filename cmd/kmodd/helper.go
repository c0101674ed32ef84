package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/handover"
)

// helperName is what this program is called by when the kernel asks it for a module:
// while something sleeps, the kernel's helper is a link of that name to kmodd
// (kernel.Helper).
const helperName = "modprobe"

// helperTime is how long the daemon has to answer. It answers within its own limit, of
// ten seconds, unless it hangs or was stopped.
const helperTime = 12 * time.Second

// successorTime is how long a daemon is waited for that has died while something
// slept. A service manager starts the next one a second later (RestartSec= of the
// unit), which then reads module tables.
const successorTime = 5 * time.Second

// successorPause is the time between two looks whether there is one.
const successorPause = 50 * time.Millisecond

// A standIn answers the kernel in modprobe's place.
type standIn struct {
	address  string        // of the daemon, beside which is written who was asked before, and what sleeps
	usual    []string      // what else may load modules
	patience time.Duration // with a daemon that has died
}

// forModprobe asks the running daemon. Beside the usual modprobe there is kmodctl by
// that name.
var forModprobe = standIn{control.Address, []string{"/sbin/modprobe", "/usr/lib/kmodd/bin/modprobe"}, successorTime}

// help answers one request of the kernel's, whose arguments are those of modprobe:
// -q -- NAME (call_modprobe in kernel/module/kmod.c). Names of what can sleep the
// daemon is asked for; for everything else, and where there is no daemon, it becomes
// the modprobe that the kernel asked before. Where the daemon has died while a module
// slept that is asked for that module. It returns the exit status, which the
// kernel passes on to nobody.
func (s standIn) help(args []string) int {
	if name := args[len(args)-1]; canSleep(name) {
		switch handled, err := s.ask(name); {
		case errors.Is(err, errNoDaemon):
			args[len(args)-1] = cmp.Or(s.sleeper(name), name)
		case err != nil:
			fmt.Fprintln(os.Stderr, "kmodd:", err)
			return 1
		case handled:
			return 0
		}
	}
	for _, program := range s.modprobes() {
		// Exec returns only if there is none.
		_ = syscall.Exec(program, append([]string{program}, args[1:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "kmodd: there is no modprobe to pass", args[len(args)-1], "on to")
	return 1
}

// canSleep tells whether the kernel asks for what may be a device of a driver that
// sleeps. When a node can't be opened it asks once more, by the major number alone,
// which nothing that sleeps is known by: whoever waits is not to wait twice.
func canSleep(name string) bool {
	for _, prefix := range [...]string{"char-major-", "block-major-"} {
		if numbers, ok := strings.CutPrefix(name, prefix); ok {
			return strings.Contains(numbers, "-")
		}
	}
	return strings.HasPrefix(name, "netdev-")
}

// errNoDaemon is the error of asking where nobody answers.
var errNoDaemon = errors.New("there is no daemon")

// ask asks the daemon for a name, and the next one if that has died, or dies with the
// question, while the name is of something that sleeps.
func (s standIn) ask(name string) (handled bool, err error) {
	for end := time.Now().Add(s.patience); ; time.Sleep(successorPause) {
		handled, err = s.askOnce(name)
		died := errors.Is(err, errNoDaemon) || errors.Is(err, io.EOF)
		if !died || time.Now().After(end) || s.sleeper(name) == "" {
			return handled, err
		}
	}
}

func (s standIn) askOnce(name string) (handled bool, err error) {
	conn, err := dial(s.address)
	if err != nil {
		return false, errNoDaemon
	}
	defer conn.Close()
	var call struct {
		Method     string `json:"method"`
		Parameters struct {
			Name string `json:"name"`
		} `json:"parameters"`
	}
	call.Method, call.Parameters.Name = control.MethodWake, name
	text, err := json.Marshal(call)
	if err != nil {
		return false, err
	}
	if _, err := conn.Write(append(text, 0)); err != nil {
		return false, errNoDaemon
	}
	return answer(conn, name)
}

// sleeper names the module that sleeps and whose device has that name for the kernel,
// by what the daemon has written down; "" if there is none.
func (s standIn) sleeper(name string) string {
	journal, _ := handover.ReadJournal(filepath.Dir(s.address), bootID()) // what can't be read nobody knows
	for _, a := range journal.Asleep {
		if slices.ContainsFunc(a.Openings, func(o control.Opening) bool { return o.Alias == name }) {
			return a.Module
		}
	}
	return ""
}

// bootID is the kernel's name for the time since its start, "" if it has none.
func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// dial connects without package net, whose Dial knows of names and networks and
// would make the resident program a tenth larger.
func dial(address string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	limit := unix.NsecToTimeval(helperTime.Nanoseconds())
	for _, err := range []error{
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.Connect(fd, &unix.SockaddrUnix{Name: address}),
	} {
		if err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	return os.NewFile(uintptr(fd), address), nil
}

// answer reads what the daemon says.
func answer(from io.Reader, name string) (handled bool, err error) {
	text, err := bufio.NewReader(from).ReadBytes(0)
	if err != nil {
		return false, fmt.Errorf("wake %s: the daemon's answer: %w", name, err)
	}
	var reply struct {
		Error      string
		Parameters struct {
			Handled bool
			Reason  string
		}
	}
	if err := json.Unmarshal(text[:len(text)-1], &reply); err != nil {
		return false, fmt.Errorf("wake %s: the daemon's answer: %w", name, err)
	}
	if reply.Error != "" {
		return false, fmt.Errorf("wake %s: %s %s", name, reply.Error, reply.Parameters.Reason)
	}
	return reply.Parameters.Handled, nil
}

// modprobes are the programs that may load what does not sleep: the one that the
// kernel asked before, and the usual ones. There is none if it asked nobody.
func (s standIn) modprobes() []string {
	switch before, known := handover.ReadHelper(filepath.Dir(s.address)); {
	case !known:
		return s.usual
	case before == "":
		return nil
	default:
		return append([]string{before}, s.usual...)
	}
}
