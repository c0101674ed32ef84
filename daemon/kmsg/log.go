package kmsg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"
)

// File is where the kernel gives its log.
const File = "/dev/kmsg"

// The bounds of what is kept and told.
const (
	kept       = 24  // records
	longest    = 200 // bytes of one record's text
	longestTag = 56  // bytes of one record's device
	told       = 6   // lines for one question
	keptMissed = 256 // files that were missing, each for one device
)

// A Log is the kernel's log, from the oldest record that it has. Its methods must be called by
// one goroutine at a time. A nil Log has no records.
type Log struct {
	fd     int
	next   uint64  // the number of the record after the last one that was read
	recent []entry // a ring, and behind it the first line of the last oops, whose other lines fill the ring; nil while nobody asks
	buf    []byte
	missed []missed // the last ones, the oldest first
}

// A missed file is firmware that the kernel has looked for in vain, for a
// device. There are few, and they are asked for long after, so they are kept
// apart from what was said last. One driver may miss one file for each of the
// hundreds of functions of a card.
type missed struct{ device, file string }

// An entry is a record that was read, the last one of its number modulo kept.
type entry struct {
	seq           uint64
	level         uint8
	textN, devN   uint8
	text          [longest]byte
	device        [longestTag]byte
	cut, occupied bool
}

// Open opens a log. It takes CAP_SYSLOG where kernel.dmesg_restrict is set.
func Open(file string) (*Log, error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the kernel's log %s: %w", file, err)
	}
	return &Log{fd: fd}, nil
}

// All hands every record that the kernel still has to visit, the oldest first.
// The record's texts are good until visit returns.
func All(file string, visit func(Record)) error {
	l, err := Open(file)
	if err != nil {
		return err
	}
	defer l.Close()
	l.New(visit)
	return nil
}

// Close closes it.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	return unix.Close(l.fd)
}

// Now returns the number of the record that the kernel writes next: a
// [Question] that begins there is about what comes from now on.
func (l *Log) Now() uint64 {
	if l == nil {
		return 0
	}
	l.read()
	return l.next
}

// Release lets go of the memory for what was read.
func (l *Log) Release() {
	if l != nil {
		l.recent, l.buf = nil, nil
	}
}

// A Question asks for the lines that are about a module's load or a device.
type Question struct {
	Module string // "" for none
	Since  uint64 // for a module: from this record on
	Failed bool   // its load failed: lines that name nobody may be about it
	Bus    string // of a device, "" for none
	Device string // the device's name on its bus
}

// About returns the lines that answer a question, at most a handful, the oldest
// first. A line that is too long ends with dots.
func (l *Log) About(q Question) []string {
	if l == nil {
		return nil
	}
	l.read()
	lines := l.choose(func(r Record) bool {
		return r.Is(q.Bus, q.Device) && !r.by(q.Bus) || q.since(r) && (r.Names(q.Module) || q.Failed && r.urgent())
	})
	if len(lines) == 0 {
		lines = l.choose(func(r Record) bool { return q.since(r) && q.orphan(r) })
	}
	return lines
}

// since tells whether a record may be about the module in question.
func (q Question) since(r Record) bool {
	return q.Module != "" && r.Seq >= q.Since && !bytes.HasPrefix(r.Text, []byte("Modules linked in:"))
}

// orphan tells whether a record may be about a load that failed because it
// names nobody else.
func (q Question) orphan(r Record) bool { return q.Failed && len(r.Device) == 0 && !r.Signed() }

// Missing lists the firmware files that the kernel has looked for in vain for a
// device, since its start if its log reaches back so far: an earlier daemon, or
// that of an initramfs, may have put the driver in.
func (l *Log) Missing(bus, device string) (files []string) {
	if l == nil {
		return nil
	}
	l.read()
	for _, m := range l.missed {
		if isDevice([]byte(m.device), bus, device) {
			files = append(files, m.file)
		}
	}
	return files
}

// choose returns the texts of the records that are wanted.
func (l *Log) choose(wanted func(Record) bool) (lines []string) {
	if l.recent == nil {
		return nil
	}
	first := l.next - min(l.next, kept)
	if oops := &l.recent[kept]; oops.occupied && oops.seq < first && wanted(oops.record()) {
		lines = append(lines, oops.line())
	}
	for seq := first; seq < l.next && len(lines) < told; seq++ {
		if e := &l.recent[seq%kept]; e.occupied && e.seq == seq && wanted(e.record()) {
			lines = append(lines, e.line())
		}
	}
	return lines
}

// line is the entry's text for people.
func (e *entry) line() string {
	if e.cut {
		return string(e.text[:e.textN]) + "..."
	}
	return string(e.text[:e.textN])
}

// read takes in what the kernel has written since the last time.
func (l *Log) read() {
	if l.recent == nil {
		l.recent, l.buf = make([]entry, kept+1), make([]byte, readSize)
	}
	each(l.fd, l.buf, l.keep)
}

// readSize is room for a record of nearly any length: the longest there may be
// are eight times as long.
const readSize = 1024

// atOnce is how many records are read at once: more than a log of 16 MiB has. A
// driver that writes faster than we read must not keep us for ever.
const atOnce = 1 << 18

// each reads records until there are no more. If there are more than atOnce it
// passes over what else there is (devkmsg_llseek in kernel/printk/printk.c).
func each(fd int, buf []byte, visit func(Record)) {
	for range atOnce {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EPIPE): // it wrote more than the log holds: reading goes on with the oldest
		case errors.Is(err, unix.EINVAL): // a record longer than the buffer, which is passed over
		case errors.Is(err, unix.EINTR):
		case err != nil || n == 0: // EAGAIN: there is no more
			return
		default:
			if r, ok := Parse(buf[:n]); ok {
				visit(r)
			}
		}
	}
	_, _ = unix.Seek(fd, 0, io.SeekEnd) // the kernel lets anybody
}

func (l *Log) keep(r Record) {
	l.recent[r.Seq%kept].set(r)
	if r.oops() {
		l.recent[kept].set(r)
	}
	l.next = r.Seq + 1
	if file := firmware(r.Text); file != "" && len(r.Device) > 0 {
		l.miss(missed{string(r.Device), file})
	}
}

func (e *entry) set(r Record) {
	e.seq, e.level, e.occupied = r.Seq, uint8(r.Level), true
	e.textN, e.cut = uint8(copy(e.text[:], r.Text)), len(r.Text) > longest
	e.devN = uint8(copy(e.device[:], r.Device))
}

func (l *Log) miss(m missed) {
	if slices.Contains(l.missed, m) {
		return
	}
	if len(l.missed) == keptMissed {
		l.missed = slices.Delete(l.missed, 0, 1)
	}
	l.missed = append(l.missed, m)
}

func (e *entry) record() Record {
	return Record{Level: int(e.level), Seq: e.seq, Text: e.text[:e.textN], Device: e.device[:e.devN]}
}
