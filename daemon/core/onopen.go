package core

import (
	"errors"
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
)

// learnPause is how long a driver has its device when it is looked at what is opened
// of that: whoever makes the nodes has done so.
const learnPause = 2 * time.Second

// mostKnown is of how many devices it is remembered what is opened of them.
const mostKnown = 64

// waitsForOpen returns the module that a device is not given before somebody opens
// it, nil for none: all that match it are to wait for that, and none is in.
func (m *Machine) waitsForOpen(dev *device) *module {
	if dev.Driver != "" || len(dev.verdict.Sleeps) == 0 || owned(&dev.verdict.Decision) {
		return nil
	}
	for _, name := range dev.verdict.Modules {
		if s, ok := dev.sleep(name); !ok || !s.OnOpen || m.module(name).state != control.Absent || m.restOf(m.module(name)) != nil {
			return nil
		}
	}
	return m.module(dev.verdict.Modules[0])
}

// holdBack has a device wait for somebody who opens it, if it is known what of it is
// opened. It tells whether it does.
func (m *Machine) holdBack(dev *device) bool {
	mod := m.waitsForOpen(dev)
	if mod == nil {
		return false
	}
	i := slices.IndexFunc(m.known, func(k control.Sleeper) bool { return knows(k, mod.name, dev) })
	if i < 0 || m.inTheWay(m.known[i].Must) != "" {
		return false
	}
	r := &rest{mod: mod, phase: covering, made: true, covered: true, slept: m.now,
		devices: []string{dev.Path}, openings: slices.Clone(m.known[i].Openings), must: m.known[i].Must}
	r.had = slices.Clone(r.devices)
	m.inheritMade(r)
	m.rests = append(m.rests, r)
	m.forgetful = true
	m.note("sleep", dev.Path, mod.name, reason("policy", "it waits for somebody who opens "+names(r.openings)))
	m.persist()
	m.helpOpeners()
	m.tend(r, Make)
	return true
}

// isMade takes in that there are nodes for a device that waits, or not: then its
// driver is loaded as ever.
func (m *Machine) isMade(r *rest, e Tended) {
	if e.Says == "" && !e.Unasked {
		r.phase, r.restored = asleep, true
		m.counts.slept++
		m.note("asleep", "", r.mod.name)
		return
	}
	m.giveUp(r, errors.New("there could be no node for it"))
	for _, path := range r.devices {
		dev := m.device(path)
		m.known = slices.DeleteFunc(m.known, func(k control.Sleeper) bool { return knows(k, r.mod.name, dev) })
	}
	m.serveAwake(r)
}

// learnOpenings takes in what is opened of the devices of a driver that is to wait for
// that the next time.
func (m *Machine) learnOpenings(r *rest, e Surveyed) {
	for _, path := range e.Devices {
		dev := m.device(path)
		if s, ok := dev.sleep(r.mod.name); !ok || !s.OnOpen || len(e.Openings) == 0 || len(e.Devices) > 1 {
			continue
		}
		k := control.Sleeper{Module: r.mod.name, Devices: []string{dev.Modalias}, Must: e.Must}
		for _, o := range e.Openings {
			o.Links = nil
			k.Openings = append(k.Openings, o)
		}
		i := slices.IndexFunc(m.known, func(old control.Sleeper) bool { return knows(old, r.mod.name, dev) })
		if i >= 0 && slices.EqualFunc(m.known[i].Openings, k.Openings, sameOpening) && slices.Equal(m.known[i].Must, k.Must) {
			continue // as after most looks: there is nothing to write down
		}
		m.known = slices.DeleteFunc(m.known, func(old control.Sleeper) bool { return knows(old, r.mod.name, dev) })
		if len(m.known) == mostKnown {
			m.known = m.known[1:]
		}
		m.known, m.forgetful = append(m.known, k), true
	}
}

// sameOpening compares all but the links.
func sameOpening(a, b control.Opening) bool {
	return a.Alias == b.Alias && a.Name == b.Name && a.Access == b.Access
}

// knows tells whether it is known what is opened of a device with that driver: of
// one of its model, wherever that was. Which one of several it is its links would
// say, and these are udevd's when it is awake.
func knows(k control.Sleeper, module string, dev *device) bool {
	return k.Module == module && slices.Equal(k.Devices, []string{dev.Modalias})
}
