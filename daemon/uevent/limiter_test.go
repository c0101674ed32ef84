package uevent

import (
	"testing"
	"time"
)

func TestLimiterPassesOneWarningAtATime(t *testing.T) {
	start := time.Unix(0, 0)
	steps := []struct {
		at   time.Duration
		held uint64
		ok   bool
	}{
		{0, 0, true},
		{1, 0, false},
		{quietFor - 1, 0, false},
		{quietFor, 2, true},
		{quietFor + 1, 0, false},
		{5 * quietFor, 1, true},
		{6 * quietFor, 0, true},
	}
	var l limiter
	for _, s := range steps {
		if held, ok := l.allow(start.Add(s.at)); held != s.held || ok != s.ok {
			t.Errorf("after %v: %d held back, %v; want %d, %v", s.at, held, ok, s.held, s.ok)
		}
	}
}
