package usage

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// processes is what a look at the files that processes have open has found.
type processes struct {
	opened map[number]opener // who has the devices of the walk open
	kept   map[string]bool   // mount namespaces that somebody has open
	blind  string            // why it has not seen everything, "" if it has
}

// An opener has a device open, or a file of the file system on it.
type opener struct {
	pid    int
	name   string
	onlyOn bool // a file on it
}

func (o opener) String() string { return fmt.Sprintf("process %d (%s)", o.pid, o.name) }

// open tells who has a device open, and if nobody was seen, why that may be
// wrong.
func (q *inquiry) open(n number) (who opener, is bool, blind string) {
	p := q.openFiles()
	who, is = p.opened[n]
	return who, is, p.blind
}

// openFiles looks at all processes, once for all devices.
func (q *inquiry) openFiles() *processes {
	if q.processes != nil {
		return q.processes
	}
	p := &processes{opened: map[number]opener{}, kept: map[string]bool{}}
	q.processes = p
	m := q.mounted() // which file systems are not to be touched
	r := filesReader{q: q, found: p, slow: m.slow}
	for i := range q.walk.devices {
		if d := &q.walk.devices[i]; d.hasNode {
			r.wanted = append(r.wanted, d.number)
		}
	}
	if err := q.eachProcess(r.process); err != nil {
		p.blind = fmt.Sprintf("who has files open can't be seen: %v", err)
	}
	if p.blind == "" {
		p.blind = q.confined()
	}
	return p
}

// eachProcess calls each with the number and the directory of every process,
// and returns the first error: a process may not be looked at, say.
func (q *inquiry) eachProcess(each func(pid int, at int) error) (failed error) {
	var all kernfs.Dir
	if err := all.Open(unix.AT_FDCWD, nul(q.proc(""))); err != nil {
		return &os.PathError{Op: "open", Path: q.proc(""), Err: err}
	}
	defer all.Close()
	for {
		name, _, ok := all.Next()
		if !ok {
			return cmp.Or(failed, all.Err())
		}
		pid, err := strconv.Atoi(string(name[:len(name)-1]))
		if err != nil {
			continue
		}
		at, err := kernfs.Openat(all.Fd(), name, unix.O_DIRECTORY)
		if err == nil {
			err = each(pid, at)
			unix.Close(at)
		}
		if failed == nil && err != nil && !gone(err) {
			failed = fmt.Errorf("process %d: %w", pid, err)
			if errors.Is(err, os.ErrPermission) {
				failed = fmt.Errorf("%w: that takes root, with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH", failed)
			}
		}
	}
}

// initialPIDs is the link of the first namespace of processes (PROC_PID_INIT_INO
// in include/linux/proc_ns.h).
const initialPIDs = "pid:[4026531836]"

// confined says why there may be processes that /proc does not list.
func (q *inquiry) confined() string {
	var link [64]byte
	n, err := kernfs.Readlinkat(unix.AT_FDCWD, nul(q.proc("/self/ns/pid")), link[:])
	if err == nil && string(link[:n]) != initialPIDs {
		return "this is a container, from which not all processes can be seen"
	}
	for _, always := range []struct{ file, without string }{
		{"/self", "there is no /proc in which processes could be seen"},
		// Whoever may look at process 1, which has all capabilities, may look at all.
		{"/1", "/proc hides processes (its option hidepid, or systemd's ProtectProc), and shows them to CAP_SYS_PTRACE only"},
		{"/filesystems", "/proc has nothing but processes (its option subset, or systemd's ProcSubset)"},
	} {
		if !kernfs.Exists(unix.AT_FDCWD, nul(q.proc(always.file))) {
			return always.without
		}
	}
	return ""
}

// A filesReader goes through the files that processes have open.
type filesReader struct {
	q      *inquiry
	found  *processes
	wanted []number
	slow   map[int]bool // mounts that must not be touched

	fds, tasks kernfs.Dir
	buf        [4 << 10]byte
}

// process looks at one process. Where its first thread has ended, and others
// have not, the files are theirs.
func (r *filesReader) process(pid, at int) error {
	n, err := r.files(pid, at)
	if n > 0 || err != nil && !gone(err) {
		return err
	}
	if err := r.tasks.Open(at, nul("task")); err != nil {
		return err
	}
	defer r.tasks.Close()
	for n == 0 {
		name, _, ok := r.tasks.Next()
		if !ok {
			return r.tasks.Err()
		}
		task, err := kernfs.Openat(r.tasks.Fd(), name, unix.O_DIRECTORY)
		if err != nil {
			continue // it has ended
		}
		n, err = r.files(pid, task)
		unix.Close(task)
		if err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

// files looks at the files that a thread has open, and says how many these are.
func (r *filesReader) files(pid, at int) (n int, err error) {
	for _, name := range []string{"cwd", "root"} {
		if err := r.file(pid, at, at, nul(name), ""); err != nil {
			return 0, err
		}
	}
	if err := r.fds.Open(at, nul("fd")); err != nil {
		return 0, err
	}
	defer r.fds.Close()
	for {
		name, _, ok := r.fds.Next()
		if !ok {
			return n, r.fds.Err()
		}
		n++
		if err := r.file(pid, at, r.fds.Fd(), name, "fdinfo/"); err != nil && !gone(err) {
			return n, err
		}
	}
}

// file looks at one file, name below the directory dir. info is where the kernel
// tells of it below the process's directory at.
func (r *filesReader) file(pid, at, dir int, name []byte, info string) error {
	n, err := kernfs.Readlinkat(dir, name, r.buf[:])
	if errors.Is(err, unix.ENAMETOOLONG) {
		n, err = copy(r.buf[:], "/"), nil
	}
	if err != nil {
		return err
	}
	link := r.buf[:n]
	if id := parseNamespace(link); id != "" {
		r.found.kept[id] = true
	}
	if n == 0 || link[0] != '/' { // a socket, a pipe or the like
		return nil
	}
	file := string(name[:len(name)-1])
	if len(r.slow) > 0 && (info == "" || r.isSlow(at, info+file)) {
		return nil
	}
	f, err := r.q.kernel.stat(dir, file)
	if errors.Is(err, os.ErrPermission) { // a security module's
		return err
	}
	if err != nil {
		return nil // it has been closed, or says nothing
	}
	for _, w := range r.wanted {
		if _, known := r.found.opened[w]; !known && f.opens(w) {
			r.found.opened[w] = opener{pid: pid, name: r.command(at), onlyOn: f.node != w}
		}
	}
	return nil
}

// isSlow tells whether a file is on a mount that must not be touched, or on one
// that is not known.
func (r *filesReader) isSlow(at int, info string) bool {
	text, err := kernfs.Readat(at, nul(info), r.buf[:])
	if err != nil {
		return true
	}
	id, ok := parseMountID(text)
	return !ok || r.slow[id]
}

// command is the name of a process.
func (r *filesReader) command(at int) string {
	text, _ := kernfs.Readat(at, nul("comm"), r.buf[:])
	return strings.TrimSpace(string(text))
}

// nul makes a path as system calls want it.
func nul(p string) []byte { return append([]byte(p), 0) }
