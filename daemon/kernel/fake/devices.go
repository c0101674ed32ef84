package fake

import (
	"slices"
	"syscall"
	"time"
)

// Plug makes a device appear.
func (k *Kernel) Plug(now time.Duration, d Device) {
	k.at(now, 0, func() { k.appear(d, nil) })
}

// Unplug makes a device vanish, with those that its driver made.
func (k *Kernel) Unplug(now time.Duration, path string) {
	k.at(now, 0, func() {
		if d := k.device(path); d != nil {
			k.vanish(d)
		}
	})
}

// Probe has the drivers try a device that none of them has, as a write to
// drivers_probe does.
func (k *Kernel) Probe(now time.Duration, path string) Call {
	k.last++
	call := Call(k.last)
	k.at(now, 0, func() { k.tryAgain(call, path) })
	return call
}

func (k *Kernel) tryAgain(call Call, path string) {
	d := k.device(path)
	switch {
	case d == nil:
		k.done(call, "", syscall.ENODEV)
	case d.prober != nil:
		d.waiting = append(d.waiting, func() { k.tryAgain(call, path) })
	case d.driver != "":
		k.done(call, "", 0)
	default:
		if m := k.taker(d); m != nil {
			k.probeInTurn(m, []*device{d}, func() { k.done(call, "", 0) })
			return
		}
		k.done(call, "", 0)
	}
}

func (k *Kernel) appear(given Device, parent *device) {
	d := &device{Device: given, parent: parent}
	k.devices = append(k.devices, d)
	k.uevent(Add, d, "")
	m := k.taker(d)
	switch {
	case m == nil:
	case m.async():
		k.probeAside(m, d)
	default:
		k.probeInTurn(m, []*device{d}, func() {})
	}
}

func (k *Kernel) vanish(d *device) {
	if d.driver != "" {
		k.unbind(d)
	}
	d.gone = true
	k.devices = slices.DeleteFunc(k.devices, func(other *device) bool { return other == d })
	k.uevent(Remove, d, "")
	d.unlock()
}

// unbind takes a device from its driver, which first takes away what it made.
func (k *Kernel) unbind(d *device) {
	for _, child := range slices.Clone(k.devices) {
		if child.parent == d {
			k.vanish(child)
		}
	}
	driver := d.driver
	d.driver = ""
	k.uevent(Unbind, d, driver)
}

// unbound are the devices that a module's driver could take.
func (k *Kernel) unbound(m *module) []*device {
	var found []*device
	for _, d := range k.devices {
		if d.driver == "" && m.matches(d) {
			found = append(found, d)
		}
	}
	return found
}

// probeInTurn probes devices one after the other, then goes on.
func (k *Kernel) probeInTurn(m *module, devices []*device, then func()) {
	if len(devices) == 0 {
		then()
		return
	}
	d := devices[0]
	next := func() { k.probeInTurn(m, devices[1:], then) }
	switch {
	case d.gone || d.prober == nil && (d.driver != "" || !m.matches(d)):
		next()
		return
	case d.prober != nil: // who probes it has its lock
		d.waiting = append(d.waiting, func() { k.probeInTurn(m, devices, then) })
		return
	}
	d.prober = m
	k.at(k.now, m.Probe, func() {
		k.probed(m, d)
		next()
	})
}

// probeAside probes a device while everything else goes on.
func (k *Kernel) probeAside(m *module, d *device) {
	k.last++
	cookie := k.last
	k.probes = append(k.probes, cookie)
	k.probeInTurn(m, []*device{d}, func() {
		k.probes = slices.DeleteFunc(k.probes, func(c uint64) bool { return c == cookie })
		k.wake(true)
	})
}

// probed is the end of a probe.
func (k *Kernel) probed(m *module, d *device) {
	d.prober = nil
	defer k.wake(false)
	defer d.unlock()
	if d.gone || !m.registered {
		return
	}
	d.lacked = ""
	switch k.probeResult(m) {
	case 0:
		k.bind(m, d)
	case eprobeDefer:
		d.deferred = m
	case syscall.ENOENT:
		d.lacked = m.Firmware
	}
}

// isProbing tells whether a probe of a module's driver is under way.
func (k *Kernel) isProbing(m *module) bool {
	return slices.ContainsFunc(k.devices, func(d *device) bool { return d.prober == m })
}

// unlock lets those go on that waited for the device.
func (d *device) unlock() {
	waiting := d.waiting
	d.waiting = nil
	for _, goOn := range waiting {
		goOn()
	}
}

func (k *Kernel) probeResult(m *module) syscall.Errno {
	if m.ProbeErr == 0 && m.Firmware != "" && !k.firmware[m.Firmware] {
		return syscall.ENOENT
	}
	if m.ProbeErr == 0 && m.Supplier != "" && k.Driver(m.Supplier) == "" {
		return eprobeDefer
	}
	return m.ProbeErr
}

const eprobeDefer syscall.Errno = 517 // EPROBE_DEFER, linux/errno.h: never leaves the kernel

func (k *Kernel) bind(m *module, d *device) {
	d.driver = m.Name
	d.deferred = nil
	k.uevent(Bind, d, m.Name)
	for _, child := range d.Children {
		k.appear(child, d)
	}
	for _, other := range slices.Clone(k.devices) {
		if again := other.deferred; again != nil && again.matches(other) {
			other.deferred = nil
			k.probeInTurn(again, []*device{other}, func() {})
		}
	}
}

// matches tells whether a module's driver would try a device.
func (m *module) matches(d *device) bool {
	switch {
	case !m.registered:
		return false
	case d.override != "":
		return d.override == m.Name
	}
	return slices.Contains(m.Drives, d.Modalias)
}
