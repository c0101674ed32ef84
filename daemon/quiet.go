package daemon

import (
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/kmodd/kmodd/match"
)

const (
	// quietAfter is how long nothing must have happened before memory is
	// given back: longer than the pauses within a burst of events, and than
	// workers without work are kept.
	quietAfter = 4 * time.Second
	// worthwhile is how many bytes of the heap must be garbage or free for
	// them to be given back. The first collection costs some 400 kB for good,
	// in the runtime's lists of what was swept, one for each size of object
	// (runtime/mspanset.go), so that to collect less makes a process larger.
	worthwhile = 1 << 20
)

// A quiet notices that a burst of work is over, once for each burst, and lets
// the kernel have the memory that only the burst needed.
type quiet struct {
	timer   *time.Timer
	program []mapping // the parts of this program's file, nil if not looked for yet
}

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

// giveBack lets the kernel have heap that is not in use any more, and the pages
// of the tables and of the program itself, which come back from their files.
func (q *quiet) giveBack(tables *match.Tables) {
	if wasted() >= worthwhile {
		debug.FreeOSMemory()
	}
	if tables != nil {
		tables.Release()
	}
	if q.program == nil {
		q.program = ownFile()
	}
	for _, m := range q.program {
		m.release()
	}
}

// wasted is how many bytes of the heap hold garbage, or nothing. All that was
// allocated since the last collection counts as garbage: to know better costs
// a collection. (runtime.ReadMemStats would cost half of one: it empties the
// caches of free objects into those same lists.)
func wasted() uint64 {
	sample := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(sample)
	held := sample[0].Value.Uint64() + sample[1].Value.Uint64()
	return held - min(held, sample[2].Value.Uint64())
}
