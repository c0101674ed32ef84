//go:build !race

package rules_test

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// The daemon keeps a decision for each kind of device it has seen. Three
// hundred, from all over Debian's table, are more than a busy PC has.
func TestDecisionsAreSmall(t *testing.T) {
	const limit = 2000 // bytes for one, with its share of what decisions share
	p := newPeer(t, debian.AMD64)
	set := p.set(modprobed.Kmodd)
	var names []string
	for i, name := range p.named(t, "modules.alias", rand.New(rand.NewPCG(1, 0))) {
		if i%85 == 84 {
			names = append(names, name)
		}
	}
	kept := make([]rules.Decision, 0, len(names))
	before := heap()
	for _, name := range names {
		kept = append(kept, set.Decide(rules.Device{Modalias: name}))
	}
	used := heap() - before
	steps := 0
	for _, d := range kept {
		steps += len(d.Steps)
	}
	t.Logf("%d decisions with %d steps: %d bytes", len(kept), steps, used)
	if each := used / len(kept); each > limit {
		t.Errorf("%d bytes for a decision, more than %d", each, limit)
	}
	runtime.KeepAlive(set)
	runtime.KeepAlive(names)
}

// heap returns how many bytes are in use after collection. Two are needed for
// what sync.Pool holds.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
