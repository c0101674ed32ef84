package agentwire

import "time"

// A Cycle is one sleep of a driver and its wake, as a line of JSON: what there was
// while it slept, and how long the open() took that woke it.
type Cycle struct {
	Took    time.Duration
	Rested  bool  // kmodd had nothing to do for a while before
	Memory  int64 // of the kernel's own, in bytes
	Nodes   int   // in /dev
	Modules int   // in /sys/module
	Files   int   // that kmodd has open
}

// HeldObjects is the line of the agent's memory that counts what somebody holds of the
// kernel's objects, beside those of /proc/meminfo.
const HeldObjects = "HeldObjects"
