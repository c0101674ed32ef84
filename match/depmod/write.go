package depmod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Write writes the files into a directory, which it makes if it isn't there. Each
// takes its place by rename, when all of them are on the disk, so that nobody
// ever sees half of one, and after an error or a loss of power they are as they
// were, or some of them new. modules.dep is the last one, so that
// [Tree.UpToDate] finds old tables old. What others have left there that were killed
// in the middle, it removes before, since it may be what there is no room for.
func (t *Tables) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	w := &writing{dir: dir, made: make([]made, len(files))}
	defer w.remove()
	w.sweep()
	var makers sync.WaitGroup
	for i, of := range files {
		makers.Go(func() { w.made[i] = w.write(t, of) })
	}
	makers.Wait()
	if err := w.tell(t.listener); err != nil {
		return err
	}
	if err := w.date(t.begun); err != nil {
		return err
	}
	return w.rename()
}

// A writing is the work on one directory.
type writing struct {
	dir  string
	made []made // one for each of files
}

// A made is a file under the name that it has until it is whole.
type made struct {
	file     *os.File // under its temporary name, and locked; nil if there is none
	skip     bool     // the table is not for this tree: what is there of it goes
	messages []Message
	err      error
}

// write makes a table and writes it, so that it is on the disk.
func (w *writing) write(t *Tables, of table) (m made) {
	data, err := of.make(t, Listener{Say: func(said Message) { m.messages = append(m.messages, said) }})
	if err != nil {
		m.err = err
		return m
	}
	if m.skip = of.optional && len(data) == 0; m.skip {
		return m
	}
	f, err := os.OpenFile(filepath.Join(w.dir, temporary(of.name, os.Getpid(), time.Now().UnixNano())), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		m.err = err
		return m
	}
	m.file = f
	_ = lock(f) // where there are no locks nothing is swept
	_, err = f.Write(data)
	m.err = errors.Join(err, f.Sync())
	return m
}

// temporary is the name of a table that a process has made at a time, in nanoseconds:
// nobody else has it.
func temporary(table string, pid int, at int64) string {
	return fmt.Sprintf("%s.%d.%d", table, pid, at)
}

// lock locks a file, unless another process has.
func lock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// Between making a file and locking it there is a moment, so a file of this time is
// never one that was left. Names with a time before the year 2001 are somebody's own.
const (
	moment  = 10 * time.Second
	current = 1e18
)

// sweep removes temporary files of those who were killed. What it can't is left as
// untidy as it was.
func (w *writing) sweep() {
	entries, _ := os.ReadDir(w.dir)
	for _, e := range entries {
		for _, of := range files {
			var pid int
			var at int64
			if _, err := fmt.Sscanf(e.Name(), of.name+".%d.%d", &pid, &at); err != nil || e.Name() != temporary(of.name, pid, at) {
				continue
			}
			if pid > 0 && at >= current && time.Since(time.Unix(0, at)).Abs() > moment && e.Type().IsRegular() {
				removeUnlocked(filepath.Join(w.dir, e.Name()))
			}
		}
	}
}

func removeUnlocked(name string) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if lock(f) == nil {
		_ = os.Remove(name)
	}
}

// tell passes on what was said when the files were made, and the first of the errors:
// a full disk is one to all of them.
func (w *writing) tell(l Listener) error {
	var first error
	more := 0
	for _, m := range w.made {
		for _, said := range m.messages {
			l.say(said.Level, "%s", said.Says)
		}
		switch {
		case m.err == nil:
		case first == nil:
			first = m.err
		default:
			more++
		}
	}
	if more > 0 {
		return fmt.Errorf("%w (and so for %d more of the tables)", first, more)
	}
	return first
}

// date has modules.dep be as old as what is in the tables: a module that came
// while they were made is newer.
func (w *writing) date(begun time.Time) error {
	return os.Chtimes(w.made[0].file.Name(), begun, begun)
}

// rename puts the files in their places.
func (w *writing) rename() error {
	for i := range files {
		i = len(files) - 1 - i
		place, m := filepath.Join(w.dir, files[i].name), &w.made[i]
		if m.skip {
			if err := remove(place); err != nil {
				return err
			}
			continue
		}
		if err := os.Rename(m.file.Name(), place); err != nil {
			return err
		}
		m.file.Close()
		m.file = nil
	}
	d, err := os.Open(w.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// remove removes a file that may not be there.
func remove(file string) error {
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// remove removes what has not got to its place.
func (w *writing) remove() {
	for _, m := range w.made {
		if m.file != nil {
			_ = os.Remove(m.file.Name())
			m.file.Close()
		}
	}
}

// now is the time by the clock that dates files, which is a little slow
// (current_time in fs/inode.c).
func now() time.Time {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &at); err != nil {
		return time.Now()
	}
	return time.Unix(at.Unix())
}
