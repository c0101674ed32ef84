package core

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
)

// gentle is how many deferred loads are under way at a time.
const gentle = 2

// due are the steps of a device's decision that are to be taken now. What waits for
// something is left out, and what only that needs; held tells whether anything is.
func (m *Machine) due(dev *device) (steps []rules.Step, held bool) {
	d := &dev.verdict.Decision
	if !slices.ContainsFunc(d.Steps, func(s rules.Step) bool { return s.Stage == policy.Deferred }) {
		return d.Steps, false
	}
	waiting := m.waitFor(dev)
	if len(waiting) == 0 {
		return d.Steps, false
	}
	now := make(map[string]bool)
	for _, name := range d.Modules {
		now[name] = !slices.ContainsFunc(waiting, func(s rules.Step) bool { return s.Module == name })
	}
	for grows := true; grows; {
		grows = false
		for _, s := range d.Steps {
			follows := s.Soft && slices.ContainsFunc(s.After, func(name string) bool { return now[name] })
			if follows && !now[s.Module] {
				now[s.Module], grows = true, true
			}
			if !now[s.Module] {
				continue
			}
			for _, other := range d.Steps { // a pre-softdep that the device matches is none for this
				if !now[other.Module] && (slices.Contains(s.Needs, other.Module) || other.Soft && slices.Contains(s.After, other.Module)) {
					now[other.Module], grows = true, true
				}
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(d.Steps), func(s rules.Step) bool { return !now[s.Module] }), true
}

// waitsLonger tells whether a module that a device matches is not loaded before
// something has happened. One that is in, or on its way for somebody's sake, does not
// wait.
func (m *Machine) waitsLonger(s rules.Step) bool {
	if s.Stage != policy.Deferred || m.released[s.Module] {
		return false
	}
	if mod := m.modules[s.Module]; mod != nil && (mod.state == control.Live || mod.pending()) {
		return false
	}
	if delay, ok := s.Until.Delay(); ok {
		return m.scanned == 0 || m.now < m.first+delay
	}
	return !m.released[string(s.Until)]
}

// waitFor are the steps for modules that a device matches which wait.
func (m *Machine) waitFor(dev *device) (steps []rules.Step) {
	for _, s := range dev.verdict.Steps {
		if m.waitsLonger(s) && slices.Contains(dev.verdict.Modules, s.Module) {
			steps = append(steps, s)
		}
	}
	return steps
}

// holdOff notes whether a device waits for what releases its modules.
func (m *Machine) holdOff(dev *device, held bool) {
	if held == dev.later {
		return
	}
	dev.later, m.reckonLater = held, true
	defer m.missSuppliers()
	if !held {
		m.later = slices.DeleteFunc(m.later, func(other *device) bool { return other == dev })
		if len(m.later) == 0 {
			m.missAt = never
		}
		return
	}
	m.later, dev.delayed = append(m.later, dev), true
	if !m.terse {
		m.note("held back", dev.Path, "", reason("policy", "it waits for "+m.untilWords(dev)))
	}
}

// untilWords says what a device waits for.
func (m *Machine) untilWords(dev *device) string {
	var words []string
	for _, s := range m.waitFor(dev) {
		word := string(s.Until)
		switch delay, ok := s.Until.Delay(); {
		case ok:
			word = fmt.Sprintf("%v after the first scan", delay)
		case s.Until == policy.BootComplete:
			word = "the end of the boot (kmodctl boot-complete)"
		case s.Until == policy.Request:
			word = "somebody who asks for it (kmodctl release " + s.Module + ")"
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", or for ")
}

// release has what waits for something, or a module that waits, go in.
func (m *Machine) release(name string) error {
	if t := policy.Trigger(name); t != policy.BootComplete && !t.IsPath() {
		name = moduleName(name)
		if !slices.ContainsFunc(m.later, func(dev *device) bool { return slices.Contains(dev.verdict.Modules, name) }) {
			return control.NotFound(name)
		}
	}
	if m.released[name] {
		return nil
	}
	m.released[name], m.forgetful = true, true
	if policy.Trigger(name) == policy.BootComplete {
		m.boot.complete = m.now
	}
	m.note("due", "", "", reason("policy", name))
	m.persist()
	m.goOn()
	return nil
}

// goOn serves the devices that waited for what may have happened.
func (m *Machine) goOn() {
	m.reckonLater = true
	for _, dev := range slices.Clone(m.later) {
		m.serveDevice(dev, m.step)
	}
}

// awaitTriggers works out, if need be, when the next device has waited long enough, and
// has it looked for the files that devices wait for.
func (m *Machine) awaitTriggers() {
	if !m.reckonLater {
		return
	}
	m.reckonLater, m.releaseAt = false, never
	var paths []string
	for _, dev := range m.later {
		for _, s := range m.waitFor(dev) {
			if delay, ok := s.Until.Delay(); ok && m.scanned != 0 {
				m.releaseAt = min(m.releaseAt, m.first+delay)
			}
			if s.Until.IsPath() {
				paths = append(paths, string(s.Until))
			}
		}
	}
	slices.Sort(paths)
	if paths = slices.Compact(paths); !slices.Equal(paths, m.paths) {
		m.paths = paths
		m.emit(AwaitPaths{Paths: slices.Clone(paths)})
	}
}

// probeTime is how long after a module has come in it is looked for devices that its
// drivers could not serve yet, since they wait for what is held back.
const probeTime = time.Second

// missSuppliers has it looked, soon, whether others wait for what is held back.
func (m *Machine) missSuppliers() {
	if len(m.later) > 0 && m.missAt == never {
		m.missAt = m.now + probeTime
	}
}

// lookForSuppliers asks whether others wait for what is held back.
func (m *Machine) lookForSuppliers() {
	if m.now < m.missAt {
		return
	}
	m.missAt = never
	var held []string
	for _, dev := range m.later {
		held = append(held, dev.Path)
	}
	if len(held) > 0 {
		m.emit(LookForSuppliers{Held: held})
	}
}

// supplying has the devices served that others wait for.
func (m *Machine) supplying(e Supplying) {
	for _, need := range e.Needs {
		dev := m.device(need.Supplier)
		if dev == nil || !dev.later {
			continue
		}
		for _, name := range dev.verdict.Modules {
			m.released[name] = true
		}
		m.reckonLater, m.forgetful = true, true
		m.note("due", dev.Path, "", reason("kernel", "it supplies "+need.Device))
		m.serveDevice(dev, m.step)
	}
}
