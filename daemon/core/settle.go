package core

import (
	"slices"

	"github.com/kmodd/kmodd/daemon/control"
)

// A settler waits until nothing is pending.
type settler struct {
	id   uint64
	mark uint32 // of the CatchUp that was asked for on its behalf, 0 for none yet
}

// atRest tells whether nothing is pending: everything was scanned, and no
// module is on its way in that can be waited for with patience. A load that
// takes longer than that may never end, so neither it nor what needs it counts.
func (m *Machine) atRest() bool {
	return m.scan > 0 && m.scanned == m.scan && len(m.loading) == 0 && !m.awaiting() && m.allHeldUp() && !slices.ContainsFunc(m.steered, m.assigning)
}

// awaiting tells whether a module that is wanted is on its way by somebody
// else's doing, and not for long yet.
func (m *Machine) awaiting() bool {
	return slices.ContainsFunc(m.unsure, func(mod *module) bool { return mod.awaited && !mod.overdue })
}

// allHeldUp tells whether each waiting module needs a load that takes too long,
// or another module that does.
func (m *Machine) allHeldUp() bool {
	rest := slices.Clone(m.waiting)
	for before := -1; before != len(rest); {
		before = len(rest)
		rest = slices.DeleteFunc(rest, func(mod *module) bool {
			return m.anyModule(mod.step.Needs, func(need *module) bool {
				return need.takesTooLong() || need.state == control.Waiting && !slices.Contains(rest, need)
			})
		})
	}
	return len(rest) == 0
}

// takesTooLong tells whether a module has been on its way in, or out, for
// longer than our patience.
func (mod *module) takesTooLong() bool {
	switch mod.state {
	case control.InLoad:
		return mod.abandoned
	case control.Coming, control.Going:
		return mod.overdue
	}
	return false
}

// askToCatchUp is called when all else of a step is done. A load that has just
// ended may have brought devices whose uevents nobody has read yet. So before
// those who wait are answered, the kernel's socket is read to its end.
func (m *Machine) askToCatchUp() {
	if len(m.settlers) == 0 || m.catchingUp || !m.atRest() {
		return
	}
	m.mark++
	m.catchingUp, m.markedOp = true, m.lastOp
	for i := range m.settlers {
		m.settlers[i].mark = m.mark
	}
	m.emit(CatchUp{Mark: m.mark})
}

// caughtUp answers those who wait, if what was read meanwhile has led to
// nothing. A load that has begun since, even if it has ended as well, has.
func (m *Machine) caughtUp(e CaughtUp) {
	m.catchingUp = false
	if !m.atRest() || m.lastOp != m.markedOp {
		return
	}
	m.settlers = slices.DeleteFunc(m.settlers, func(s settler) bool {
		if s.mark != e.Mark {
			return false // came too late for what was read
		}
		m.emit(Reply{ID: s.id})
		return true
	})
}

// withdraw answers a request that is still open, so that nothing of it is kept.
func (m *Machine) withdraw(id uint64) {
	open := len(m.settlers) + len(m.scanAskers)
	m.settlers = slices.DeleteFunc(m.settlers, func(s settler) bool { return s.id == id })
	m.scanAskers = slices.DeleteFunc(m.scanAskers, func(a scanAsker) bool { return a.id == id })
	open += len(m.early)
	m.early = slices.DeleteFunc(m.early, func(o opener) bool { return o.id == id })
	open -= len(m.early)
	for _, r := range m.rests {
		open += len(r.openers)
		r.openers = slices.DeleteFunc(r.openers, func(o opener) bool { return o.id == id })
		open -= len(r.openers)
	}
	if len(m.settlers)+len(m.scanAskers) < open {
		m.emit(Reply{ID: id, Err: errWithdrawn})
	}
}
