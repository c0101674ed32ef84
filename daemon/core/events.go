package core

import (
	"syscall"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
)

// An Event is something that happened outside of the machine.
type Event interface{ event() }

type (
	// Seen tells of a device that is present: Scan is the number of the scan
	// that met it, 0 for an add uevent.
	Seen struct {
		Device rules.Device
		Scan   uint32
	}

	// Gone tells of a device that was removed.
	Gone struct{ Path string }

	// Moved tells that a device, and with it all below it, has another path.
	Moved struct{ From, To string }

	// Bound tells that a driver took a device, or with an empty Driver that
	// it let go of it.
	Bound struct{ Path, Driver string }

	// ModuleIs tells the state of a module: control.Live and control.Absent
	// from the kernel's uevents, these and control.Coming and control.Going
	// from a scan of /sys/module (with its number) or as the answer to a
	// [LookModule].
	ModuleIs struct {
		Name  string
		State control.State
		Scan  uint32
	}

	// Scanned ends a scan: devices and modules that it did not meet are gone,
	// unless it had to skip something.
	Scanned struct {
		Scan    uint32
		Skipped int
	}

	// Lost tells that uevents were lost: the socket's buffer overflowed.
	Lost struct{}

	// Done is the end of a load. It may never come. Errno is 0 for success;
	// Says is the outcome in words. With Unasked the kernel was not asked at
	// all, for want of memory, descriptors or processes.
	Done struct {
		Op      OpID
		Errno   syscall.Errno
		Says    string
		Unasked bool
	}

	// Looked answers a [Look]: the driver that has the device, and whether the
	// device waits for a supplier.
	Looked struct {
		Path     string
		Driver   string
		Deferred bool
	}

	// NewRules brings tables and configuration, the first ones or changed
	// ones. Everything is decided again.
	NewRules struct{ Set *rules.Set }

	// Asked is a request over the control socket, any but a
	// control.ReloadRequest. It is answered by one [Reply].
	Asked struct {
		ID      uint64
		Request control.Request
	}

	// Tick is the passing of time alone. Any other event does as well.
	Tick struct{}
)

func (Seen) event()     {}
func (Gone) event()     {}
func (Moved) event()    {}
func (Bound) event()    {}
func (ModuleIs) event() {}
func (Scanned) event()  {}
func (Lost) event()     {}
func (Done) event()     {}
func (Looked) event()   {}
func (NewRules) event() {}
func (Asked) event()    {}
func (Tick) event()     {}

// An Effect is something that the machine wants done.
type Effect interface{ effect() }

// An OpID names one load, from its Load to its Done. It is never 0.
type OpID uint64

type (
	// Load asks for a module to be put in by a worker.
	Load struct {
		Op   OpID
		Step rules.Step
	}

	// Abandon says that a load is not waited for any more: its worker must
	// not hold up another load. Its Done is welcome all the same.
	Abandon struct{ Op OpID }

	// Rescan asks for a scan of sysfs, which ends with a [Scanned] of that
	// number.
	Rescan struct{ Scan uint32 }

	// Look asks what has become of a device. The answer, a [Looked], is the
	// next thing that the machine is told: what is still on its way then may
	// be older, and ends with what the answer says or with something newer.
	Look struct{ Path string }

	// LookModule asks for the state of a module, in the same way: the answer
	// is a [ModuleIs].
	LookModule struct{ Name string }

	// Reply answers an [Asked]. Value is of the type that the request is
	// documented to be answered with and shares nothing with the machine; Err
	// says that there is nothing to tell.
	Reply struct {
		ID    uint64
		Value any
		Err   error
	}

	// Note tells people what happened.
	Note struct{ control.Note }
)

func (Load) effect()       {}
func (Abandon) effect()    {}
func (Rescan) effect()     {}
func (Look) effect()       {}
func (LookModule) effect() {}
func (Reply) effect()      {}
func (Note) effect()       {}
