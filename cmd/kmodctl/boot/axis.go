package boot

import (
	"cmp"
	"slices"
	"time"
)

// An axis turns times into places. Stretches in which nothing was on its way are cut
// short, and so is the kernel's own time if all else would be hard to see beside it.
type axis struct {
	left, scale float64 // scale is pixels per nanosecond
	end         time.Duration
	cuts        []stretch // in the order of time
}

// A stretch is a part of the time.
type stretch struct{ from, to time.Duration }

func (s stretch) length() time.Duration { return s.to - s.from }

const (
	cutWidth = 54          // of a stretch that is cut, in pixels
	longIdle = time.Second // from this length on nothing is drawn of what is idle
	mostCuts = 6
	tickGap  = 72 // pixels between two ticks, at least
)

// newAxis makes an axis for a report, with the first and the last place to draw at.
func newAxis(r *Report, left, right float64) *axis {
	busy := r.busy()
	a := &axis{left: left, end: busy[len(busy)-1].to}
	for i, b := range busy[1:] {
		if idle := (stretch{busy[i].to, b.from}); idle.length() > longIdle {
			a.cuts = append(a.cuts, idle)
		}
	}
	slices.SortFunc(a.cuts, func(x, y stretch) int { return cmp.Compare(y.length(), x.length()) })
	a.cuts = a.cuts[:min(len(a.cuts), mostCuts)]
	if kernel := (stretch{0, r.firstBegan()}); 3*kernel.to > a.drawn()-kernel.to {
		a.cuts = append(a.cuts, kernel)
	}
	slices.SortFunc(a.cuts, func(x, y stretch) int { return cmp.Compare(x.from, y.from) })
	a.scale = (right - left - cutWidth*float64(len(a.cuts))) / float64(max(a.drawn(), 1))
	return a
}

// firstBegan is when a kmodd began that the report tells of.
func (r *Report) firstBegan() time.Duration {
	if r.Again() {
		return r.First
	}
	return r.Started
}

// busy are the stretches in which something was on its way, in their order. There is one
// at least, the kernel's own.
func (r *Report) busy() []stretch {
	all := []stretch{{0, r.firstBegan()}, {r.Started, max(r.Started, r.Scanned)}}
	for _, l := range r.Loads {
		if l.Began != 0 {
			all = append(all, stretch{l.Began, l.end})
		}
	}
	for _, d := range r.Devices {
		if d.Bound > d.Seen && d.Load != nil {
			all = append(all, stretch{max(d.Seen, d.Load.ready()), d.Bound})
		}
	}
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	merged := all[:1]
	for _, s := range all[1:] {
		if last := &merged[len(merged)-1]; s.from <= last.to {
			last.to = max(last.to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// drawn is how much time is not cut.
func (a *axis) drawn() time.Duration {
	drawn := a.end
	for _, c := range a.cuts {
		drawn -= c.length()
	}
	return drawn
}

// x is the place of a time.
func (a *axis) x(t time.Duration) float64 {
	t = min(max(t, 0), a.end)
	x, at := a.left, time.Duration(0)
	for _, c := range a.cuts {
		if t <= c.from {
			break
		}
		x += float64(c.from-at)*a.scale + cutWidth*min(1, float64(t-c.from)/float64(c.length()))
		at = min(c.to, t)
	}
	return x + float64(t-at)*a.scale
}

// ticks are the round times to draw a line at, where nothing is cut.
func (a *axis) ticks() (at []time.Duration) {
	step := time.Microsecond
	for i := 0; float64(step)*a.scale < tickGap; i++ {
		if i%3 == 1 { // 1, 2, 5, 10
			step = step / 2 * 5
		} else {
			step *= 2
		}
	}
	from := time.Duration(0)
	for _, c := range append(slices.Clone(a.cuts), stretch{a.end, a.end}) {
		for t := (from + step - 1) / step * step; t <= c.from; t += step {
			at = append(at, t)
		}
		from = c.to
	}
	return at
}
