package core

import (
	"errors"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/control/decided"
	"github.com/kmodd/kmodd/rules"
)

// A device is one that is present and has a MODALIAS.
type device struct {
	rules.Device
	*verdict
	scan     uint32 // the last scan that it is known to be present in
	deferred bool   // it waits for a supplier, as of the last look
	fresh    bool   // a scan that has not ended has met it: nothing is loaded for it yet
	// told says that a uevent told of its driver, and no link in sysfs alone:
	// the link is there from the beginning of a probe on, which may fail.
	told bool
	// probed says that its driver was in its probe at the last look.
	probed bool
	later  bool // something that was decided for it waits until later
	// Of the boot: it has waited so once, when it appeared, and when a driver had it.
	delayed bool
	seenAt  stamp

	trouble *trouble // nil for none
	act     *act     // what a worker does about it, nil for nothing

	assignment *assignment // what has become of what rules say of who has it, nil for nothing
	// held says that by our doing sysfs keeps drivers away from it.
	held bool
	// hot says that a uevent told of it under the rules of now: nobody has
	// used it before they were applied.
	hot     bool
	boundAt stamp
}

// A verdict is the decision about all devices of one MODALIAS, or of what else
// rules look at.
type verdict struct {
	rules.Decision
	key      string // of rules.Set.Key
	modalias string
	users    int
}

// seen takes in a device. An add uevent is always a new appearance, a scan's
// finding only if the device was not known as it is.
func (m *Machine) seen(e Seen) {
	dev := m.device(e.Device.Path)
	if dev != nil && e.Synthetic && m.isResting(dev) {
		return // whoever has written that has not plugged it in
	}
	if dev != nil && e.Scan != 0 && dev.Modalias == e.Device.Modalias {
		dev.scan = max(dev.scan, e.Scan)
		m.varied(dev, e.Device.Env)
		had := dev.Driver
		m.bound(dev.Path, e.Device.Driver, false)
		if had != "" && dev.Driver == "" {
			m.lookIfSettled(dev) // a probe has failed since, of which no uevent told
		}
		return
	}
	if dev != nil {
		before := dev.verdict
		m.forget(dev)
		defer m.reckonSteps(&before.Decision)
	}
	dev = &device{Device: e.Device, scan: e.Scan, fresh: e.Scan != 0, hot: e.Scan == 0 && m.set != nil}
	dev.held = m.held[dev.Path]
	m.remember(dev)
	m.appearsInBoot(dev)
	if !m.terse {
		m.note("seen", dev.Path, "", reason("MODALIAS", dev.Modalias))
	}
	m.decide(dev)
	m.noteRefused(dev)
	if dev.Driver != "" {
		m.doubt()
	}
	if !dev.fresh {
		dev.scan = m.scan
		m.serveDevice(dev, m.step)
	}
}

// varied takes in the variables that rules have begun to ask for.
func (m *Machine) varied(dev *device, env []string) {
	if slices.Equal(dev.Env, env) {
		return
	}
	dev.Env = env
	before := dev.verdict
	m.decide(dev)
	if before == dev.verdict {
		return
	}
	m.reckonSteps(&before.Decision)
	m.noteRefused(dev)
	if !dev.fresh {
		m.serveDevice(dev, m.step)
	}
}

// decide gives a device its verdict under the rules of now.
func (m *Machine) decide(dev *device) {
	m.unref(dev)
	key := dev.Modalias
	if m.set != nil {
		key = m.set.Key(dev.Device)
	}
	v := m.verdicts[key]
	if v == nil {
		v = &verdict{key: key, modalias: dev.Modalias}
		if m.set != nil {
			v.Decision = m.set.Decide(dev.Device)
		}
		m.verdicts[key] = v
	}
	// The strings of a MODALIAS are long, and many devices share one.
	dev.Modalias = v.modalias
	v.users++
	dev.verdict = v
	if len(v.Sleeps) > 0 {
		m.sleepers, m.mayRest = true, true
	}
	m.reckonSteps(&v.Decision)
}

