package bench

import (
	"math"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
)

func TestGrowthIsOfWhatStaysWhenKmoddIsAtRest(t *testing.T) {
	memory := func(c agentwire.Cycle) float64 { return float64(c.Memory) }
	var all []agentwire.Cycle
	for i := range 1000 {
		c := agentwire.Cycle{Rested: i%100 == 0, Memory: 5000 + int64(i)*3}
		if !c.Rested && i > 500 { // with the second half's workers
			c.Memory += 100000
		}
		all = append(all, c)
	}
	if got, known := growth(all, memory); !known || math.Abs(got-3000) > 1e-6 {
		t.Errorf("%v in a thousand sleeps, known %v; want 3 for each", got, known)
	}
	if got, known := growth(all[:100], memory); known {
		t.Errorf("%v, of one sleep after a rest", got)
	}
}
