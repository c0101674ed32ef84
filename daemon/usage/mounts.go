package usage

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// mounts is what a look at all mount namespaces has found.
type mounts struct {
	on    map[number]string // where the devices of the walk are mounted, in words
	slow  map[int]bool      // mounts of file systems that may keep a look waiting
	seen  map[string]bool   // namespaces
	kept  map[string]bool   // namespaces that are mounted somewhere
	blind string            // why it has not seen everything, "" if it has
}

// mounted looks at all mount namespaces, once for all devices.
func (q *inquiry) mounted() *mounts {
	if q.mounts != nil {
		return q.mounts
	}
	q.mounts = &mounts{on: map[number]string{}, slow: map[int]bool{}, seen: map[string]bool{}, kept: map[string]bool{}}
	r := mountsReader{q: q, found: q.mounts}
	for i := range q.walk.devices {
		if d := &q.walk.devices[i]; d.hasNode && d.number.block {
			r.wanted = append(r.wanted, d)
		}
	}
	r.namespaces()
	return q.mounts
}

// A mountsReader goes through the mount namespaces of all processes.
type mountsReader struct {
	q      *inquiry
	found  *mounts
	wanted []*device

	tasks kernfs.Dir
	buf   []byte
	err   error // of a line
}

func (r *mountsReader) namespaces() {
	r.buf = make([]byte, 4<<10)
	if at, err := kernfs.Openat(unix.AT_FDCWD, nul(r.q.proc("/self")), unix.O_DIRECTORY); err == nil {
		_ = r.namespace(0, at) // first, since the words for this process's own are shortest
		unix.Close(at)
	}
	err := r.q.eachProcess(r.process)
	if err = cmp.Or(r.err, err); err != nil {
		r.found.blind = fmt.Sprintf("what is mounted can't be seen: %v", err)
	}
	if r.found.blind == "" {
		r.found.blind = r.q.confined()
	}
}

// process looks at the namespaces of a process's threads, which may differ.
func (r *mountsReader) process(pid, at int) error {
	if err := r.tasks.Open(at, nul("task")); err != nil {
		return err
	}
	defer r.tasks.Close()
	for {
		name, _, ok := r.tasks.Next()
		if !ok {
			return r.tasks.Err()
		}
		task, err := kernfs.Openat(r.tasks.Fd(), name, unix.O_DIRECTORY)
		if err != nil {
			continue // it has ended
		}
		err = r.namespace(pid, task)
		unix.Close(task)
		if err != nil && !gone(err) {
			return err
		}
	}
}

// namespace reads the mounts of a thread's namespace, unless they are known. pid
// is 0 for this process's own.
func (r *mountsReader) namespace(pid, at int) error {
	n, err := kernfs.Readlinkat(at, nul("ns/mnt"), r.buf)
	if err != nil {
		return err
	}
	id := parseNamespace(r.buf[:n])
	if id == "" || r.found.seen[id] {
		return nil
	}
	fd, err := kernfs.Openat(at, nul("mountinfo"), 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "mountinfo")
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(r.buf, 1<<20)
	for lines.Scan() {
		r.mount(pid, lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read its mountinfo: %w", err)
	}
	r.found.seen[id] = true
	return nil
}

// mount notes what a line of mountinfo says.
func (r *mountsReader) mount(pid int, line []byte) {
	m, ok := parseMount(line)
	if !ok {
		r.err = fmt.Errorf("a line of mountinfo is not understood: %.100q", line)
		return
	}
	if mayWait(string(m.fstype)) {
		r.found.slow[m.id] = true
	}
	if id := parseNamespace(m.root); id != "" {
		r.found.kept[id] = true
	}
	for _, d := range r.wanted {
		if _, known := r.found.on[d.number]; !known && r.q.uses(m, d) {
			r.found.on[d.number] = mountWords(m, pid)
		}
	}
}

func mountWords(m mount, pid int) string {
	words := "mounted on " + unescape(m.point)
	switch {
	case pid == 0 && string(m.point) == "/":
		words = "the root file system"
	case pid != 0:
		words += fmt.Sprintf(" (in the mount namespace of process %d)", pid)
	}
	return words
}

// uses tells whether a mount is of a file system that is on a device. That of
// btrfs has a number of its own, and names one of its devices; xfs and ext4 may
// have a log on another, which is in the options.
func (q *inquiry) uses(m mount, d *device) bool {
	if m.number == d.number || q.leadsTo(m.source, d) {
		return true
	}
	for option := range bytes.SplitSeq(m.options, []byte(",")) {
		if _, value, ok := bytes.Cut(option, []byte("=")); ok && q.leadsTo(value, d) {
			return true
		}
	}
	return false
}

// leadsTo tells whether what mountinfo has is the path of a block device in /dev.
func (q *inquiry) leadsTo(escaped []byte, d *device) bool {
	return bytes.HasPrefix(escaped, []byte("/dev/")) && q.nodeIs(unescape(escaped[len("/dev/"):]), d)
}

// nodeIs tells whether a path below /dev is a block device's: by its name, or by
// the number of what is there.
func (q *inquiry) nodeIs(name string, d *device) bool {
	if name == strings.ReplaceAll(d.name(), "!", "/") {
		return true
	}
	f, err := q.kernel.stat(unix.AT_FDCWD, q.dev(name))
	return err == nil && f.kind == unix.S_IFBLK && f.node == d.number
}

// hidden says that a mount namespace is kept though no process is in it, and ""
// if there is none such: what is mounted there can't be seen.
func (q *inquiry) hidden() string {
	m := q.mounted()
	for _, kept := range []map[string]bool{m.kept, q.openFiles().kept} {
		for id := range kept {
			if !m.seen[id] {
				return fmt.Sprintf("what is mounted in the mount namespace %s can't be seen: no process is in it", id)
			}
		}
	}
	return ""
}
