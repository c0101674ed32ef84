package rules_test

import (
	"math/rand/v2"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// BenchmarkDecide decides about names made from all of Debian's patterns, as
// the daemon does once for each kind of device: search, order and reasons.
func BenchmarkDecide(b *testing.B) {
	p := newPeer(b, debian.AMD64)
	set := p.set(modprobed.Kmodd)
	names := p.named(b, "modules.alias", rand.New(rand.NewPCG(1, 0)))
	rand.New(rand.NewPCG(2, 0)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		set.Decide(rules.Device{Modalias: names[i]})
		if i++; i == len(names) {
			i = 0
		}
	}
}
