package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// A Result is the outcome of one call.
type Result struct {
	Op      uint64
	Probe   bool // it was a [Pool.Probe]: only Err and Took have a meaning then
	Command bool // it was a [Pool.Run]: likewise
	Unload  bool // it was a [Pool.Unload]: likewise
	// Assigned is what has come of a [Pool.Assign], as far as it went: nil of
	// other calls. Err is then about the rest.
	Assigned *kernel.Assigned
	// Survey is the answer to a [Pool.Survey], nil of other calls.
	Survey *Survey
	Tended bool // it was a [Pool.Tend]: only Err and Took have a meaning then
	// Already says that the module was live before the call (EEXIST), so that
	// somebody else put it in. Err is nil then.
	Already bool
	// Got is when the worker had the request, and Called when it made the call,
	// having looked into the file and unpacked it: since the kernel's start, as
	// [kernel.SinceBoot]; 0 if it did not get that far.
	Got, Called time.Duration
	Took        time.Duration // since Got; likewise
	// Err is an [*kernel.Error] if the file could not be opened or unpacked
	// (Op says so), the kernel refused it or a command failed, a [*DeathError]
	// if the worker ended in the call, and anything else if there could be no
	// worker.
	Err error
	// Memory is how much of it the call took, in bytes, negative if it gave some
	// back; 0 if that was not measured. What others did meanwhile is in it.
	Memory int64
	// Settings are, of a module that was taken out, what was set of it, as
	// [kernel.System.Settings] returns it. Unset is why some of that could not be
	// set again, of one that was put in; "" if all was.
	Settings, Unset string
	// Async says that the load was made with async_probe, Requests what was found out
	// about the file.
	Async    bool
	Requests kernel.Requests
	// Firmware is what the module's file names and the kernel would not find,
	// as seen just before the call. Of compressed files it is known only where
	// the worker unpacked them. It is nil if nothing is missing.
	Firmware *kernel.Firmware
	// NamesFirmware says that it names any, missing or not.
	NamesFirmware bool
}

// Errno is the outcome as one number: 0 if the call put the module in, EEXIST if
// it was there, EIO if the kernel was never asked or the worker did not live to
// say what it answered.
func (r Result) Errno() syscall.Errno {
	switch errno := errnoOf(r.Err); {
	case r.Already:
		return unix.EEXIST
	case r.Err != nil && errno == 0:
		return unix.EIO
	default:
		return errno
	}
}

// Unasked says that the kernel was not asked, because memory, descriptors or
// processes had run out: trying again later may well help.
func (r Result) Unasked() bool {
	var call *kernel.Error
	if errors.As(r.Err, &call) && slices.Contains([]string{"load", "unload", "unpack", "assign", kernel.OpInUse}, call.Op) {
		return false
	}
	return slices.Contains([]syscall.Errno{unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE}, errnoOf(r.Err))
}

// A DeathError says that a worker ended without an answer: most often because
// an oops in the module's init function ended its thread. The module stays in the
// state "coming" then, until the next boot.
type DeathError struct {
	Module string // of a probe, the device
	Doing  string // "load", "unload", "probe", "assign", "run", "survey" or "tend"
	State  string // how the process ended, as wait(2) says it
}

var _ error = (*DeathError)(nil)

func (e *DeathError) Error() string {
	cure := "look in dmesg for an oops of the module's init; what is left of the module stays until the next boot"
	switch e.Doing {
	case "probe", "assign":
		cure = "look in dmesg for an oops of a driver's probe or remove; the device stays locked until the next boot"
	case "unload":
		cure = "look in dmesg for an oops of the module's exit; what is left of the module stays until the next boot"
	case "survey", "tend":
		cure = "somebody killed it, or kmodd-tools is broken: reinstall it"
	case "run":
		cure = "somebody killed it, and its command may go on"
	}
	return e.Doing + " " + e.Module + ": the worker process ended without an answer (" + e.State + "): " + cure
}

