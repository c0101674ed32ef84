package core

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/daemon/control"
)

// lacks takes in which firmware a device's driver has asked for in vain. If the
// kernel has said nothing at all of the device it may be any that the modules
// name and that is not installed.
func (m *Machine) lacks(dev *device, e Looked) {
	t, missing := dev.trouble, slices.Clone(e.Firmware)
	says := "its driver asked for firmware that is not installed: %s; install it, and the driver tries again"
	if len(e.Log)+len(missing) == 0 {
		missing = m.namedFirmware(dev)
		says = "its driver may miss firmware that is not installed: %s"
	}
	slices.Sort(missing)
	missing = slices.Compact(missing)
	if slices.Equal(missing, t.lacks) {
		return
	}
	t.lacks = missing
	if len(missing) > 0 {
		m.anew = true // a file may have come meanwhile that is awaited for another device
		m.note("firmware", dev.Path, "", reason("kernel", fmt.Sprintf(says, strings.Join(missing, ", "))))
	}
}

// namedFirmware lists what a device's modules name and is not installed.
func (m *Machine) namedFirmware(dev *device) (names []string) {
	for _, name := range dev.verdict.Modules {
		if mod := m.modules[name]; mod != nil && mod.state == control.Live {
			names = append(names, mod.said().firmware...)
		}
	}
	return names
}

// awaitFirmware asks for the files that devices lack, if these are others than
// before.
func (m *Machine) awaitFirmware() {
	var names []string
	for _, dev := range m.troubled {
		names = append(names, dev.trouble.lacks...)
	}
	slices.Sort(names)
	if names = slices.Compact(names); !slices.Equal(names, m.awaited) || m.anew && len(names) > 0 {
		m.awaited = names
		m.emit(AwaitFirmware{Names: slices.Clone(names)})
	}
	m.anew = false
}

// firmwareFound has the devices tried again that lacked a file. One that was
// there the last time, too, is of no use unless it has changed.
func (m *Machine) firmwareFound(e FirmwareFound) {
	for _, dev := range slices.Clone(m.troubled) {
		t := dev.trouble
		if !slices.Contains(t.lacks, e.Name) || !e.Changed && slices.Contains(t.inVain, e.Name) {
			continue
		}
		if dev.act != nil && dev.act.assign != nil {
			continue // it is looked for anew when that has ended
		}
		if !slices.Contains(t.inVain, e.Name) {
			t.inVain = append(t.inVain, e.Name)
		}
		if dev.act != nil {
			dev.act.again = dev.act.again || dev.act.op != 0
			continue
		}
		m.note("probe", dev.Path, "", reason("firmware", e.Name+" is there"))
		m.do(dev, &act{})
	}
}

// probed takes in that a device was tried again. Whether a driver has it now, a
// look tells.
func (m *Machine) probed(e Probed) {
	dev, _ := m.acted(e.Op, e.Unasked)
	if dev == nil {
		return
	}
	if e.Says != "" {
		m.note("not taken", dev.Path, "", reason("kernel", e.Says))
		return
	}
	m.lookIfSettled(dev)
}
