package core

import (
	"fmt"
	"slices"
	"time"
)

// An act is what a worker is asked to do about a device: to have its drivers try
// it once more, or to see to it who has it. Each device has one at a time.
type act struct {
	assign *Assign // nil for a probe

	op        OpID          // of the worker's call, 0 while it waits for its turn
	began     time.Duration // when that was
	slow      bool          // it has taken longer than our patience, and has lost its slot
	again     bool          // a probe that is to be made once more after this one
	notBefore time.Duration // when it begins at the earliest, for want of memory or processes
}

// actPause is how long an act is put off that could not begin.
const actPause = time.Second

// holdsSlot tells whether others wait for the end of an act.
func (a *act) holdsSlot() bool { return a.op != 0 && !a.slow }

// do has a worker do something about a device that nothing is done about yet,
// when there is a slot.
func (m *Machine) do(dev *device, a *act) {
	dev.act = a
	m.acting = append(m.acting, dev)
}

// drop forgets what is done about a device, if anything is.
func (m *Machine) drop(dev *device) {
	if dev.act == nil {
		return
	}
	delete(m.acts, dev.act.op)
	dev.act = nil
	m.acting = slices.DeleteFunc(m.acting, func(other *device) bool { return other == dev })
}

// startActs begins what is due, as many at a time as loads: a card may have
// hundreds of functions that all lacked one file. Those that take long lose their
// slot.
func (m *Machine) startActs() {
	free := m.limits.Slots
	for _, dev := range m.acting {
		if dev.act.holdsSlot() && m.now >= dev.act.began+m.limits.Patience {
			m.abandonAct(dev)
		}
		if dev.act.holdsSlot() {
			free--
		}
	}
	for _, dev := range m.acting {
		if a := dev.act; a.op == 0 && m.now >= a.notBefore && free > 0 {
			m.startAct(dev)
			free--
		}
	}
}

func (m *Machine) startAct(dev *device) {
	a := dev.act
	a.op, a.began = m.nextOp(), m.now
	m.acts[a.op] = dev
	if a.assign == nil {
		m.emit(Probe{Op: a.op, Path: dev.Path, Subsystem: dev.Subsystem})
		return
	}
	e := *a.assign
	e.Op, e.Path, e.Subsystem = a.op, dev.Path, dev.Subsystem
	m.emit(e)
}

// abandonAct gives the slot of an act that takes long to others.
func (m *Machine) abandonAct(dev *device) {
	dev.act.slow = true
	m.note("slow", dev.Path, "", reason("kernel", fmt.Sprintf("its driver's probe has not returned after %v", m.limits.Patience)))
	m.emit(Abandon{Op: dev.act.op})
}

// nextTime is when something is due about an act, 0 for never.
func (a *act) nextTime(now, patience time.Duration) time.Duration {
	switch {
	case a.holdsSlot():
		return a.began + patience
	case a.op == 0 && a.notBefore > now:
		return a.notBefore
	}
	return 0
}

// acted takes in that a call of a worker has ended. It returns the device that it
// was about, and the act; nil if nothing is to be said of it: what could not
// begin, but is still wanted, is done later.
func (m *Machine) acted(op OpID, unasked bool) (*device, *act) {
	dev := m.acts[op]
	if dev == nil {
		return nil, nil
	}
	a := dev.act
	if (unasked || a.again) && a.wanted(dev) {
		delete(m.acts, op)
		*a = act{assign: a.assign}
		if unasked {
			a.notBefore = m.now + actPause
		}
		return nil, nil
	}
	m.drop(dev)
	if unasked {
		return nil, nil
	}
	return dev, a
}

// wanted tells whether an act is still wanted: rules may have changed.
func (a *act) wanted(dev *device) bool {
	return a.assign == nil || dev.assignment != nil && dev.assignment.asked
}
