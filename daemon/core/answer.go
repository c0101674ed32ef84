package core

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/control/decided"
	"github.com/kmodd/kmodd/rules"
)

// answer replies to a request of the control socket. What leaves shares nothing
// that the machine may still change.
func (m *Machine) answer(e Asked) {
	reply := Reply{ID: e.ID}
	switch r := e.Request.(type) {
	case control.StatusRequest:
		reply.Value = m.status()
	case control.MetricsRequest:
		reply.Value = m.counts.wire()
	case control.BootRequest:
		reply.Value = m.bootReport()
	case control.DevicesRequest:
		reply.Value = m.wireDevices()
	case control.ModulesRequest:
		reply.Value = m.wireModules()
	case control.WhyRequest:
		story, ok := m.why(r.Subject)
		reply.Value = story
		if !ok {
			reply.Value, reply.Err = nil, control.NotFound(r.Subject)
		}
	case control.RescanRequest:
		m.rescan()
		m.scanAskers = append(m.scanAskers, scanAsker{m.scan, e.ID})
		return
	case control.WakeRequest:
		m.wakeFor(e.ID, r.Name)
		return
	case control.ReleaseRequest:
		reply.Err = m.release(r.Name)
	case control.PinRequest:
		reply.Err = m.pin(r)
	case control.SettleRequest:
		m.settlers = append(m.settlers, settler{id: e.ID})
		return
	default:
		panic(fmt.Sprintf("core: unknown request %T", e.Request))
	}
	m.emit(reply)
}

// errWithdrawn is an answer that nobody reads.
var errWithdrawn = errors.New("nobody waits for it any more")

// A scanAsker is told when a scan has ended.
type scanAsker struct {
	scan uint32
	id   uint64
}

// answerScanAskers replies to those who asked for a scan up to the one that
// has ended.
func (m *Machine) answerScanAskers() {
	m.scanAskers = slices.DeleteFunc(m.scanAskers, func(a scanAsker) bool {
		if a.scan > m.scanned {
			return false
		}
		m.emit(Reply{ID: a.id})
		return true
	})
}

// status fills in what the machine knows of a control.Status. The rest is the
// daemon's.
func (m *Machine) status() control.Status {
	s := control.Status{
		Now:     m.now,
		Settled: m.atRest(),
		Devices: make(map[control.Result]int),
		Modules: make(map[control.State]int),

		Foreseen: m.counts.foreseen, Mispredicted: m.counts.mispredicted,
	}
	for _, dev := range m.devices {
		s.Devices[m.result(dev)]++
	}
	for _, mod := range m.modules {
		if mod.state != control.Absent {
			s.Modules[mod.state]++
		}
	}
	return s
}

func (m *Machine) wireDevices() []control.Device {
	out := make([]control.Device, len(m.devices))
	for i, dev := range m.devices {
		out[i] = m.wireDevice(dev)
	}
	return out
}

func (m *Machine) wireDevice(dev *device) control.Device {
	return control.Device{
		Path:      dev.Path,
		Subsystem: dev.Subsystem,
		Modalias:  dev.Modalias,
		Driver:    dev.Driver,
		Result:    m.result(dev),
		Modules:   slices.Clone(dev.verdict.Modules),
	}
}

func (m *Machine) wireModules() []control.Module {
	out := make([]control.Module, 0, len(m.modules))
	for _, mod := range m.sortedModules() {
		if mod.state != control.Absent || mod.freed > 0 || m.restOf(mod) != nil {
			out = append(out, m.wireModule(mod))
		}
	}
	return out
}

