package core

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules/policy"
)

// The boot is over when nothing has begun for bootPause that is a part of it: a bus
// takes seconds to find what hangs on it, with nothing on its way meanwhile. What was
// held back goes on with it. A probe that has begun in it may end until probePause.
const (
	bootPause  = 10 * time.Second
	probePause = 2 * time.Minute
)

// A boot is what is kept of it that is not a module's or a device's. Their records
// have room for a stamp between other things, so that the report costs no memory.
type boot struct {
	start    time.Duration // of the machine
	scan     time.Duration // when the first scan was asked for
	rested   time.Duration // when nothing was on its way any more, 0 for not yet
	settled  time.Duration // likewise, for the first time that this lasted
	complete time.Duration // when somebody said so
	// aside are loads of modules that were loaded, or wanted, once more since.
	aside []control.BootLoad
}

// A stamp is a moment of the boot: microseconds since the machine's start, 0 for none
// and the largest one for all that comes more than 71 minutes later.
type stamp uint32

const tooLate stamp = math.MaxUint32

// A share says what the times in a module's record have to do with the boot.
type share uint8

const (
	noShare  share = iota
	ofBoot         // they are those of its first load, which is a part of it
	heldBack       // likewise, for a device that was held back
	earlier        // the daemon before this one has put it in
)

// stamp is a time as a device or a module keeps it.
func (m *Machine) stamp(t time.Duration) stamp {
	return stamp(min(max((t-m.boot.start)/time.Microsecond, 1), time.Duration(tooLate)))
}

// at is the time of a stamp, 0 for none.
func (m *Machine) at(s stamp) time.Duration {
	if s == 0 || s == tooLate {
		return 0
	}
	return m.boot.start + time.Duration(s)*time.Microsecond
}

// even is a time as if it had been a stamp, so that what came first is never told as
// if it had come later.
func (m *Machine) even(t time.Duration) time.Duration {
	if t <= m.boot.start {
		return t
	}
	return t - (t-m.boot.start)%time.Microsecond
}

// bootGoesOn tells whether what happens now is a part of the boot, if it happened no
// longer after the last rest than that.
func (m *Machine) bootGoesOn(pause time.Duration) bool {
	return m.boot.rested == 0 || m.now <= m.boot.rested+pause
}

// followBoot takes in what has come of a step.
func (m *Machine) followBoot() {
	b := &m.boot
	if b.scan == 0 && m.scan != 0 {
		b.scan = m.now
	}
	if b.rested == 0 && m.atRest() {
		b.rested = m.now
	}
}

// joinBoot is told of a module that it is about to be wanted. The first time that is a
// part of the boot, if it goes on, or for a device that was held back while it did.
func (m *Machine) joinBoot(mod *module, by string) {
	m.setAside(mod)
	dev := m.device(by)
	late := dev != nil && dev.delayed && dev.seenAt != 0
	if !late && !m.bootGoesOn(bootPause) || slices.ContainsFunc(m.boot.aside, func(l control.BootLoad) bool { return l.Name == mod.name }) {
		return
	}
	if !m.bootGoesOn(bootPause) && m.boot.settled == 0 {
		m.boot.settled = m.boot.rested
	}
	mod.share, m.boot.rested = ofBoot, 0
	if late {
		mod.share = heldBack
	}
}

// setAside keeps what is known of a load that has ended before its module's record
// is another one's.
func (m *Machine) setAside(mod *module) {
	ended := m.wentLive(mod) != 0 || mod.missed() || mod.state == control.Stood
	if ended && (mod.share == ofBoot || mod.share == heldBack) {
		m.boot.aside = append(m.boot.aside, m.bootLoad(mod))
	}
	mod.share = noShare
	mod.untimed()
}

// untimed forgets when calls were made, since another one is to be made.
func (mod *module) untimed() { mod.read, mod.called, mod.returned = 0, 0, 0 }

