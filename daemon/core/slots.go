package core

import "time"

// Slots are how many loads may be under way at once. That begins with few, for the
// processors' sake: those that take turns on them hold up each other, and so what is on
// the longest way. While the processors have time left it grows, since then those that
// are under way sleep.
type slots struct {
	now     int  // as things are
	lacking bool // a module could go in, and has none
	blind   bool // the kernel does not say how its processors are used

	asked   bool          // and not answered yet
	looked  time.Duration // when that was asked last
	stalled time.Duration // what the kernel said then
}

// The pause between two looks at the processors while modules lack a slot, and the
// shares of it in which some task waited for one (Documentation/accounting/psi.rst) below
// which they have time left, and above which they have too much to do.
const (
	pressurePause = 50 * time.Millisecond
	easy, hard    = 0.5, 0.9
)

// pressureTime is when it is looked at the processors, never for not at all.
func (m *Machine) pressureTime() time.Duration {
	if m.slots.asked || !m.slots.lacking || m.slots.blind || m.limits.Few == 0 || m.slots.now >= m.limits.Slots || len(m.waiting) == 0 {
		return never
	}
	return m.slots.looked + pressurePause
}

// lookAtPressure asks how the processors are used.
func (m *Machine) lookAtPressure() {
	if m.now >= m.pressureTime() {
		m.slots.asked = true
		m.emit(LookAtPressure{})
	}
}

// pressure takes in how the processors are used.
func (m *Machine) pressure(e Pressure) {
	s := &m.slots
	share := float64(e.Stalled-s.stalled) / float64(max(m.now-s.looked, 1))
	stale := m.now-s.looked > 4*pressurePause
	s.asked, s.looked, s.stalled, s.blind = false, m.now, e.Stalled, !e.Known
	before := s.now
	switch {
	case s.blind:
		s.now = max(m.limits.Few, m.limits.Slots/2)
	case stale: // of another crowd
		s.now = m.limits.Few
	case share < easy:
		s.now = min(before+2, m.limits.Slots)
	case share > hard:
		s.now = max(before-1, m.limits.Few)
	}
	m.dirty = m.dirty || s.now > before
}