func (m *Machine) wireModule(mod *module) control.Module {
	w := control.Module{
		Unused: m.unusedWords(mod),
		Sleep:  m.restWords(mod),
		Pin:    m.pins[mod.name],
		Name:   mod.name,
		State:  mod.state,
		Ours:   mod.ours,
		Pinned: mod.pinned,
		For:    mod.wantedBy,
		Wanted: mod.wanted,
		Began:  mod.began,
		Live:   mod.live,
		Error:  mod.said().err,
		Cost:   mod.cost,
		Freed:  mod.freed,

		Critical: mod.critical,
		Probes:   mod.probingWords(),
	}
	if mod.ours || mod.state == control.InLoad {
		w.Options = mod.step.Options
	}
	return w
}

// why collects all that is recorded of a device, a module or a MODALIAS. Of a
// MODALIAS that no device has it tells what would be decided, and of a module
// that nothing asked for that it is installed.
func (m *Machine) why(subject string) (control.Story, bool) {
	story := control.Story{Subject: subject}
	above := m.nearest(subject)
	for _, dev := range m.devices {
		if dev == above || dev.is(subject) || m.opensAt(dev, subject) || dev.wasRefused(moduleName(subject)) {
			story.Devices = append(story.Devices, m.deviceWhy(dev))
		}
	}
	if mod := m.modules[moduleName(subject)]; mod != nil {
		story.Modules = append(story.Modules, m.moduleWhy(mod))
		for _, dev := range m.leadingTo(mod) {
			if !dev.is(subject) { // it is told of already
				story.Devices = append(story.Devices, m.deviceWhy(dev))
			}
		}
	}
	if w := m.refusedWant(moduleName(subject)); w != nil {
		story.Modules = append(story.Modules, w.why())
	}
	m.addModulesOf(&story)
	if len(story.Devices)+len(story.Modules) > 0 {
		return story, true
	}
	if m.set == nil || strings.HasPrefix(subject, "/") {
		return story, false
	}
	if strings.Contains(subject, ":") {
		story.Devices = []control.DeviceWhy{m.hypothetical(subject)}
		return story, true
	}
	story.Modules = m.resolved(subject)
	return story, len(story.Modules) > 0
}

// nearest returns the device of a path, or the next one above it: a node's own has no
// MODALIAS. nil is for none, and for what is no path.
func (m *Machine) nearest(subject string) *device {
	for p := strings.TrimPrefix(subject, "/sys"); len(p) > 1; p = path.Dir(p) {
		if dev := m.device(p); dev != nil || !strings.HasPrefix(p, "/") {
			return dev
		}
	}
	return nil
}

// opensAt tells whether a name is that of a node or an interface which wakes a device's
// driver.
func (m *Machine) opensAt(dev *device, name string) bool {
	name = strings.TrimPrefix(name, "/dev/")
	return slices.ContainsFunc(m.rests, func(r *rest) bool {
		return !r.ended && slices.Contains(r.devices, dev.Path) &&
			slices.ContainsFunc(r.openings, func(o control.Opening) bool { return o.Name == name })
	})
}

// resolved tells of modules that nothing has asked for, as if somebody did by a
// name.
func (m *Machine) resolved(name string) (list []control.ModuleWhy) {
	d := m.set.Resolve(name)
	for _, module := range d.Modules {
		w := control.ModuleWhy{
			Module:  control.Module{Name: module, State: control.Absent},
			Class:   m.class(module, ""),
			Reasons: decided.Reasons(d.Reasons),
			Lost:    decided.Reasons(d.Lost),
		}
		if i := slices.IndexFunc(d.Steps, func(s rules.Step) bool { return s.Module == module }); i >= 0 {
			w.Needs, w.Stage = slices.Clone(d.Steps[i].Needs), string(d.Steps[i].Stage)
		}
		list = append(list, w)
	}
	if len(list) == 0 && len(d.Refused) > 0 {
		list = append(list, control.ModuleWhy{
			Module:  control.Module{Name: moduleName(name), State: control.Absent},
			Class:   m.class(moduleName(name), ""),
			Refused: decided.Refusals(d.Refused),
			Lost:    decided.Reasons(d.Lost),
		})
	}
	return list
}