// Config says how a pool is to be. Its zero value is the shipped
// configuration.
type Config struct {
	System kernel.System
	// Idle is for how long a worker without work is kept, 0 for 3 seconds.
	Idle time.Duration
	// Able are the places where the program that has [Abilities] is
	// looked for, in this order; nil for kmodd-tools beside this program or in
	// /usr/lib/kmodd, or else kmodctl beside it or in /usr/bin.
	Able []string
}

// A Pool makes calls in worker processes. Its methods are safe for concurrent
// use and never block, but for Close. While no call is made and Idle has
// passed, it has no process and no goroutine.
type Pool struct {
	idleFor time.Duration
	system  kernel.System
	native  string // the compression that the kernel undoes
	nicely  bool   // workers can be given less priority, and have it back
	able    []string
	results chan Result
	closing chan struct{}
	freed   chan struct{} // holds a token if a worker has become idle
	running sync.WaitGroup

	// asking is held while one call gets its file and its worker, so that one
	// thread blocks and one stack is deep at a time, however many are wanted.
	asking sync.Mutex
	packet []byte // room for a request; used while asking is held

	// mu guards what calls and idle timers share. It is held for a few
	// instructions at a time, never during a system call that waits.
	mu     sync.Mutex
	closed bool
	calls  map[uint64]*call
	idle   []*process // the last one is the last used
	// expired are idle no more, and being ended; the first one just now.
	expired []*process
	// startup is how long the last new worker took until it had its first request.
	startup time.Duration
}

// A call is one request on its way. Which task a load is, the file tells.
type call struct {
	request
	worker    *process // nil while none has it; guarded by the pool's mutex
	abandoned bool     // guarded by the pool's mutex
}

// verb is what errors say that a call was to do.
func (t task) verb() string {
	switch t {
	case probeDevice:
		return "probe"
	case runCommand:
		return "run"
	case assignDevice:
		return "assign"
	case unloadModule:
		return "unload"
	case surveyModule:
		return "survey"
	case tendNodes:
		return "tend"
	}
	return "load"
}

// about is the module, or the device, that it is about.
func (c *call) about() string {
	switch c.task {
	case runCommand:
		return c.command.Module
	case assignDevice:
		return path.Base(c.assign.Path)
	}
	return c.module.Name
}

// result is what is known of a call's result before it is made.
func (c *call) result() (r Result) {
	switch c.task {
	case probeDevice:
		r.Probe = true
	case runCommand:
		r.Command = true
	case unloadModule:
		r.Unload = true
	case assignDevice:
		r.Assigned = new(kernel.Assigned)
	case surveyModule:
		r.Survey = new(Survey)
	case tendNodes:
		r.Tended = true
	}
	return r
}

func (c *call) failed(err error) Result {
	r := c.result()
	r.Err = err
	return r
}

// NewPool makes a pool, without any process yet. It marks every descriptor
// that this process inherited to be closed in its children, so that no worker
// holds what some service manager or shell had left open.
func NewPool(c Config) (*Pool, error) {
	if err := closeOnExec(); err != nil {
		return nil, err
	}
	p := &Pool{
		idleFor: c.Idle,
		system:  c.System,
		native:  c.System.Compression(),
		nicely:  c.System.CanHurry(),
		able:    c.Able,
		results: make(chan Result),
		closing: make(chan struct{}),
		freed:   make(chan struct{}, 1),
		calls:   make(map[uint64]*call),
	}
	if p.idleFor == 0 {
		p.idleFor = 3 * time.Second
	}
	if p.able == nil {
		p.able = ablePlaces()
	}
	return p, nil
}

// Results delivers each call's result once, unless the call never returns or
// the pool is closed first. It is not buffered, so somebody must read it, and
// it is never closed.
func (p *Pool) Results() <-chan Result { return p.results }

// Load puts one module in. Its result comes with the same op, which no other
// call on its way may have.
func (p *Pool) Load(op uint64, m kernel.Module) {
	if !p.nicely {
		m.Nice = 0
	}
	p.call(op, &call{request: request{module: m}})
}

