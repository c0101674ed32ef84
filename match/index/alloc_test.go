//go:build !race

package index_test

import (
	"testing"

	"github.com/kmodd/kmodd/match/index"
)

// Under the race detector sync.Pool forgets at random, so this is not for it.
func TestSearchAllocatesNothing(t *testing.T) {
	x := written(t, []index.Entry{{"pci:v*d*sv*sd*bc0[1-3]sc*i*", 1, "a"}, {"pci:v00008086d000010D3*", 2, "b"}})
	const name = "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"
	found := make([]index.Value, 0, 8)
	n := testing.AllocsPerRun(1000, func() {
		var err error
		if found, err = x.Search(found[:0], name); err != nil || len(found) != 2 {
			t.Fatalf("Search = %v, %v", found, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a look-up", n)
	}
}