// class tells what a module drives, nil if it is not installed.
func (m *Machine) class(module, modalias string) *control.Class {
	if m.set == nil {
		return nil
	}
	c, ok := m.set.Class(module, modalias)
	if !ok {
		return nil
	}
	return &control.Class{Name: c.Name, Because: c.Because}
}

// wasRefused tells whether a device was refused a module.
func (dev *device) wasRefused(module string) bool {
	return slices.ContainsFunc(dev.verdict.Refused, func(r rules.Refusal) bool { return r.Module == module })
}

// is tells whether a person may mean this device.
func (dev *device) is(subject string) bool {
	return subject == dev.Path || subject == "/sys"+dev.Path || subject == dev.Modalias || subject == path.Base(dev.Path)
}

// moduleName turns what people write for a module into the kernel's name.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

func (m *Machine) deviceWhy(dev *device) control.DeviceWhy {
	w := asDecided(dev.verdict.Decision)
	w.Device = m.wireDevice(dev)
	if dev.later {
		w.WaitsFor = m.untilWords(dev)
	}
	if dev.assignment != nil {
		w.Assignment = dev.assignment.says
	}
	if dev.trouble != nil {
		w.Log, w.Firmware = slices.Clone(dev.trouble.log), slices.Clone(dev.trouble.lacks)
	}
	return w
}

func (m *Machine) hypothetical(modalias string) control.DeviceWhy {
	d := m.set.Decide(rules.Device{Modalias: modalias})
	w := asDecided(d)
	w.Device = control.Device{Modalias: modalias, Result: undriven(d.Modules), Modules: d.Modules}
	return w
}

// asDecided is what a decision says of a device.
func asDecided(d rules.Decision) control.DeviceWhy {
	return control.DeviceWhy{
		Reasons:     decided.Reasons(d.Reasons),
		Refused:     decided.Refusals(d.Refused),
		Lost:        decided.Reasons(d.Lost),
		Denied:      d.Denied,
		Prefer:      d.Preferred(),
		BindTimeout: d.BindTimeout,
	}
}

func (m *Machine) moduleWhy(mod *module) control.ModuleWhy {
	w := control.ModuleWhy{
		Module:   m.wireModule(mod),
		Needs:    slices.Clone(mod.step.Needs),
		Stage:    string(mod.step.Stage),
		Class:    m.class(mod.name, m.matchedBy(mod)),
		Reasons:  decided.Reasons(m.wantedIn(mod.name)),
		Log:      slices.Clone(mod.said().log),
		Firmware: slices.Clone(mod.said().firmware),
	}
	for _, dev := range m.leadingTo(mod) {
		w.Devices = append(w.Devices, dev.Path)
	}
	return w
}

// matchedBy returns the MODALIAS of the first device that a module matches.
func (m *Machine) matchedBy(mod *module) string {
	for _, dev := range m.devices {
		if slices.Contains(dev.verdict.Modules, mod.name) {
			return dev.Modalias
		}
	}
	return ""
}

// leadingTo returns the devices for which a module was decided on, as a match
// or as something that a match needs.
func (m *Machine) leadingTo(mod *module) []*device {
	var devs []*device
	for _, dev := range m.devices {
		if slices.ContainsFunc(dev.verdict.Steps, func(s rules.Step) bool { return s.Module == mod.name }) {
			devs = append(devs, dev)
		}
	}
	return devs
}

// addModulesOf adds the modules that a story's devices were decided to need.
func (m *Machine) addModulesOf(story *control.Story) {
	told := make(map[string]bool)
	for _, w := range story.Modules {
		told[w.Name] = true
	}
	for _, d := range story.Devices {
		dev := m.device(d.Path)
		for _, s := range dev.verdict.Steps {
			if mod := m.modules[s.Module]; mod != nil && !told[s.Module] {
				told[s.Module] = true
				story.Modules = append(story.Modules, m.moduleWhy(mod))
			}
		}
	}
}