// Run has a shell run a command. Its result comes as that of a load does.
func (p *Pool) Run(op uint64, c Command) {
	p.call(op, &call{request: request{task: runCommand, command: c}})
}

// Probe has the drivers of a bus try a device of it. A probe may sleep like an
// init function. Its result comes as that of a load does.
func (p *Pool) Probe(op uint64, bus, device string) {
	p.call(op, &call{request: request{task: probeDevice, module: kernel.Module{Name: device, File: p.system.ProbeFile(bus)}}})
}

// Unload takes one module out, unless it is in use. Its result comes as that of a
// load does.
func (p *Pool) Unload(op uint64, module string) {
	p.call(op, &call{request: request{task: unloadModule, module: kernel.Module{Name: module, Measure: true}}})
}

// Assign sees to it who has a device, which may have to wait for a probe of it.
// Its result comes as that of a load does.
func (p *Pool) Assign(op uint64, a kernel.Assignment) {
	p.call(op, &call{request: request{task: assignDevice, assign: a}})
}

func (p *Pool) call(op uint64, c *call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.calls[op] = c
	p.running.Go(func() { p.begin(op, c) })
}

// Abandon says that nobody waits for a call any more. Its worker is not used
// again. If the call does return, its result is delivered all the same and the
// worker ends.
func (p *Pool) Abandon(op uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.calls[op]; c != nil {
		c.abandoned = true
	}
}

// Close ends the workers that have no work and waits for their end, until ctx
// is done, which is its only error. It does not wait for calls in the kernel: their workers
// end by themselves when the kernel lets them, and no result is delivered.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.closing)
	}
	for _, w := range p.idle {
		w.expiry.Stop()
		p.running.Go(func() { w.end() })
	}
	p.idle = nil
	for _, c := range p.calls {
		if c.worker != nil {
			c.worker.leave()
		}
	}
	p.mu.Unlock()

	ended := make(chan struct{})
	go func() { p.running.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin hands a call to a worker. To make a process takes a deep stack, which a
// goroutine keeps, and dozens of calls may be in the kernel at a time: so one
// that has nothing to do but wait takes over from there.
func (p *Pool) begin(op uint64, c *call) {
	p.hold(c)
	w, err := p.ask(c)
	if err != nil {
		p.deliver(op, c.failed(err))
		return
	}
	p.running.Go(func() { p.deliver(op, p.await(c, w)) })
}

// hold waits for the only busy worker to become free, for as long as it takes to start
// one more: so a call waits at most twice as long as it could have (as whoever rents skis
// until they have cost what skis do). A module is live, and those that need it are called
// for, a moment before its own call returns. With more workers at work it would wait for
// calls that stay in the kernel for other drivers' probes, as those of a coldplug do.
func (p *Pool) hold(c *call) {
	p.mu.Lock()
	patience := min(p.startup, scarce)
	rested := slices.ContainsFunc(p.idle, func(w *process) bool { return w.program == itself })
	alone := !rested && !c.needsAble() && p.busy(itself) == 1
	p.mu.Unlock()
	if !alone || patience == 0 {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.freed:
	case <-timer.C:
	case <-p.closing:
	}
}

// needsAble tells whether a call is better made by the program that has [Abilities].
func (c *call) needsAble() bool { return c.assign.Gently || c.task.isAble() }

// busy is how many workers, of some programs or of all, have calls that somebody waits
// for. The mutex is held.
func (p *Pool) busy(of ...program) (n int) {
	for _, c := range p.calls {
		if c.worker != nil && !c.abandoned && (len(of) == 0 || slices.Contains(of, c.worker.program)) {
			n++
		}
	}
	return n
}

// ask opens the file, finds a worker and passes both on.
func (p *Pool) ask(c *call) (*process, error) {
	p.asking.Lock()
	defer p.asking.Unlock()
	if !c.task.hasFile() {
		k := itself
		able, ok := p.ableProgram()
		switch {
		case ok && c.needsAble():
			k = able
		case c.task.isAble():
			return nil, errUnable
		}
		return p.send(c, k, noFile)
	}
	f, err := open(c.module, c.task == probeDevice)
	if err != nil {
		return nil, err
	}
	defer f.close() // the worker has it; a call that hangs must not hold it here
	k := itself
	if c.task != probeDevice {
		if k, c.task, err = p.choose(c.module, f); err != nil {
			return nil, err
		}
	}
	return p.send(c, k, f)
}

// await waits for the worker's answer.
func (p *Pool) await(c *call, w *process) Result {
	answer, err := w.answer()
	if err != nil {
		return c.failed(&DeathError{Module: c.about(), Doing: c.task.verb(), State: p.bury(w)})
	}
	p.keep(c, w, answer.got)
	return c.outcome(answer)
}

// deliver passes a result on to whoever reads them.
func (p *Pool) deliver(op uint64, result Result) {
	result.Op = op
	p.mu.Lock()
	delete(p.calls, op)
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return
	}
	select {
	case p.results <- result:
	case <-p.closing:
	}
}

