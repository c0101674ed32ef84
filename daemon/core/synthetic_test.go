package core_test

import (
	"testing"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

// pretend tells of a device as somebody who writes to its uevent file has the kernel
// do.
func (b *bench) pretend(path, modalias string) []core.Effect {
	return b.step(core.Seen{Device: rules.Device{Path: path, Modalias: modalias}, Synthetic: true})
}

// "udevadm trigger --action=add" comes whenever somebody likes, also between an open()
// and the driver that it waits for.
func TestADeviceThatSomebodyPretendsToPlugInIsStillOpened(t *testing.T) {
	b := &bench{t: t, m: core.New(core.DefaultLimits), ops: make(map[string]core.OpID)}
	opening := control.Opening{Alias: "char-major-81-0", Name: "video0"}
	b.step(core.Inherited{Persist: core.Persist{Asleep: []control.Sleeper{{Module: "b", Devices: []string{"/b"}, Openings: []control.Opening{opening}}}}})
	b.policed(plainDep, plainAlias, "", "[[rule]]\nmodule = \"b\"\nidle = \"2s\"\n")
	b.step(core.Seen{Device: rules.Device{Path: "/b", Modalias: "t:b"}, Scan: 1})
	b.step(core.Scanned{Scan: 1})
	b.pretend("/b", "t:b")
	b.result("/b", control.Asleep)
	b.loading()

	effects := b.step(core.Asked{ID: 9, Request: control.WakeRequest{Name: opening.Alias}})
	b.loading("b")
	effects = append(effects, b.pretend("/b", "t:b")...)
	b.live("b")
	effects = append(effects, b.pretend("/b", "t:b")...)
	effects = append(effects, b.step(core.Opened{Module: "b", Works: []string{opening.Alias}})...)
	for _, e := range effects {
		if reply, ok := e.(core.Reply); ok && reply.ID == 9 {
			if woken, _ := reply.Value.(control.Woken); !woken.Handled {
				t.Errorf("who opens it is told %+v, %v", reply.Value, reply.Err)
			}
			return
		}
	}
	t.Errorf("who opens it is told nothing: %+v", effects)
}
