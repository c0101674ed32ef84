package core

import (
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
)

// A trouble is what is known of a device that no driver has taken though a
// module for it is in. No uevent tells that a probe has failed.
type trouble struct {
	log   []string      // what the kernel wrote to its log about the device
	look  time.Duration // when it is looked at again, 0 for never
	looks int           // how often it was planned to be

	lacks  []string      // firmware that is not installed
	inVain []string      // of that, what was there when it was tried last
	turn   bool          // it waits for its turn to be probed
	probe  OpID          // the probe that was asked for and has not ended, 0 for none
	began  time.Duration // when that was
	slow   bool          // it has taken longer than our patience, and has lost its slot
	again  bool          // it is to be tried once more after that
	retry  time.Duration // when that is, for want of memory or processes, 0 for never
}

// laterLooks are the pauses before a device is looked at again: a probe that
// sleeps, or that runs beside the load, may have failed since.
var laterLooks = []time.Duration{time.Second, 5 * time.Second, 25 * time.Second}

// untaken takes in that a device was found to have no driver.
func (m *Machine) untaken(dev *device, e Looked) {
	m.lookLater(dev)
	t := dev.trouble
	if len(e.Log) > 0 && !slices.Equal(t.log, e.Log) {
		t.log = e.Log
		m.note("not taken", dev.Path, "", logged(e.Log)...)
	}
	m.lacks(dev, e)
}

// lookLater plans the next look at a device.
func (m *Machine) lookLater(dev *device) {
	if dev.trouble == nil {
		dev.trouble = &trouble{}
		m.troubled = append(m.troubled, dev)
	}
	if t := dev.trouble; t.look == 0 && t.looks < len(laterLooks) {
		t.look = m.now + laterLooks[t.looks]
		t.looks++
	}
}

// calm forgets the trouble with a device: a driver has it, or it has gone.
func (m *Machine) calm(dev *device) {
	if dev.trouble == nil {
		return
	}
	delete(m.probes, dev.trouble.probe)
	dev.trouble = nil
	m.troubled = slices.DeleteFunc(m.troubled, func(other *device) bool { return other == dev })
}

// lookAgain has the devices looked at, or tried, whose time has come.
func (m *Machine) lookAgain() {
	for _, dev := range m.troubled {
		t := dev.trouble
		if t.retry != 0 && m.now >= t.retry {
			t.retry, t.turn = 0, true
		}
		if t.holdsSlot() && m.now >= t.began+m.limits.Patience {
			m.abandonProbe(dev)
		}
		if t.look != 0 && m.now >= t.look {
			t.look = 0
			m.emit(Look{Path: dev.Path, Subsystem: dev.Subsystem})
		}
	}
	m.startProbes()
}

// nextTime is when something is due about the device, 0 for never.
func (t *trouble) nextTime(patience time.Duration) (next time.Duration) {
	times := [...]time.Duration{t.look, t.retry, 0}
	if t.holdsSlot() {
		times[2] = t.began + patience
	}
	for _, at := range times {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	return next
}

// logged makes reasons of lines of the kernel's log.
func logged(lines []string) []control.Reason {
	out := make([]control.Reason, len(lines))
	for i, line := range lines {
		out[i] = reason(control.KernelLog, line)
	}
	return out
}

// doubt plans looks at the devices whose driver is known by its link only.
func (m *Machine) doubt() { m.doubtAt, m.doubts = m.now+laterLooks[0], 1 }

// resolveDoubts looks at them when it is time. A probe that takes longer than
// all these looks together, and then fails, goes unnoticed until the next scan.
func (m *Machine) resolveDoubts() {
	if m.doubtAt == 0 || m.now < m.doubtAt {
		return
	}
	last := m.doubts == len(laterLooks)
	for _, dev := range m.devices {
		if dev.Driver != "" && !dev.told {
			dev.told = last && !m.inProbe(dev)
			m.emit(Look{Path: dev.Path, Subsystem: dev.Subsystem})
		}
	}
	if last {
		m.doubtAt = 0
		return
	}
	m.doubtAt = m.now + laterLooks[m.doubts]
	m.doubts++
}
