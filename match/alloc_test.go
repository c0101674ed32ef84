//go:build !race

package match_test

import "testing"

// Under the race detector sync.Pool forgets at random, so this is not for it.
func TestMissAllocatesNothing(t *testing.T) {
	tables := open(t, debianTables(t))
	n := testing.AllocsPerRun(1000, func() {
		if got := tables.Aliases(nil, "pci:v00001234d00005678sv00000000sd00000000bcFFsc00i00"); got != nil {
			t.Fatalf("found %v", got)
		}
		if _, ok := tables.Builtin("no_such_module"); ok {
			t.Fatal("it is built in")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a look-up that finds nothing", n)
	}
}

// A hit costs the one string that a decision keeps as its reason.
func TestHitAllocatesItsReason(t *testing.T) {
	tables := open(t, debianTables(t))
	hits := tables.Aliases(nil, "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00")
	n := testing.AllocsPerRun(1000, func() {
		hits = tables.Aliases(hits[:0], "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00")
	})
	if len(hits) != 1 || n != 1 {
		t.Errorf("%d hits, %v allocations", len(hits), n)
	}
}
