package uevent

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// The states of a module that is in the kernel, in the words of
// /sys/module/NAME/initstate.
const (
	Coming = "coming" // its init function runs, or waits to
	Live   = "live"
	Going  = "going"
)

// A Scanner finds out from sysfs what is there. Its buffers are used again by
// each scan; it serves one goroutine.
//
// Devices are looked for in bus/*/devices and class/*, not by walking the tree
// below devices: the kernel sends uevents for a device only if it is on a bus
// or in a class (dev_uevent_filter in drivers/base/core.c), so the two hold
// every device that a uevent could tell of, while the tree has two or three
// directories for each of them. What is listed there are symbolic links, whose
// targets are the DEVPATHs, and the subsystem is the directory's name.
type Scanner struct {
	sys     []byte     // ends with a NUL
	outer   kernfs.Dir // of buses, classes or modules
	inner   kernfs.Dir // of one bus's or class's devices
	path    [512]byte
	link    [unix.PathMax]byte
	driver  [256]byte     // a link's last part is at most 255 bytes (NAME_MAX), what stands before it is short
	content [4 << 10]byte // an environment has 2,048 bytes at most, an attribute a page
	event   Event
	all     []byte // room for an environment, if all of it is wanted; nil if not
	skipped int
	stopped bool
}

// NewScanner returns a Scanner of the sysfs that is mounted at sys, usually
// /sys.
func NewScanner(sys string) *Scanner {
	return &Scanner{sys: append([]byte(sys), 0)}
}

// NewWholeScanner returns one that reads the whole environment of each device, so
// that [Event.Variable] and [Event.Environment] have it. On many kernels that waits
// for a probe that is under way: see [Scanner.Devices].
func NewWholeScanner(sys string) *Scanner {
	s := NewScanner(sys)
	s.variables(true)
	return s
}

// Devices calls each for every device that has a MODALIAS, in no particular
// order, until it returns false. The event has Path, Subsystem, Driver and
// Modalias, all of which are valid during the call only.
//
// MODALIAS comes from the attribute modalias, or if the bus has none (MDIO,
// memory cards, processors) from the device's uevent file. That one is not read
// where it can be helped: many kernels take the device's lock to show it
// (uevent_show in drivers/base/core.c, Debian's 6.1 among them), which whoever
// probes the device has, and a probe may last for ever. Driver is the target of
// the link of that name, which is there from the beginning of a probe on.
//
// A device that disappears while it is being looked at is passed over. One that
// can't be read for another reason is counted in skipped. An error means that
// nothing could be read.
func (s *Scanner) Devices(each func(*Event) bool) (skipped int, err error) {
	s.skipped, s.stopped = 0, false
	root, err := kernfs.Openat(unix.AT_FDCWD, s.sys, unix.O_DIRECTORY)
	if err != nil {
		return 0, s.failed(err)
	}
	defer unix.Close(root)
	if err := s.subsystems(root, "bus\x00", "/devices\x00", each); err != nil {
		return s.skipped, s.failed(err)
	}
	return s.skipped, s.ifPresent(s.subsystems(root, "class\x00", "\x00", each))
}

// failed explains why sysfs can't be read, nil if it can.
func (s *Scanner) failed(err error) error {
	if err == nil {
		return nil
	}
	sys := s.sys[:len(s.sys)-1]
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("scan %s: %w (no sysfs there: mount -t sysfs sysfs %[1]s)", sys, err)
	}
	return fmt.Errorf("scan %s: %w", sys, err)
}

// subsystems goes through the directory of all buses or of all classes. below
// says where in each of them the devices are.
func (s *Scanner) subsystems(root int, all, below string, each func(*Event) bool) error {
	if err := s.outer.Open(root, append(s.path[:0], all...)); err != nil {
		return err
	}
	defer s.outer.Close()
	for !s.stopped {
		name, _, ok := s.outer.Next()
		if !ok {
			return s.outer.Err()
		}
		name = name[:len(name)-1]
		if err := s.inner.Open(s.outer.Fd(), s.join(name, below)); err != nil {
			s.skip(err)
			continue
		}
		s.devices(name, each)
	}
	return nil
}

// devices goes through the opened directory of one subsystem's devices. What
// is not a link there are attributes of the class.
func (s *Scanner) devices(subsystem []byte, each func(*Event) bool) {
	defer s.inner.Close()
	for !s.stopped {
		name, kind, ok := s.inner.Next()
		if !ok {
			s.skip(s.inner.Err())
			return
		}
		if kind != unix.DT_LNK {
			continue
		}
		s.event = Event{Subsystem: subsystem}
		if err := s.device(name, &s.event); err != nil {
			s.skip(err)
			continue
		}
		if len(s.event.Modalias) > 0 && !each(&s.event) {
			s.stopped = true
		}
	}
}

