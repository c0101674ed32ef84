package uevent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A Sink takes what a [Source] learns. All methods are called from the one
// goroutine of [Source.Run], and everything they are given is valid until they
// return. While one of them runs the kernel's events wait in the socket's
// receive buffer, so a Sink may block for a moment, but not past the end of
// Run's context.
type Sink interface {
	// Event takes a uevent.
	Event(e *Event)
	// Device takes a device with a MODALIAS that a scan met.
	Device(scan uint32, e *Event)
	// Module takes a module that a scan met: [Coming], [Live] or [Going]. The
	// modules of a scan come before its devices.
	Module(scan uint32, name []byte, state string)
	// Scanned ends a scan. skipped entries of sysfs could not be read, so that
	// something which the scan did not meet may be there all the same.
	Scanned(scan uint32, skipped int)
	// CaughtUp tells that all that was queued when [Source.CatchUp] was called
	// with that mark has been handed on.
	CaughtUp(mark uint32)
	// Lost tells that uevents before this moment were lost. Asking for a scan
	// is up to the sink.
	Lost()
}

// Counts is what a [Source] has met since its start.
type Counts struct {
	Received  uint64 // messages, those that were not believed or understood among them
	Malformed uint64
	Foreign   uint64 // not from the kernel
	Overflows uint64 // times that the receive buffer was full, each with any number of events lost
	Scans     uint64 // that ended
}

// drainMost bounds how many queued messages a scan lets pass before it. It is
// more than the largest receive buffer holds (32 MiB, after the kernel's
// doubling, at 832 bytes of memory for the smallest message), so that whatever
// was queued when the scan was asked for has passed even if events never stop.
const drainMost = 1 << 16

// marksMost is how many calls of CatchUp there may be at a time: one for
// whoever waits until nothing is pending, and one for the watchdog.
const marksMost = 2

// A Source owns the uevent socket and the scans of sysfs. It is a task: Run it
// once, wait for Ready.
type Source struct {
	sink    Sink
	log     *slog.Logger
	scanner *Scanner
	buffer  int // bytes of the receive buffer to ask for
	ready   chan struct{}

	wanted atomic.Uint32 // the scan that was asked for, 0 for none
	missed atomic.Uint32 // the scan that could not be made, 0 for none
	whole  atomic.Bool   // scans read the environments of devices
	marks  chan uint32   // of calls of CatchUp that were not answered yet
	socket atomic.Pointer[Socket]
	counts struct{ received, malformed, foreign, overflows, scans atomic.Uint64 }

	// Owned by Run's goroutine.
	event   Event
	lost    bool // and the sink does not know yet
	drained int  // messages read since a scan was wanted or events were lost
	quiet   limiter
}

// NewSource returns a Source that reads the sysfs mounted at sys, usually
// /sys, and hands what it learns to sink.
func NewSource(sys string, sink Sink, log *slog.Logger) *Source {
	return &Source{
		sink:    sink,
		log:     log,
		scanner: NewScanner(sys),
		buffer:  bufferFor(memory()),
		ready:   make(chan struct{}),
		marks:   make(chan uint32, marksMost),
	}
}

// String names the task.
func (s *Source) String() string { return "uevents" }

// Ready is closed when the socket is bound: what appears from then on is
// heard.
func (s *Source) Ready() <-chan struct{} { return s.ready }

// Counts may be called from any goroutine.
func (s *Source) Counts() Counts {
	return Counts{
		Received:  s.counts.received.Load(),
		Malformed: s.counts.malformed.Load(),
		Foreign:   s.counts.foreign.Load(),
		Overflows: s.counts.overflows.Load(),
		Scans:     s.counts.scans.Load(),
	}
}

// ReadVariables has the scans to come read the environments of devices, so that
// [Event.Variable] finds in them what uevents tell. Kernels that take a device's
// lock to show its uevent file let such a scan wait for each probe. It may be
// called from any goroutine.
func (s *Source) ReadVariables(wanted bool) { s.whole.Store(wanted) }

// Rescan asks for a scan of sysfs with a number above 0, which the sink is
// told of each finding. It returns at once and may be called from any
// goroutine, from a Sink's methods too, and before Run: a Source never scans
// unasked, so this is how the first scan is asked for. The scan begins when
// the events that are queued have been handed on. If another scan is asked for
// before it has begun, there is one scan, with the highest number.
func (s *Source) Rescan(scan uint32) {
	for {
		wanted := s.wanted.Load()
		if wanted >= scan {
			return
		}
		if s.wanted.CompareAndSwap(wanted, scan) {
			break
		}
	}
	s.interrupt()
}

// CatchUp has the sink told when all events that are queued now have been
// handed on. It returns at once and may be called from any goroutine, but with
// marksMost calls not answered yet it waits.
func (s *Source) CatchUp(mark uint32) {
	s.marks <- mark
	s.interrupt()
}

// interrupt has Run look what it was asked for.
func (s *Source) interrupt() {
	if socket := s.socket.Load(); socket != nil {
		socket.Interrupt()
	}
}

