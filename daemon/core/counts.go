package core

import (
	"maps"
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
)

// loadBounds part the classes that load times are counted in. Most drivers take
// some milliseconds; those that wait for firmware or for hardware to spin up
// take seconds.
var loadBounds = [...]time.Duration{
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, 60 * time.Second,
}

// Counts are what the machine has done. They are of one size for ever.
type counts struct {
	ends  map[control.Outcome]uint64
	times [len(loadBounds) + 1]uint64 // the last has no bound
	sum   time.Duration
	slow  uint64
	freed int64 // memory, in bytes
	slept uint64
	woken uint64

	foreseen     uint64 // devices whose drivers were loaded before they were met
	mispredicted uint64 // devices that were expected in vain
}

// end counts the end of a load. Of one that the kernel was not asked for the
// time says nothing about the module.
func (c *counts) end(how control.Outcome, took time.Duration) {
	c.ends[how]++
	if how == control.PutOff {
		return
	}
	i, _ := slices.BinarySearch(loadBounds[:], took) // the first bound that is not below
	c.times[i]++
	c.sum += took
}

// wire fills in what the machine knows of a control.Metrics. The rest is the
// daemon's.
func (c *counts) wire() control.Metrics {
	return control.Metrics{
		Loads:     maps.Clone(c.ends),
		LoadTimes: control.LoadTimes{Bounds: slices.Clone(loadBounds[:]), Counts: slices.Clone(c.times[:]), Sum: c.sum},
		SlowLoads: c.slow,
		Slept:     c.slept, Woken: c.woken, Freed: c.freed,
	}
}
