package daemon

import (
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/kmodd/kmodd/match"
)

const (
	// quietAfter is how long nothing must have happened before memory is
	// given back: longer than the pauses within a burst of events.
	quietAfter = 2 * time.Second
	// worthwhile is how much of the heap must be free for it to be given back
	// at once. The runtime does so by itself, slowly; forcing it costs a
	// collection.
	worthwhile = 1 << 20
)

// A quiet notices that a burst of work is over, once for each burst.
type quiet struct{ timer *time.Timer }

// disturbed is called whenever something has happened.
func (q *quiet) disturbed() {
	if q.timer == nil {
		q.timer = time.NewTimer(quietAfter)
		return
	}
	q.timer.Reset(quietAfter)
}

// fell delivers when it has become quiet.
func (q *quiet) fell() <-chan time.Time {
	if q.timer == nil {
		return nil
	}
	return q.timer.C
}

// giveBack lets the kernel have the memory that only the burst needed: the
// pages of the tables, which come back from the file, and free heap.
func (q *quiet) giveBack(tables *match.Tables) {
	if tables != nil {
		tables.Release()
	}
	sample := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Uint64()+sample[1].Value.Uint64() >= worthwhile {
		debug.FreeOSMemory()
	}
}