func (m *Machine) noteRefused(dev *device) {
	if len(dev.verdict.Refused) > 0 {
		m.note("refused", dev.Path, "", against(dev.verdict.Refused)...)
	}
}

// unref lets go of a device's verdict.
func (m *Machine) unref(dev *device) {
	v := dev.verdict
	if v == nil {
		return
	}
	dev.verdict = nil
	if v.users--; v.users == 0 && m.verdicts[v.key] == v {
		delete(m.verdicts, v.key)
	}
}

// device returns the device at a path, nil if there is none.
func (m *Machine) device(path string) *device {
	if i, ok := m.find(path); ok {
		return m.devices[i]
	}
	return nil
}

func (m *Machine) find(path string) (int, bool) {
	return slices.BinarySearchFunc(m.devices, path, func(d *device, p string) int { return strings.Compare(d.Path, p) })
}

// remember puts a device where its path belongs. There must be none there.
func (m *Machine) remember(dev *device) {
	i, _ := m.find(dev.Path)
	m.devices = slices.Insert(m.devices, i, dev)
}

func (m *Machine) forget(dev *device) {
	i, _ := m.find(dev.Path)
	m.devices = slices.Delete(m.devices, i, i+1)
	if a := dev.act; a != nil && a.holdsSlot() {
		m.emit(Abandon{Op: a.op})
	}
	m.drop(dev)
	m.calm(dev)
	m.endAssignment(dev)
	m.hold(dev, false)
	m.holdOff(dev, false)
	m.deviceLeaves(dev.Path)
	m.lookAtMade(dev)
	m.unref(dev)
}

func (m *Machine) gone(path string) {
	m.lookAtNodes(path)
	dev := m.device(path)
	if dev == nil {
		return
	}
	called := dev.verdict
	m.forget(dev)
	m.reckonSteps(&called.Decision)
	if !m.terse {
		m.note("gone", path, "")
	}
}

// moved renames a device and all below it: the kernel tells of the top one
// only (network interfaces, and what hangs below them).
func (m *Machine) moved(from, to string) {
	var below []*device
	m.devices = slices.DeleteFunc(m.devices, func(dev *device) bool {
		rest, ok := strings.CutPrefix(dev.Path, from)
		if !ok || rest != "" && rest[0] != '/' {
			return false
		}
		m.restMoves(dev.Path, to+rest)
		dev.Path, dev.scan = to+rest, m.scan
		below = append(below, dev)
		return true
	})
	for _, dev := range below {
		m.forgetful = m.forgetful || dev.held
		m.gone(dev.Path) // what was known of a device there is old
		m.remember(dev)
	}
}

// bound takes in which driver has a device, "" for none, and whether a uevent
// told so.
func (m *Machine) bound(path, driver string, told bool) {
	dev := m.device(path)
	if dev == nil {
		return
	}
	if told {
		dev.probed = false
	}
	m.boundInBoot(dev, driver, told)
	if dev.Driver == driver {
		dev.told = dev.told || told
		return
	}
	before := dev.Driver
	dev.Driver, dev.told, dev.deferred = driver, told, false
	m.mayRest = m.mayRest || len(dev.verdict.Sleeps) > 0
	m.calm(dev)
	if driver != "" && !told {
		m.doubt()
	}
	switch {
	case m.terse:
	case driver == "":
		m.note("unbound", path, "", reason("kernel", "driver "+before+" let go of it"))
	default:
		m.note("bound", path, "", reason("kernel", "driver "+driver+" took it"))
	}
	m.reassign(dev)
	m.losesSleeper(dev)
}

// losesSleeper takes in that another driver has a device whose own sleeps.
func (m *Machine) losesSleeper(dev *device) {
	switch r := m.sleeping(dev); {
	case r == nil || dev.Driver == "" || r.mod.state != control.Absent:
	case r.made: // it is another driver's now, and its nodes are still ours
		m.awakeAgain(r, errors.New("another driver has the device"))
	default:
		m.deviceLeaves(dev.Path)
	}
}

