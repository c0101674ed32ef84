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

	lacks  []string // firmware that is not installed
	inVain []string // of that, what was there when it was tried last
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
	if dev.act != nil && dev.act.assign == nil {
		m.drop(dev)
	}
	dev.trouble = nil
	m.troubled = slices.DeleteFunc(m.troubled, func(other *device) bool { return other == dev })
}

// lookAgain has the devices looked at whose time has come.
func (m *Machine) lookAgain() {
	for _, dev := range m.troubled {
		if t := dev.trouble; t.look != 0 && m.now >= t.look {
			t.look = 0
			m.ask(dev)
		}
	}
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
			m.ask(dev)
		}
	}
	if last {
		m.doubtAt = 0
		return
	}
	m.doubtAt = m.now + laterLooks[m.doubts]
	m.doubts++
}
