package core_test

import (
	"testing"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

// tends returns the last work on nodes among effects.
func tends(effects []core.Effect) (last core.Tend) {
	for _, e := range effects {
		if tend, ok := e.(core.Tend); ok {
			last = tend
		}
	}
	return last
}

// While a camera sleeps, its node is where logind finds it without the device. That has
// an end when the device is there again.
func TestNodesOfADriverThatIsAwakeAreSeenToOnceMore(t *testing.T) {
	b := &bench{t: t, m: core.New(core.DefaultLimits), ops: make(map[string]core.OpID)}
	opening := control.Opening{Alias: "char-major-81-0", Name: "video0"}
	b.step(core.Inherited{Persist: core.Persist{Asleep: []control.Sleeper{{Module: "b", Devices: []string{"/b"}, Openings: []control.Opening{opening}}}}})
	b.policed(plainDep, plainAlias, "", "[[rule]]\nmodule = \"b\"\nidle = \"2s\"\n")
	b.step(core.Seen{Device: rules.Device{Path: "/b", Modalias: "t:b"}, Scan: 1})
	asleep := tends(b.step(core.Scanned{Scan: 1}))
	if asleep.How != core.Restore {
		t.Fatalf("when it sleeps: %+v", asleep)
	}
	b.step(core.Tended{Op: asleep.Op})

	b.step(core.Asked{ID: 9, Request: control.WakeRequest{Name: opening.Alias}})
	b.live("b")
	awake := tends(b.step(core.Opened{Module: "b", Works: []string{opening.Alias}}))
	if awake.How != core.Restore || awake.Op == asleep.Op {
		t.Fatalf("when it is awake: %+v", awake)
	}
	written := false
	for _, e := range b.step(core.Tended{Op: awake.Op}) {
		if p, ok := e.(core.Persist); ok {
			written = len(p.Asleep) == 0
		}
	}
	if again := tends(b.step(core.Tick{})); !written || again.Op != 0 {
		t.Errorf("after that: written down that it is awake: %v; then: %+v", written, again)
	}
}
