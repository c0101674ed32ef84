package worker

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile"
)

// A program is what a worker runs.
type program struct{ path, name string }

// itself is this program, even if its file has been replaced or removed.
var itself = program{"/proc/self/exe", Name}

// ablePlaces are the places where kmodd-tools may be, or kmodctl, which takes longer
// to start and does the same.
func ablePlaces() []string {
	const tools, kmodctl = "kmodd-tools", "kmodctl"
	beside := "/usr/sbin"
	if exe, err := os.Readlink("/proc/self/exe"); err == nil {
		beside = filepath.Dir(exe)
	}
	return []string{filepath.Join(beside, tools), "/usr/lib/kmodd/" + tools, filepath.Join(beside, kmodctl), "/usr/bin/" + kmodctl}
}

// choose says which program loads a file, and how.
func (p *Pool) choose(m kernel.Module, f moduleFile) (program, task, error) {
	switch packing := kofile.Packing(f); packing {
	case "":
		return itself, loadPlain, nil
	case p.native:
		return itself, loadPacked, nil
	default:
		if able, ok := p.ableProgram(); ok {
			return able, unpackFirst, nil
		}
		return program{}, 0, &kernel.Error{Op: "unpack", Module: m.Name, File: m.File,
			Words: "this kernel does not unpack " + packing + " and there is no kmodd-tools to do it in " +
				strings.Join(p.able, ", ") + ": install kmodd-tools beside kmodd"}
	}
}

// ableProgram finds the program that has abilities.
func (p *Pool) ableProgram() (program, bool) {
	for _, place := range p.able {
		if unix.Access(place, unix.X_OK) == nil {
			return program{place, AbleName}, true
		}
	}
	return program{}, false
}

// A process is one worker. Only the call that has it uses it; end and leave
// may come from anywhere, once.
type process struct {
	program program
	process *os.Process
	socket  *os.File
	began   time.Duration // since the kernel's start
	calls   int           // handed to it so far
	expiry  *time.Timer   // of an idle one; guarded by the pool's mutex
	over    sync.Once
}

// start makes a worker process. It waits for the program to be executed, not
// for it to answer.
func start(k program) (*process, error) {
	began := kernel.SinceBoot()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "worker")
	defer theirs.Close()
	// Only our end is non-blocking, for the runtime's poller.
	if err := unix.SetNonblock(pair[0], true); err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("set up a socket pair: %w", err)
	}
	ours := os.NewFile(uintptr(pair[0]), "worker")
	child, err := execute(k, theirs)
	if err != nil {
		ours.Close()
		return nil, err
	}
	return &process{program: k, process: child, socket: ours, began: began}, nil
}

func execute(k program, theirs *os.File) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return os.StartProcess(k.path, []string{k.name}, &os.ProcAttr{
		Dir:   "/",
		Env:   environment,
		Files: []*os.File{null, null, os.Stderr, theirs},
		// Not a session of its own: by those the kernel shares out the processors
		// before it looks at any priority (sched(7), autogroup).
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
}

// environment is all that a worker gets: nothing of the daemon's, such as
// NOTIFY_SOCKET. Huge pages would cost 4 MB, the signals by which the Go
// runtime preempts goroutines could interrupt a wait in the kernel, and to
// follow a control group's processor limit the runtime holds its files open.
var environment = []string{
	"GOMAXPROCS=1",
	"GODEBUG=disablethp=1,asyncpreemptoff=1,containermaxprocs=0,updatemaxprocs=0",
}

// send passes a request, as a packet, and a file, unless that is noFile. The
// socket's buffer is empty, since a worker has one request at a time, so this
// does not wait.
func (w *process) send(packet []byte, f moduleFile) error {
	if len(packet) > maxRequest {
		return unix.EMSGSIZE
	}
	raw, err := w.socket.SyscallConn()
	if err != nil {
		return err
	}
	w.calls++
	var rights []byte
	if f != noFile {
		rights = unix.UnixRights(int(f))
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		sent = unix.Sendmsg(int(fd), packet, rights, nil, unix.MSG_NOSIGNAL)
		return sent != unix.EAGAIN
	})
	if err != nil {
		return err
	}
	return sent
}

// answer waits for a worker's answer, for as long as it takes.
func (w *process) answer() (r *reply, err error) {
	raw, err := w.socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		r, failed = receiveReply(int(fd))
		return failed != unix.EAGAIN
	})
	if err != nil {
		return nil, err
	}
	return r, failed
}

// replies holds buffers for answers. Those who wait for one have none.
var replies = sync.Pool{New: func() any { return new([maxReply]byte) }}

func receiveReply(fd int) (*reply, error) {
	packet := replies.Get().(*[maxReply]byte)
	defer replies.Put(packet)
	n, err := unix.Read(fd, packet[:])
	switch {
	case err == unix.EINTR:
		return receiveReply(fd)
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	return parseReply(packet[:n])
}

// end tells a worker that nothing more comes, upon which an idle one ends,
// waits for that and says how it ended. Until the process has let go of its
// end of the socket, no thread of ours is blocked.
func (w *process) end() (state string) {
	w.over.Do(func() {
		if raw, err := w.socket.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) }) // it may have gone already
		}
		_, _ = w.socket.Read(make([]byte, 1)) // until its end, which is an error
		w.socket.Close()
		status, err := w.process.Wait()
		if err != nil {
			state = err.Error()
			return
		}
		if state = status.String(); status.ExitCode() == exitOops {
			state = "the kernel ended its thread"
		}
	})
	return state
}

// leave closes the socket and forgets the process, which may be in the kernel.
func (w *process) leave() {
	w.over.Do(func() {
		w.socket.Close()
		w.process.Release()
	})
}

// closeOnExec marks all descriptors but the standard ones to be closed in
// programs that this process starts. Those that Go opened are marked already,
// those that it was started with are not.
func closeOnExec() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list the open files of this process: %w (is /proc mounted?)", err)
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