// wentLive is when the load in a module's record ended well, 0 if it did not.
func (m *Machine) wentLive(mod *module) time.Duration {
	if mod.began == 0 || mod.live < mod.began || mod.began < mod.wanted {
		return 0
	}
	return mod.live
}

// timed takes in when a worker's call was made. It may end long after the module was
// live, and the load with it.
func (m *Machine) timed(e Done) {
	mod := m.modules[e.Module]
	if mod == nil || e.Unasked || mod.share != ofBoot && mod.share != heldBack || mod.returned != 0 && mod.op != e.Op {
		return
	}
	mod.returned = m.stamp(cmp.Or(e.Returned, m.now))
	if e.Called != 0 {
		mod.read, mod.called = m.stamp(e.Read), m.stamp(e.Called)
	}
}

// appearsInBoot takes in that a device has appeared. One that has its driver already
// has it since then.
func (m *Machine) appearsInBoot(dev *device) {
	if !m.bootGoesOn(bootPause) {
		return
	}
	dev.seenAt = m.stamp(m.now)
	if dev.Driver != "" {
		dev.boundAt = dev.seenAt
	}
}

// boundInBoot takes in that a driver has a device. The first time counts; what a
// uevent says of it counts more than a link, which is there before the probe has ended.
func (m *Machine) boundInBoot(dev *device, driver string, told bool) {
	if driver == "" || dev.seenAt == 0 || !m.bootGoesOn(probePause) {
		return
	}
	if dev.boundAt == 0 || told && !dev.told && dev.Driver == driver {
		dev.boundAt = m.stamp(m.now)
	}
}

// bootReport fills in what the machine knows of a control.Boot. The rest is the
// daemon's.
func (m *Machine) bootReport() control.Boot {
	b := &m.boot
	report := control.Boot{
		Now:      m.now,
		Scan:     m.even(b.scan),
		Scanned:  m.even(m.first),
		Settled:  m.even(cmp.Or(b.settled, b.rested)),
		Complete: m.even(b.complete),
		Loads:    slices.Clone(b.aside),
		Devices:  []control.BootDevice{},
	}
	for _, mod := range m.sortedModules() {
		if mod.share != noShare && (mod.began >= mod.wanted || mod.state == control.Waiting || mod.missed()) {
			report.Loads = append(report.Loads, m.bootLoad(mod))
		}
	}
	for _, dev := range m.devices {
		if dev.seenAt != 0 && dev.seenAt != tooLate && (dev.Driver != "" || dev.boundAt != 0 || len(dev.verdict.Modules) > 0) {
			report.Devices = append(report.Devices, control.BootDevice{
				Path: dev.Path, Subsystem: dev.Subsystem, Modalias: dev.Modalias, Driver: dev.Driver,
				Modules: slices.Clone(dev.verdict.Modules), Seen: m.at(dev.seenAt), Bound: m.at(dev.boundAt),
			})
		}
	}
	return report
}

// bootLoad is the load in a module's record.
func (m *Machine) bootLoad(mod *module) control.BootLoad {
	l := control.BootLoad{
		Name:    mod.name,
		For:     mod.wantedBy,
		Stage:   mod.bootStage(),
		Needs:   slices.Clone(mod.step.Needs),
		After:   slices.Clone(mod.step.After),
		Earlier: mod.share == earlier,
		Wanted:  m.even(mod.wanted),
		Live:    m.even(m.wentLive(mod)),
		Read:    m.at(mod.read), Called: m.at(mod.called), Returned: m.at(mod.returned),
	}
	if mod.began >= mod.wanted {
		l.Began = m.even(mod.began)
	}
	if l.Live == 0 {
		l.Error = mod.said().err
	}
	return l
}

// bootStage is which part of the boot a module's load was.
func (mod *module) bootStage() control.Stage {
	switch {
	case mod.share == heldBack:
		return control.Late
	case mod.critical:
		return control.Critical
	case mod.step.Stage == policy.Deferred:
		return control.Late
	}
	return control.Normal
}
