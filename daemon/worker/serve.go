package worker

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// Name is what a program finds in os.Args[0] when it is to be a worker. It
// then calls [Main] before it does anything else.
const Name = "kmodd-worker"

// AbleName is the same for a worker that has [Abilities].
const AbleName = "kmodd-able-worker"

// socket is the descriptor that a worker is started with.
const socket = 3

// A Loader makes the system calls. [kernel.System] is the one there is outside
// of tests.
type Loader interface {
	Load(m kernel.Module, f *os.File, how kernel.How) error
	LoadImage(m kernel.Module, image []byte) error
	Probe(device string, f *os.File) error
	Unload(module string) error
	Settings(module string) string
	Set(module, settings string) error
	Memory() (size int64, known bool)
	Assign(a kernel.Assignment, inUse func(devpath string) string) (kernel.Assigned, error)
	Inspect(image io.ReaderAt, size int64, requests bool) kernel.Inspection
}

// An Unpack writes what a compressed module file holds.
type Unpack func(to io.Writer, from *os.File) error

// Abilities are what some workers have that are not the daemon's own program,
// which is always in memory and has no room for it. Without one, what needs it
// fails.
type Abilities struct {
	Unpack Unpack
	// InUse says who uses a device, or what hangs below it, "" if nobody does.
	InUse func(devpath string) string
	// Survey says whether a driver can sleep.
	Survey func(Question) Survey
	// Tend sees to placeholders.
	Tend func(Placeholders) error
}

// Main is the whole life of a worker without abilities. It returns the process's
// exit status.
func Main() int { return Serve(kernel.System{}, Abilities{}) }

// Exit statuses of a worker.
const (
	exitDone   = 0
	exitPacket = 1  // the other end does not speak its language
	exitOops   = 99 // the kernel ended the thread that was in the call; Go's own deaths are 2
)

// Serve answers the requests that come over the socket a worker was started
// with, one by one, until its other end is closed. It takes the whole process:
// it returns the exit status, with which the caller must exit at once.
func Serve(loader Loader, can Abilities) int {
	signal.Ignore(deafTo...)
	unix.CloseOnExec(socket) // commands don't get it
	rename(filepath.Base(os.Args[0]))
	return attended(func() int { return serve(loader, can) })
}

// deafTo are the signals that a worker ignores.
var deafTo = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP}

// rename gives the process its name in ps and in the kernel's log, which is
// "exe" otherwise. By system calls, because package os would make a poller for
// this file and keep it open.
func rename(name string) {
	fd, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	unix.Write(fd, []byte(name))
	unix.Close(fd)
}

// thread is 1 while the thread that makes the calls is alive. It is not on the
// heap because the kernel writes to it.
var thread atomic.Uint32

// attended runs call on a thread of its own and returns its status, or
// exitOops if the kernel ends that thread. Whenever a thread ends, for whatever
// reason, the kernel clears the word that the thread has named with
// set_tid_address(2) and wakes those who wait for it (mm_release in
// kernel/fork.c).
func attended(call func() int) int {
	status := exitOops
	thread.Store(1)
	go func() {
		runtime.LockOSThread()
		unix.RawSyscall(unix.SYS_SET_TID_ADDRESS, uintptr(unsafe.Pointer(&thread)), 0, 0)
		status = call()
		thread.Store(0)
		futex(futexWake, 1)
		select {} // the thread ends with the process
	}()
	for thread.Load() != 0 {
		futex(futexWait, 1)
	}
	return status
}

// The operations of futex(2), as the kernel uses them for a thread's end: not
// the private ones.
const (
	futexWait = 0
	futexWake = 1
)

func futex(operation, value uintptr) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&thread)), operation, value, 0, 0, 0)
}

func serve(loader Loader, can Abilities) int {
	nice := 0
	for {
		r, f, err := receive()
		if errors.Is(err, io.EOF) {
			return exitDone
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, Name+":", err)
			return exitPacket
		}
		if r.module.Nice != nice {
			nice = r.module.Nice
			renice(nice)
		}
		answer := carryOut(r, f, loader, can)
		f.Close() // of no file that is an error, which says nothing
		if unix.Send(socket, answer.append(nil), unix.MSG_NOSIGNAL) != nil {
			return exitDone // the daemon has gone: nobody to tell
		}
	}
}

// renice sets the priority of this thread, which makes the calls. One that can't be had
// is no reason not to make them.
func renice(nice int) { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, nice) }

// receive reads one request and the file that comes with it, nil if none does.
func receive() (r request, f *os.File, err error) {
	packet, rights := make([]byte, maxRequest), make([]byte, unix.CmsgSpace(4))
	n, rightsLen, _, _, err := unix.Recvmsg(socket, packet, rights, unix.MSG_CMSG_CLOEXEC)
	if err == unix.EINTR {
		return receive()
	}
	if err != nil {
		return r, nil, fmt.Errorf("receive a request: %w", err)
	}
	if n == 0 {
		return r, nil, io.EOF
	}
	if r, err = parseRequest(packet[:n]); err != nil {
		return r, nil, fmt.Errorf("read a request: %w", err)
	}
	if !r.task.hasFile() {
		return r, nil, nil
	}
	fd, err := descriptor(rights[:rightsLen])
	return r, os.NewFile(uintptr(fd), r.module.File), err
}

// descriptor takes the one file descriptor out of a control message.
func descriptor(rights []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return -1, fmt.Errorf("a request without a file: %w", errPacket)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("a request without a file: %w", errPacket)
	}
	return fds[0], nil
}

