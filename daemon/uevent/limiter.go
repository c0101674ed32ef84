package uevent

import "time"

// quietFor is the time that passes between two warnings about messages.
const quietFor = 10 * time.Second

// A limiter keeps a flood of bad messages from becoming a flood of warnings.
// Its zero value lets the first one pass.
type limiter struct {
	next time.Time // when another may pass
	held uint64    // since the last that did
}

// allow tells whether a warning may pass now, and how many were held back
// since the last one.
func (l *limiter) allow(now time.Time) (held uint64, ok bool) {
	if now.Before(l.next) {
		l.held++
		return 0, false
	}
	held, l.held = l.held, 0
	l.next = now.Add(quietFor)
	return held, true
}