// outcome is what an answer means.
func (c *call) outcome(a *reply) Result {
	result := c.result()
	result.Got, result.Called, result.Took, result.Memory = a.got, a.called, a.took, a.memory
	result.Async, result.Requests, result.NamesFirmware = a.async, a.requests, a.named
	if result.Assigned != nil {
		*result.Assigned = a.assigned
	}
	switch {
	case result.Survey != nil:
		result.Survey = surveyed(a.found)
	case result.Unload:
		result.Settings = a.found
	default:
		result.Unset = a.found
	}
	if a.missing > 0 {
		result.Firmware = &kernel.Firmware{Missing: strings.FieldsFunc(a.firmware, isNewline), Total: int(a.missing)}
	}
	switch {
	case a.op == "":
	case a.errno == unix.EEXIST:
		result.Already = true
	default:
		result.Err = &kernel.Error{Op: a.op, Module: c.about(), File: c.module.File, Errno: a.errno, Words: a.words}
	}
	return result
}

// send hands a request to an idle worker, or to a new one. An idle worker that
// somebody killed is noticed here, and the next one tried.
func (p *Pool) send(c *call, k program, f moduleFile) (*process, error) {
	for {
		w, err := p.take(c, k)
		if err != nil {
			return nil, err
		}
		fresh := w.calls == 0
		p.packet = c.append(p.packet[:0])
		if err = w.send(p.packet, f); err == nil {
			return w, nil
		}
		p.bury(w)
		if fresh {
			return nil, fmt.Errorf("%s %s: hand it to a worker: %w", c.task.verb(), c.about(), err)
		}
	}
}

// enough workers is how many there are before a call waits for one to be free,
// and scarce is for how long. A call whose module is live may stay in the
// kernel for as long as other drivers' probes take, which a coldplug has dozens
// of: each worker is a megabyte, and half a dozen more make it hardly faster.
// But whoever waits for calls that never return must not wait long.
const (
	enough = 12
	scarce = 250 * time.Millisecond
)

