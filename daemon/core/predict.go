package core

import (
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
)

// An Expectation is a device whose driver the last boots have loaded.
type Expectation struct {
	Device rules.Device // as rules look at it, with the path that it had; the driver is left out
	// Score is how sure it is: it rises with each boot that has it, up to three, and
	// falls with each that has not. At 0 it is forgotten.
	Score int
}

// mostSure is the highest score.
const mostSure = 3

// A foresight is what a machine makes of what it expects, until the boot's devices are
// known.
type foresight struct {
	expected []Expectation
	devices  []*device       // those whose drivers are loaded before they are met; they are in no list of devices
	unknown  map[string]bool // modules of which it is asked whether they are in already
	modules  map[string]bool // that are wanted for it
}

// foresee begins with what the last boots tell, when there are rules to decide it by: by
// these, and the tables of now. It is asked first which of the modules are in.
func (m *Machine) foresee() {
	f := m.foresight
	if f == nil {
		return
	}
	if !m.set.Predicts() {
		m.foresight = nil
		return
	}
	f.unknown, f.modules = make(map[string]bool), make(map[string]bool)
	for _, e := range f.expected {
		dev := &device{Device: e.Device}
		d := m.set.Decide(e.Device)
		if owned(&d) || len(d.Sleeps)+len(d.Refused) > 0 || slices.ContainsFunc(d.Steps, isDeferred) {
			continue // what rules say of it is said when it is there
		}
		dev.verdict = &verdict{Decision: d, modalias: e.Device.Modalias}
		f.devices = append(f.devices, dev)
		for _, s := range d.Steps {
			if !f.modules[s.Module] {
				f.modules[s.Module], f.unknown[s.Module] = true, true
				m.emit(LookModule{Name: s.Module})
			}
		}
	}
	m.counts.foreseen = uint64(len(f.devices))
}

func isDeferred(s rules.Step) bool { return s.Stage == policy.Deferred }

// knows takes in that it is known whether a module is in. When it is of all, what is not
// is wanted. If that takes as long as the first scan, nothing is won by it any more.
func (m *Machine) knows(module string) {
	f := m.foresight
	if f == nil || !f.unknown[module] {
		return
	}
	delete(f.unknown, module)
	if len(f.unknown) > 0 || m.scanned != 0 {
		return
	}
	for _, dev := range f.devices {
		m.wantInTurn(dev.verdict.Decision, dev.Path, nil, m.step)
	}
}

// asker returns the device for whose sake a module is wanted, one that is expected among
// them; nil if it is none.
func (m *Machine) asker(by string) *device {
	if dev := m.device(by); dev != nil || m.foresight == nil {
		return dev
	}
	i := slices.IndexFunc(m.foresight.devices, func(dev *device) bool { return dev.Path == by })
	if i < 0 {
		return nil
	}
	return m.foresight.devices[i]
}

// foreseen tells whether a module is wanted for a device that is still expected.
func (m *Machine) foreseen(module string) bool {
	return m.foresight != nil && m.foresight.modules[module]
}

// restless is how many times as long as usual it is waited for a board to come to rest
// before it is written down which devices it has.
const restless = 4

// rememberAt is when it is written down which devices the boot had, at the latest if
// something is still on its way in; never if that was done or is not wanted.
func (m *Machine) rememberAt() time.Duration {
	if m.foresight == nil || m.scanned == 0 {
		return never
	}
	if at := m.first + m.limits.Remember; m.now < at || m.atRest() {
		return at
	}
	return m.first + restless*m.limits.Remember
}

// writeDown has it written down which devices had a driver by our doing, for the next boot.
// Modules that were loaded for others have nothing that calls for them from now on.
func (m *Machine) writeDown() {
	if m.now < m.rememberAt() {
		return
	}
	expected := m.foresight.expected
	m.foresight = nil
	m.emit(Remember{Devices: append(m.served(expected), m.decayed(expected)...)})
	m.reckonAll()
}

// served are the devices that have a driver by our doing, one for each decision, as sure
// as this boot makes them.
func (m *Machine) served(expected []Expectation) (all []Expectation) {
	score := make(map[string]int)
	for _, e := range expected {
		score[m.set.Key(e.Device)] = e.Score
	}
	done := make(map[string]bool)
	for _, dev := range m.devices {
		if key := dev.verdict.key; !done[key] && m.servedByUs(dev) {
			done[key] = true
			d := dev.Device
			d.Driver = ""
			all = append(all, Expectation{d, min(score[key]+1, mostSure)})
		}
	}
	return all
}

// decayed are those that were expected and have no driver by our doing, less sure than
// before. It was wrong to expect those that are not even there.
func (m *Machine) decayed(expected []Expectation) (all []Expectation) {
	met, done := make(map[string]bool), make(map[string]bool)
	for _, dev := range m.devices {
		met[dev.verdict.key] = true
		done[dev.verdict.key] = done[dev.verdict.key] || m.servedByUs(dev)
	}
	for _, e := range expected {
		key := m.set.Key(e.Device)
		if done[key] {
			continue
		}
		done[key] = true
		if !met[key] {
			m.counts.mispredicted++
			m.note("mispredicted", e.Device.Path, "", reason("prediction", "it was there at the last boots: "+e.Device.Modalias))
		}
		if e.Score--; e.Score > 0 {
			all = append(all, e)
		}
	}
	return all
}

// servedByUs tells whether a device has its driver by a load of ours.
func (m *Machine) servedByUs(dev *device) bool {
	return dev.Driver != "" && m.anyModule(dev.verdict.Modules, func(mod *module) bool { return mod.ours && mod.state == control.Live })
}