// device reads one device, and leaves the path of one without a MODALIAS
// alone.
func (s *Scanner) device(name []byte, e *Event) error {
	if err := s.modalias(name, e); err != nil || len(e.Modalias) == 0 {
		return err
	}
	s.driverOf(name, e)
	n, err := kernfs.Readlinkat(s.inner.Fd(), name, s.link[:])
	if err != nil {
		return err
	}
	if e.Path, err = devpath(s.link[:n]); err != nil || s.all == nil {
		return err
	}
	e.env, err = kernfs.Readat(s.inner.Fd(), s.join(name[:len(name)-1], "/uevent\x00"), s.all)
	return err
}

// variables has the scans to come read the whole environment of each device, or
// only what they need.
func (s *Scanner) variables(wanted bool) {
	switch {
	case !wanted:
		s.all = nil
	case s.all == nil:
		s.all = make([]byte, len(s.content))
	}
}

// modalias reads a device's MODALIAS.
func (s *Scanner) modalias(name []byte, e *Event) error {
	content, err := kernfs.Readat(s.inner.Fd(), s.join(name[:len(name)-1], "/modalias\x00"), s.content[:])
	switch {
	case err == nil:
		// Of an ACPI device with a device tree's names as well there are two
		// lines, and the uevent has the second (drivers/acpi/device_sysfs.c).
		content = bytes.TrimRight(content, "\n")
		e.describe([]byte("MODALIAS"), content[bytes.LastIndexByte(content, '\n')+1:])
		return nil
	case !errors.Is(err, unix.ENOENT):
		return err
	}
	if content, err = kernfs.Readat(s.inner.Fd(), s.join(name[:len(name)-1], "/uevent\x00"), s.content[:]); err != nil {
		return err
	}
	e.parseFile(content)
	e.Driver, e.Type = nil, nil
	return nil
}

// driverOf reads which driver a device has.
func (s *Scanner) driverOf(name []byte, e *Event) {
	n, err := kernfs.Readlinkat(s.inner.Fd(), s.join(name[:len(name)-1], "/driver\x00"), s.driver[:])
	if err == nil && n < len(s.driver) {
		e.Driver = s.driver[bytes.LastIndexByte(s.driver[:n], '/')+1 : n]
	}
}

// devpath cuts the DEVPATH out of a link such as ../../../devices/pci0000:00.
func devpath(target []byte) ([]byte, error) {
	up := 0
	for bytes.HasPrefix(target[up:], []byte("../")) {
		up += len("../")
	}
	if up == 0 || !bytes.HasPrefix(target[up:], []byte("devices/")) {
		return nil, unix.EINVAL
	}
	return target[up-1:], nil
}

// Modules calls each for every module in the kernel, with its name, which is
// valid during the call only, and its state, until it returns false. skipped
// is as in Devices.
//
// A directory without initstate is passed over: it belongs to a built-in
// module with parameters, or to a module that is only just being set up, and
// then a uevent says when it is live.
func (s *Scanner) Modules(each func(name []byte, state string) bool) (skipped int, err error) {
	s.skipped = 0
	root, err := kernfs.Openat(unix.AT_FDCWD, s.sys, unix.O_DIRECTORY)
	if err != nil {
		return 0, s.failed(err)
	}
	defer unix.Close(root)
	if err := s.outer.Open(root, append(s.path[:0], "module\x00"...)); err != nil {
		return 0, s.ifPresent(err)
	}
	defer s.outer.Close()
	for {
		name, _, ok := s.outer.Next()
		if !ok {
			return s.skipped, s.failed(s.outer.Err())
		}
		name = name[:len(name)-1]
		state := s.initstate(name)
		if state != "" && !each(name, state) {
			return s.skipped, nil
		}
	}
}

// initstate returns the state of a module, "" if it has none that is known.
func (s *Scanner) initstate(name []byte) string {
	content, err := kernfs.Readat(s.outer.Fd(), s.join(name, "/initstate\x00"), s.content[:])
	if err != nil {
		s.skip(err)
		return ""
	}
	for _, state := range [...]string{Live, Coming, Going} {
		if string(bytes.TrimSuffix(content, []byte("\n"))) == state {
			return state
		}
	}
	s.skip(unix.EINVAL)
	return ""
}

// join puts a path together, in a buffer that the next call takes again.
func (s *Scanner) join(name []byte, below string) []byte {
	return append(append(s.path[:0], name...), below...)
}

// skip counts what could not be read, unless it has gone or nothing was wrong.
func (s *Scanner) skip(err error) {
	if err != nil && !vanished(err) {
		s.skipped++
	}
}

// ifPresent is failed for a directory that a sysfs may lack.
func (s *Scanner) ifPresent(err error) error {
	if vanished(err) {
		return nil
	}
	return s.failed(err)
}

// vanished tells whether an error means that a device has gone: its directory
// has (ENOENT), or only its attributes are dead already (ENODEV from kernfs,
// ENXIO from some buses).
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO)
}
