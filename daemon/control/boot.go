package control

import "time"

// Boot is what the daemon has loaded while the machine started, and when. Times are
// since the kernel's start, on CLOCK_MONOTONIC, to a microsecond; 0 is never, or not yet.
//
// The boot goes on until nothing has begun for ten seconds that is a part of it. What was
// held back until later is a part of it whenever that is, if its device was there by then.
type Boot struct {
	Version string `json:"version"`
	Kernel  string `json:"kernel"`
	PID     int    `json:"pid"`
	// First is when the first kmodd of this boot began, and Started when this one did.
	First    time.Duration `json:"first_ns,omitempty"`
	Started  time.Duration `json:"started_ns"`
	Now      time.Duration `json:"now_ns"`
	Scan     time.Duration `json:"scan_ns,omitempty"`    // tables and configuration were read, and the first scan began
	Scanned  time.Duration `json:"scanned_ns,omitempty"` // it ended
	Settled  time.Duration `json:"settled_ns,omitempty"` // nothing was on its way any more but what is held back
	Complete time.Duration `json:"boot_complete_ns,omitempty"`
	Loads    []BootLoad    `json:"loads"` // in no order that says anything
	Devices  []BootDevice  `json:"devices"`
}

// A Stage says which part of the boot a load was, as it came about: a module that its
// rule defers may be needed by what is not.
type Stage string

// The stages.
const (
	Critical Stage = "critical"
	Normal   Stage = "normal"
	Late     Stage = "deferred"
)

// A BootLoad is the first load of a module, as far as it has come. Of one that was tried
// again at once the times are those of the last try.
type BootLoad struct {
	Name  string   `json:"name"`
	For   string   `json:"for,omitempty"` // as in [Module]
	Stage Stage    `json:"stage"`
	Needs []string `json:"needs,omitempty"`
	After []string `json:"after,omitempty"` // what it had to wait for without needing it
	// Earlier says that another kmodd has loaded it before this one began.
	Earlier bool `json:"earlier,omitempty"`

	Wanted   time.Duration `json:"wanted_ns,omitempty"`
	Began    time.Duration `json:"began_ns,omitempty"`    // its turn came
	Read     time.Duration `json:"read_ns,omitempty"`     // a worker process had its file, and began to look into it, or to unpack it
	Called   time.Duration `json:"called_ns,omitempty"`   // the kernel was asked, or the install command was started
	Live     time.Duration `json:"live_ns,omitempty"`     // its init had returned
	Returned time.Duration `json:"returned_ns,omitempty"` // the call returned, which may wait for other drivers' probes; or the load failed
	Error    string        `json:"error,omitempty"`       // why it is not live
}

// A BootDevice is a device that was there while the boot went on and has a driver, or
// that a module matches.
type BootDevice struct {
	Path      string        `json:"path"`
	Subsystem string        `json:"subsystem"`
	Modalias  string        `json:"modalias"`
	Driver    string        `json:"driver,omitempty"`
	Modules   []string      `json:"modules,omitempty"`
	Seen      time.Duration `json:"seen_ns"`
	Bound     time.Duration `json:"bound_ns,omitempty"` // a driver had it for the first time; as Seen if one had it by then
}
