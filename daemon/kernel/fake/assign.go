package fake

import (
	"slices"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// nobody is the driver_override of a device that is for no driver.
const nobody = "nobody"

// Assign sees to it who has a device, as [kernel.System.Assign] does: with the
// device's lock, so after the end of a probe of it.
func (k *Kernel) Assign(now time.Duration, a kernel.Assignment) Call {
	k.last++
	call := Call(k.last)
	k.at(now, 0, func() { k.assign(call, a) })
	return call
}

func (k *Kernel) assign(call Call, a kernel.Assignment) {
	d := k.device(a.Path)
	switch {
	case d == nil:
		k.done(call, "", syscall.ENODEV)
		return
	case d.prober != nil:
		d.waiting = append(d.waiting, func() { k.assign(call, a) })
		return
	}
	if k.Registering(a.Path) && !d.keeps(a) {
		m := k.find(d.driver)
		k.wait(func() bool { return m.bindFiles }, 0, func(bool) { k.assign(call, a) })
		return
	}
	if !d.keeps(a) && a.Gently && d.inUse {
		k.assigned(call, d, Event{InUse: true})
		return
	}
	switch a.Owner {
	case kernel.Nobody:
		d.overrideBy(nobody)
		k.release(d)
		k.assigned(call, d, Event{Held: true})
		return
	case kernel.OfModule:
		k.give(call, d, a.Module)
		return
	default:
		if a.Ours {
			d.overrideBy("")
		}
		if m := k.taker(d); m != nil && d.driver == "" {
			k.probeInTurn(m, []*device{d}, func() { k.assigned(call, d, Event{}) })
			return
		}
	}
	k.assigned(call, d, Event{})
}

// keeps tells whether an assignment leaves a device with whoever has it.
func (d *device) keeps(a kernel.Assignment) bool {
	return d.driver == "" || a.Owner == kernel.Anybody || a.Owner == kernel.OfModule && d.driver == a.Module
}

// give gives a device to the driver of a module, by its bind file.
func (k *Kernel) give(call Call, d *device, module string) {
	m := k.find(module)
	if m == nil || !m.registered {
		k.assigned(call, d, Event{Errno: syscall.ENODEV})
		return
	}
	if d.driver == module {
		k.assigned(call, d, Event{})
		return
	}
	d.overrideBy(module)
	k.release(d)
	if !m.matches(d) {
		k.assigned(call, d, Event{Errno: syscall.ENODEV})
		return
	}
	k.probeInTurn(m, []*device{d}, func() { k.assigned(call, d, Event{}) })
}

// taker is the module whose driver would try a device, nil for none.
func (k *Kernel) taker(d *device) *module {
	i := slices.IndexFunc(k.modules, func(m *module) bool { return m.matches(d) })
	if i < 0 {
		return nil
	}
	return k.modules[i]
}

// Registering tells whether the driver that has a device is still being
// registered, so that it can't be told to let go of it.
func (k *Kernel) Registering(path string) bool {
	m := k.find(k.Driver(path))
	return m != nil && !m.bindFiles
}

func (k *Kernel) release(d *device) {
	if d.driver != "" {
		k.unbind(d)
	}
}

func (d *device) overrideBy(module string) {
	if !d.Bare {
		d.override = module
	}
}

// assigned is the end of an assignment.
func (k *Kernel) assigned(call Call, d *device, e Event) {
	e.What, e.Call, e.Module, e.Held = Done, call, d.driver, e.Held || d.override != ""
	k.emit(e)
}

// Override is what a device's driver_override says: the module whose driver may
// have it, "" for any, and of a device that is for none something else.
func (k *Kernel) Override(path string) string {
	if d := k.device(path); d != nil {
		return d.override
	}
	return ""
}

// UseDevice has somebody use a device, or stop that.
func (k *Kernel) UseDevice(path string, inUse bool) {
	if d := k.device(path); d != nil {
		d.inUse = inUse
	}
}

// InUse tells whether somebody uses a device.
func (k *Kernel) InUse(path string) bool {
	d := k.device(path)
	return d != nil && d.inUse
}