// carryOut does what a request asks for and times it.
func carryOut(r request, f *os.File, loader Loader, can Abilities) (answer reply) {
	var before int64
	measured := false
	if r.module.Measure {
		before, measured = loader.Memory()
	}
	answer.got = kernel.SinceBoot()
	answer.called = answer.got
	err := perform(r, f, loader, can, &answer)
	answer.took = kernel.SinceBoot() - answer.got
	if measured && err == nil {
		if after, ok := loader.Memory(); ok {
			answer.memory = after - before
		}
	}
	if err == nil {
		return answer
	}
	answer.op, answer.words = r.task.verb(), strings.ReplaceAll(err.Error(), "\n", "; ") // of joined errors
	if e := (*kernel.Error)(nil); errors.As(err, &e) {
		answer.op, answer.errno, answer.words = e.Op, e.Errno, e.Words
	}
	return answer
}

func perform(r request, f *os.File, loader Loader, can Abilities, answer *reply) (err error) {
	switch r.task {
	case probeDevice:
		return loader.Probe(r.module.Name, f)
	case runCommand:
		return r.command.run()
	case unloadModule:
		settings := loader.Settings(r.module.Name)
		if err = loader.Unload(r.module.Name); err == nil {
			answer.found = settings
		}
		return err
	case surveyModule:
		var q Question
		if err := json.Unmarshal([]byte(r.able), &q); err != nil || can.Survey == nil {
			return cmp.Or(err, errUnable)
		}
		answer.found = asJSON(can.Survey(q))
		if len(answer.found) > maxFound {
			answer.found = asJSON(Survey{Says: "it has too much that can be opened"})
		}
		return nil
	case tendNodes:
		var what Placeholders
		if err := json.Unmarshal([]byte(r.able), &what); err != nil || can.Tend == nil {
			return cmp.Or(err, errUnable)
		}
		return can.Tend(what)
	case assignDevice:
		inUse := can.InUse
		if inUse == nil {
			inUse = nobodyKnows
		}
		answer.assigned, err = loader.Assign(r.assign, inUse)
		return err
	}
	found, err := load(r, f, loader, can.Unpack, &answer.called)
	answer.requests, answer.async, answer.named = found.Requests, found.async, found.NamesFirmware
	if err == nil && r.module.Settings != "" {
		if refused := loader.Set(r.module.Name, r.module.Settings); refused != nil {
			answer.found = cut(refused.Error(), maxWords) // there may be firmware beside it
		}
	}
	answer.firmware, answer.missing = strings.Join(found.Firmware.Missing, "\n"), uint32(found.Firmware.Total)
	return err
}

// cut is the beginning of a text that may be too long.
func cut(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

var errUnable = errors.New("that takes kmodd-tools: install it beside kmodd")

// nobodyKnows is what a worker says of a device that can't tell who uses it.
func nobodyKnows(string) string {
	return "who uses it can't be told without kmodd-tools: install it beside kmodd"
}

// inspected is a module's file, and how its drivers were had to probe because of it.
type inspected struct {
	kernel.Inspection
	async bool
}

// load looks for the module's firmware first: its probes ask for it during the
// call. What the kernel unpacks is not looked into, nor what is known. It notes when the
// call is made.
func load(r request, f *os.File, loader Loader, unpack Unpack, called *time.Duration) (found inspected, err error) {
	m, requests := r.module, r.module.Async != kernel.AsyncNever
	if r.task == loadPlain && !m.Known {
		var st unix.Stat_t
		if unix.Fstat(int(f.Fd()), &st) == nil {
			found.Inspection = loader.Inspect(f, st.Size, requests)
		}
	}
	if r.task != unpackFirst {
		m, found.async = m.Probing(mayRequest(loader, m, found.Requests))
		*called = kernel.SinceBoot()
		return found, loader.Load(m, f, kernel.How(r.task))
	}
	image, err := unpacked(f, unpack)
	if err != nil {
		return found, &kernel.Error{Op: "unpack", Errno: errnoOf(err), Words: err.Error() + ": reinstall the file"}
	}
	defer unix.Munmap(image)
	if !m.Known {
		found.Inspection = loader.Inspect(bytes.NewReader(image), int64(len(image)), requests)
	}
	m, found.async = m.Probing(mayRequest(loader, m, found.Requests))
	*called = kernel.SinceBoot()
	return found, loader.LoadImage(m, image)
}

// mayRequest says whether a module, or any of those that it is to be looked into on its
// account, may have others loaded.
func mayRequest(loader Loader, m kernel.Module, itself kernel.Requests) kernel.Requests {
	for _, file := range m.LookInto {
		if itself != kernel.RequestsNone {
			break
		}
		itself = kernel.MayRequest
		if f, err := os.Open(file); err == nil {
			if st, err := f.Stat(); err == nil {
				itself = loader.Inspect(f, st.Size(), true).Requests
			}
			f.Close()
		}
	}
	return itself
}

// unpacked is what a compressed file holds. It is written to a memfd and
// mapped, because a Go buffer that grows to tens of megabytes takes twice that.
func unpacked(f *os.File, unpack Unpack) ([]byte, error) {
	if unpack == nil {
		return nil, errors.New("this program has no decompressors")
	}
	fd, err := unix.MemfdCreate("module", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make room for the unpacked file: %w", err)
	}
	memory := os.NewFile(uintptr(fd), "module")
	defer memory.Close()
	if err := unpack(memory, f); err != nil {
		return nil, err
	}
	size, err := memory.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return nil, errors.New("it holds nothing")
	}
	return unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE)
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	errors.As(err, &errno)
	return errno
}