// Retry asks again for a scan that could not be made, if there is one: sysfs may
// be mounted now. It may be called from any goroutine.
func (s *Source) Retry() {
	if scan := s.missed.Swap(0); scan != 0 {
		s.Rescan(scan)
	}
}

// Run binds the socket, then scans when asked and hands on events until ctx
// ends, which is no error. An error is one of making or reading the socket; it
// names the cure where there is one. While sysfs can't be read as a whole, that
// is logged and what happens is handed on all the same: see [Source.Retry].
func (s *Source) Run(ctx context.Context) error {
	socket, err := Listen(s.buffer)
	if err != nil {
		return err
	}
	defer socket.Close()
	s.socket.Store(socket)
	defer context.AfterFunc(ctx, socket.Interrupt)()
	s.sayLimits(socket)
	close(s.ready)
	for ctx.Err() == nil {
		if err := s.step(ctx, socket); err != nil {
			return err
		}
	}
	return nil
}

// step hands on one message. If a scan is wanted, or events were lost, and no
// message is queued any more, it does what has been waiting for that.
func (s *Source) step(ctx context.Context, socket *Socket) error {
	pending := s.lost || s.wanted.Load() != 0 || len(s.marks) > 0
	if !pending {
		s.drained = 0
	} else if s.drained >= drainMost {
		s.settle(ctx)
		return nil
	}
	s.drained++
	err := socket.next(&s.event, !pending)
	if errors.Is(err, errEmpty) {
		s.settle(ctx)
		return nil
	}
	return s.take(err)
}

// take hands on the message that was read, or sorts out why there is none.
func (s *Source) take(err error) error {
	if err == nil {
		s.counts.received.Add(1)
		s.sink.Event(&s.event)
		return nil
	}
	if bad, ok := errors.AsType[*MessageError](err); ok {
		s.counts.received.Add(1)
		s.refuse(bad)
		return nil
	}
	switch {
	case errors.Is(err, unix.ENOBUFS):
		s.counts.overflows.Add(1)
		s.lost = true
	case errors.Is(err, os.ErrDeadlineExceeded):
		// Rescan, CatchUp, or the end of the context.
	default:
		return err
	}
	return nil
}

// settle is called when the queue has been read.
func (s *Source) settle(ctx context.Context) {
	s.drained = 0
	if s.lost {
		s.lost = false
		s.sink.Lost()
	}
	for range len(s.marks) {
		s.sink.CaughtUp(<-s.marks)
	}
	scan := s.wanted.Swap(0)
	if scan == 0 {
		return
	}
	if err := s.scan(ctx, scan); err != nil {
		s.missed.Store(scan)
		s.log.Error("nothing is known of the devices that are there; scanning again when sysfs is mounted", "error", err)
	}
}

// scan tells the sink what is there. It ends early, without Scanned, with the
// context.
func (s *Source) scan(ctx context.Context, scan uint32) error {
	s.scanner.variables(s.whole.Load())
	modules, err := s.scanner.Modules(func(name []byte, state string) bool {
		s.sink.Module(scan, name, state)
		return ctx.Err() == nil
	})
	if err != nil {
		return err
	}
	devices, err := s.scanner.Devices(func(e *Event) bool {
		s.sink.Device(scan, e)
		return ctx.Err() == nil
	})
	if err != nil || ctx.Err() != nil {
		return err
	}
	s.counts.scans.Add(1)
	if modules+devices > 0 {
		s.log.Warn("parts of sysfs could not be read", "modules", modules, "devices", devices)
	}
	s.sink.Scanned(scan, modules+devices)
	return nil
}

// refuse counts a message that is no uevent, and mentions it in the log unless
// one was mentioned just before.
func (s *Source) refuse(bad *MessageError) {
	if errors.Is(bad, ErrForeign) {
		s.counts.foreign.Add(1)
	} else {
		s.counts.malformed.Add(1)
	}
	if more, ok := s.quiet.allow(time.Now()); ok {
		s.log.Warn("skipped a message", "error", bad, "not_logged_before", more)
	}
}

// sayLimits warns of what makes the socket hear less than it should.
func (s *Source) sayLimits(socket *Socket) {
	if granted, err := socket.Buffer(); err == nil && granted < s.buffer {
		s.log.Warn("the receive buffer for uevents is small, so a burst of events costs a scan: "+
			"CAP_NET_ADMIN lifts the limit of net.core.rmem_max", "bytes", granted, "wanted", s.buffer)
	}
	if inUserNamespace() {
		s.log.Warn("in a user namespace the kernel tells of this namespace's network interfaces only: " +
			"run in the host's namespaces to hear of its hardware")
	}
}

// inUserNamespace tells whether the process is in another user namespace than
// the first. Only network namespaces that the first one owns hear of hardware
// (uevent_net_broadcast_untagged in lib/kobject_uevent.c). The number is
// PROC_USER_INIT_INO of include/linux/proc_ns.h, 0xEFFFFFFD.
func inUserNamespace() bool {
	ns, err := os.Readlink("/proc/self/ns/user")
	return err == nil && ns != "user:[4026531837]"
}

// memory returns the bytes of RAM, and if they are not known those of a small
// board.
func memory() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 64 << 20
	}
	return uint64(info.Totalram) * uint64(info.Unit)
}
