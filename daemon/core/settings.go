package core

import (
	"time"

	"github.com/kmodd/kmodd/daemon/control"
)

// settingTime is how long those who open a device wait, when its driver is in, for
// what was set of it before: so long at most after its init has returned.
const settingTime = time.Second

// keepSettings takes in what the parameters of a module were when it was taken out.
// If it is in again already nobody sets them.
func (m *Machine) keepSettings(mod *module, values string) {
	if values == "" || mod.state == control.InLoad || mod.inKernel() {
		return
	}
	mod.settings = &control.Settings{Module: mod.name, Options: mod.step.Options, Values: values}
	m.forgetful = true
}

// settingsFor returns what is to be set of a module that is loaded now. What
// its configuration says counts for more if that has changed since.
func (m *Machine) settingsFor(mod *module) string {
	switch {
	case mod.settings == nil:
		return ""
	case mod.settings.Options != mod.step.Options || mod.step.Install != "":
		m.forgetSettings(mod)
		return ""
	}
	return mod.settings.Values
}

// settingsAreBack takes in that the parameters of a module that is live have been set. They are
// not kept for another time: somebody may set others.
func (m *Machine) settingsAreBack(e Done) {
	mod := m.modules[e.Module]
	if mod == nil || mod.state != control.Live || mod.settings == nil {
		return
	}
	m.forgetSettings(mod)
	if e.Unset != "" {
		m.note("unset", "", mod.name, reason("kernel", e.Unset))
	}
	if r := m.restOf(mod); r != nil && r.phase == waking {
		r.next = m.now
	}
}

func (m *Machine) forgetSettings(mod *module) {
	m.forgetful = m.forgetful || mod.settings != nil
	mod.settings = nil
}

// kept lists what must not be forgotten of it.
func (m *Machine) kept() (all []control.Settings) {
	for _, mod := range m.sortedModules() {
		if mod.settings != nil {
			all = append(all, *mod.settings)
		}
	}
	return all
}
