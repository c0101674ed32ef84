package daemon

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/kmodd/kmodd/match"
)

const (
	// quietAfter is how long nothing must have happened before memory is
	// given back: longer than the pauses within a burst of events, and than
	// workers without work are kept.
	quietAfter = 4 * time.Second
	// worthwhile is by how many bytes memory must have grown since it was last
	// given back for the heap to be collected: a coldplug takes less. The first
	// collection costs some 400 kB for good, in the runtime's lists of what was
	// swept, one for each size of object (runtime/mspanset.go), so that to
	// collect less makes a process larger.
	worthwhile = 3 << 19
)

// A quiet notices that a burst of work is over, once for each burst, and lets
// the kernel have the memory that only the burst needed.
type quiet struct {
	timer   *time.Timer
	kept    uint64    // bytes of anonymous memory when it was last given back, or at first
	program []mapping // the parts of this program's file, nil if not looked for yet
}

// disturbed is called whenever something has happened.
func (q *quiet) disturbed() {
	if q.timer == nil {
		q.timer = time.NewTimer(quietAfter)
		q.kept = anonymous()
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
	if anonymous() >= q.kept+worthwhile {
		debug.FreeOSMemory()
		q.kept = anonymous()
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

// anonymous is how many bytes of memory this process has to itself, 0 if that
// can't be found out: the second field of /proc/self/statm without the third,
// in pages (proc_pid_statm(5)). To ask the runtime takes more memory than it
// is worth: runtime.ReadMemStats empties caches into those same lists.
func anonymous() uint64 {
	var buf [128]byte
	fields := strings.Fields(string(buf[:readStart("/proc/self/statm", buf[:])]))
	if len(fields) < 3 {
		return 0
	}
	resident, err1 := strconv.ParseUint(fields[1], 10, 64)
	shared, err2 := strconv.ParseUint(fields[2], 10, 64)
	if err1 != nil || err2 != nil || shared > resident {
		return 0
	}
	return (resident - shared) * uint64(os.Getpagesize())
}