// lookIfSettled asks what has become of a device that nothing is loaded for
// any more and that no uevent said a driver had taken. While more is on its way
// in, which may be for ever, one that has a module already is looked at later.
func (m *Machine) lookIfSettled(dev *device) {
	switch {
	case dev.Driver != "" && !dev.probed || len(dev.verdict.Modules) == 0:
	case !m.pending(dev.verdict.Modules):
		m.ask(dev)
	case m.hasModule(dev):
		m.lookLater(dev)
	}
}

// ask asks what has become of a device.
func (m *Machine) ask(dev *device) {
	m.emit(Look{Path: dev.Path, Subsystem: dev.Subsystem})
}

// matches tells whether a device asks for a module itself.
func (dev *device) matches(module string) bool { return slices.Contains(dev.verdict.Modules, module) }

// hasModule tells whether a module that matches a device is in.
func (m *Machine) hasModule(dev *device) bool {
	return m.anyModule(dev.verdict.Modules, func(mod *module) bool { return mod.state == control.Live })
}

// looked takes in the answer to a Look.
func (m *Machine) looked(e Looked) {
	dev := m.device(e.Path)
	if dev == nil {
		return
	}
	m.bound(e.Path, e.Driver, false)
	dev.probed = e.Probing && !dev.told
	dev.deferred = e.Deferred && e.Driver == ""
	if dev.deferred {
		m.note("waiting", e.Path, "", reason("kernel", "the probe was deferred: a supplier is missing"))
	}
	if a := dev.assignment; a != nil && a.done && a.taker == "" {
		a.taker = e.Driver
	}
	if dev.Driver == "" && m.hasModule(dev) {
		m.untaken(dev, e)
	}
}

// result says how far a device has come. It is worked out from what is known,
// so it can't go stale.
func (m *Machine) result(dev *device) control.Result {
	switch {
	case m.sleeping(dev) != nil && dev.Driver == "":
		return control.Asleep
	case dev.Driver != "" && !m.inProbe(dev):
		return control.Bound
	case len(dev.verdict.Modules) == 0 && len(dev.verdict.Refused) > 0:
		return control.Refused
	case dev.fresh || m.pending(dev.verdict.Modules) || m.assigning(dev):
		return control.Loading
	case dev.later:
		return control.HeldBack
	case m.anyModule(dev.verdict.Modules, func(mod *module) bool { return mod.state == control.Broken }):
		return control.Failed
	case dev.deferred:
		return control.Deferred
	case m.forbidden(dev):
		return control.Refused
	}
	return undriven(dev.verdict.Modules)
}

// inProbe tells whether the driver that a device is linked to was still trying
// it when it was looked at, within the init of a module that has not ended since.
func (m *Machine) inProbe(dev *device) bool {
	return dev.probed && m.pending(dev.verdict.Modules)
}

// undriven is the result of a device that no driver has, without anything that
// stands in the way.
func undriven(matching []string) control.Result {
	if len(matching) == 0 {
		return control.NoModule
	}
	return control.Unbound
}

// unfinished tells whether anything that was decided for a device is still on
// its way or has failed.
func (m *Machine) unfinished(dev *device) bool {
	return dev.fresh || dev.later || m.open(dev.verdict.Decision)
}

// open tells whether any step of a decision is still on its way or has failed.
func (m *Machine) open(d rules.Decision) bool {
	return slices.ContainsFunc(d.Steps, func(s rules.Step) bool {
		mod := m.modules[s.Module]
		return mod != nil && (mod.pending() || mod.missed())
	})
}

// against are the reasons of refusals, one after the other.
func against(rs []rules.Refusal) (all []control.Reason) {
	for _, r := range rs {
		all = append(all, decided.Reasons(r.Because)...)
	}
	return all
}