// take gives a call the worker that was used last, or a new one.
func (p *Pool) take(c *call, k program) (*process, error) {
	w, busy := p.takeIdle(c, k)
	if w == nil && busy >= enough {
		select {
		case <-p.freed:
		case <-time.After(scarce):
		case <-p.closing:
		}
		w, _ = p.takeIdle(c, k)
	}
	if w != nil {
		return w, nil
	}
	w, err := start(k)
	if err != nil {
		return nil, fmt.Errorf("%s %s: start a worker: %w", c.task.verb(), c.about(), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.worker = w
	if p.closed {
		w.leave()
	}
	return w, nil
}

// takeIdle gives a call the worker that was used last. If there is none it
// returns how many are busy with calls that somebody waits for.
func (p *Pool) takeIdle(c *call, k program) (w *process, busy int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.freed: // what it tells of is seen below
	default:
	}
	for i, w := range slices.Backward(p.idle) {
		if w.program == k {
			p.idle = slices.Delete(p.idle, i, i+1)
			w.expiry.Stop()
			c.worker = w
			return w, 0
		}
	}
	return nil, p.busy()
}

// keep makes the worker of a call that has returned ready for the next one, or
// ends it. It had the request when got had passed since the kernel's start.
func (p *Pool) keep(c *call, w *process, got time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.worker = nil
	if w.calls == 1 && w.program == itself {
		p.startup = got - w.began
	}
	if p.closed || c.abandoned {
		p.running.Go(func() { w.end() })
		return
	}
	p.idle = append(p.idle, w)
	if w.expiry == nil {
		w.expiry = time.AfterFunc(p.idleFor, func() { p.expire(w) })
	} else {
		w.expiry.Reset(p.idleFor)
	}
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// expire ends a worker, unless it was given work at the last moment.
func (p *Pool) expire(w *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.idle, w)
	if i < 0 {
		return
	}
	p.idle = slices.Delete(p.idle, i, i+1)
	if p.expired = append(p.expired, w); len(p.expired) == 1 {
		p.running.Go(p.endExpired)
	}
}

// endExpired ends workers one by one. After a coldplug dozens expire at once.
func (p *Pool) endExpired() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.expired) > 0 {
		w := p.expired[0]
		p.mu.Unlock()
		w.end()
		p.mu.Lock()
		p.expired = p.expired[1:]
	}
}

// bury closes a worker that has gone and says how it ended. If the pool is
// being closed the worker may still be in the kernel, and is not waited for.
func (p *Pool) bury(w *process) string {
	select {
	case <-p.closing:
		w.leave()
		return "left behind"
	default:
		return w.end()
	}
}

// A moduleFile is the descriptor of an open module file. For the hundred
// modules of a coldplug an [os.File] of each would be 60 kB of garbage.
type moduleFile int

// noFile is none.
const noFile moduleFile = -1

// open opens a module file to be passed to a worker, or a bus's drivers_probe
// to be written to. Without O_NONBLOCK a FIFO of that name would hold up the
// caller for ever.
func open(m kernel.Module, probe bool) (moduleFile, error) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	if probe {
		flags |= unix.O_WRONLY
	}
	fd, err := unix.Open(m.File, flags, 0)
	for err == unix.EINTR {
		fd, err = unix.Open(m.File, flags, 0)
	}
	if err != nil {
		return -1, openError(m, probe, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return -1, &kernel.Error{Op: "open", Module: m.Name, File: m.File, Errno: unix.EINVAL,
			Words: "it is not a regular file: reinstall the package that it belongs to, then run depmod"}
	}
	// In the worker the Go runtime would make a poller for a non-blocking file.
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return -1, openError(m, probe, err)
	}
	return moduleFile(fd), nil
}

// ReadAt is for the beginning of the file, that tells how it is packed.
func (f moduleFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := unix.Pread(int(f), p, offset)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return max(n, 0), err
}

func (f moduleFile) close() { unix.Close(int(f)) }

func openError(m kernel.Module, probe bool, err error) error {
	e := &kernel.Error{Op: "open", Module: m.Name, File: m.File, Errno: errnoOf(err),
		Words: "look at the file and at the directories above it"}
	if probe {
		e.Op, e.Words = "probe", "this bus can't be asked to: take the device out and put it in again"
		return e
	}
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		e.Words = "raise the limit of open files (LimitNOFILE= of the service, ulimit -n)"
	case errors.Is(err, os.ErrNotExist):
		e.Words = "modules.dep names it and it is not there: reinstall the package that it belongs to, or run depmod if it was removed on purpose"
	}
	return e
}

func isNewline(r rune) bool { return r == '\n' }
