package fake

import (
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// load is a finit_module on its way.
type load struct {
	call    Call
	file    *Module
	options string
	m       *module // once it has the name
	held    []*module
}

// Insert begins a load of a file, as finit_module does. A file that there is
// none of is the caller's mistake: the kernel is given open files.
func (k *Kernel) Insert(now time.Duration, file, options string) Call {
	k.last++
	l := &load{call: Call(k.last), file: k.files[file], options: options}
	if l.file == nil {
		panic("fake: no module file " + file)
	}
	k.at(now, 0, func() { k.claim(l) })
	return l.call
}

// claim checks the file and takes the name.
func (k *Kernel) claim(l *load) {
	if l.file.Refused != 0 {
		k.done(l.call, l.file.Name, l.file.Refused)
		return
	}
	old := k.find(l.file.Name)
	if old == nil {
		l.m = &module{Module: l.file, state: kernel.Absent, options: l.options}
		k.modules = append(k.modules, l.m)
		k.resolve(l)
		return
	}
	settled := func() bool {
		old := k.find(l.file.Name)
		return old == nil || old.state == kernel.Live || old.state == kernel.Going
	}
	k.wait(settled, 0, func(bool) {
		errno := syscall.EBUSY
		if old := k.find(l.file.Name); old != nil && old.state == kernel.Live {
			errno = syscall.EEXIST
		}
		k.done(l.call, l.file.Name, errno)
	})
}

// resolve takes hold of the modules whose symbols the new one uses.
func (k *Kernel) resolve(l *load) {
	if len(l.held) == len(l.file.Needs) {
		k.start(l)
		return
	}
	name := l.file.Needs[len(l.held)]
	settled := func() bool { return k.State(name) != kernel.Coming }
	k.wait(settled, symbolPatience, func(inTime bool) {
		switch {
		case !inTime:
			k.fail(l, syscall.EBUSY)
		case k.State(name) != kernel.Live:
			k.fail(l, syscall.ENOENT)
		default:
			need := k.find(name)
			need.holders++
			l.held = append(l.held, need)
			k.resolve(l)
		}
	})
}

// start sets the parameters and runs the init function.
func (k *Kernel) start(l *load) {
	if !l.file.accepts(l.options) {
		k.fail(l, syscall.EINVAL)
		return
	}
	l.m.state = kernel.Coming
	k.at(k.now, l.file.Init, func() { k.initReturns(l) })
}

// initReturns is the end of the init function's own work: what is left is the
// probes of the driver that it registered.
func (k *Kernel) initReturns(l *load) {
	switch {
	case l.file.Oops:
		k.emit(Event{What: Killed, Call: l.call, Module: l.file.Name})
		return
	case l.file.Result != 0:
		k.fail(l, l.file.Result)
		return
	}
	l.m.registered = true
	mine := k.unbound(l.m)
	if !l.m.async() {
		k.probeInTurn(l.m, mine, func() {
			l.m.bindFiles = true
			k.wake(false)
			k.becomesLive(l)
		})
		return
	}
	l.m.bindFiles = true
	for _, d := range mine {
		k.probeAside(l.m, d)
	}
	k.becomesLive(l)
}

// becomesLive sends the module's uevent and, before the call returns, waits for
// the asynchronous probes.
func (k *Kernel) becomesLive(l *load) {
	l.m.state = kernel.Live
	k.emit(Event{What: Add, Path: "/module/" + l.file.Name})
	finish := func() { k.finish(l.call, l.file.Name, 0) }
	if l.m.asyncAsked() || len(k.probes) == 0 {
		finish()
		return
	}
	youngest := k.probes[len(k.probes)-1]
	k.waiters = append(k.waiters, &waiter{probes: true, goOn: finish, ready: func() bool {
		return len(k.probes) == 0 || k.probes[0] > youngest
	}})
}

// fail takes back what a load has done.
func (k *Kernel) fail(l *load, errno syscall.Errno) {
	k.free(l.m, l.held)
	k.finish(l.call, l.file.Name, errno)
}

func (k *Kernel) free(m *module, held []*module) {
	for _, need := range held {
		need.holders--
	}
	k.modules = slices.DeleteFunc(k.modules, func(other *module) bool { return other == m })
}

// Remove begins an unload, as delete_module with O_NONBLOCK does.
func (k *Kernel) Remove(now time.Duration, name string) Call {
	k.last++
	call := Call(k.last)
	k.at(now, 0, func() { k.remove(call, name) })
	return call
}

func (k *Kernel) remove(call Call, name string) {
	m := k.find(name)
	switch {
	case m == nil:
		k.done(call, name, syscall.ENOENT)
		return
	case m.holders > 0:
		k.done(call, name, syscall.EAGAIN)
		return
	case m.state != kernel.Live, m.NoExit:
		k.done(call, name, syscall.EBUSY)
		return
	case m.users > 0:
		k.done(call, name, syscall.EAGAIN)
		return
	}
	m.state = kernel.Going
	m.registered = false
	k.at(k.now, m.Exit, func() {
		if m.ExitOops {
			k.emit(Event{What: Killed, Call: call, Module: name})
			return
		}
		k.wait(func() bool { return !k.isProbing(m) }, 0, func(bool) { k.exit(call, m) })
	})
}

// exit ends an unload when no probe of the module's driver is under way any more:
// bus_remove_driver waits for them (klist_remove in lib/klist.c).
func (k *Kernel) exit(call Call, m *module) {
	name := m.Name
	for _, d := range slices.Clone(k.devices) {
		if d.driver == name {
			k.unbind(d)
		}
	}
	held := make([]*module, 0, len(m.Needs))
	for _, need := range m.Needs {
		held = append(held, k.find(need))
	}
	k.emit(Event{What: Remove, Path: "/module/" + name})
	k.free(m, held)
	k.finish(call, name, 0)
}

// done is the end of a call that changed nothing.
func (k *Kernel) done(call Call, name string, errno syscall.Errno) {
	k.emit(Event{What: Done, Call: call, Module: name, Errno: errno})
}

// finish is the end of a call that changed something: those who wait look
// again.
func (k *Kernel) finish(call Call, name string, errno syscall.Errno) {
	k.done(call, name, errno)
	k.wake(false)
}

// wait goes on at once if ready says so, otherwise when it says so at the end
// of some call. With patience it goes on after that time in any case, and is
// told that it was not in time.
func (k *Kernel) wait(ready func() bool, patience time.Duration, goOn func(inTime bool)) {
	if ready() {
		goOn(true)
		return
	}
	w := &waiter{ready: ready, goOn: func() { goOn(true) }}
	k.waiters = append(k.waiters, w)
	if patience == 0 {
		return
	}
	k.at(k.now, patience, func() {
		if i := slices.Index(k.waiters, w); i >= 0 {
			k.waiters = slices.Delete(k.waiters, i, i+1)
			goOn(false)
		}
	})
}

// wake lets go on who is ready: of those that wait for the end of calls, or of
// those that wait for the end of asynchronous probes.
func (k *Kernel) wake(probes bool) {
	var ready []*waiter
	k.waiters = slices.DeleteFunc(k.waiters, func(w *waiter) bool {
		if w.probes != probes || !w.ready() {
			return false
		}
		ready = append(ready, w)
		return true
	})
	for _, w := range ready {
		k.at(k.now, 0, w.goOn)
	}
}

// async says whether the module's driver probes asynchronously, asyncAsked
// whether its load asked for that.
func (m *module) async() bool { return m.Async || m.asyncAsked() }

func (m *module) asyncAsked() bool {
	for option := range strings.FieldsSeq(m.options) {
		if key, _, _ := strings.Cut(option, "="); key == "async_probe" {
			return true
		}
	}
	return false
}
