package control

import "time"

// Address is where the daemon listens: a Unix stream socket, named after the
// interface as is the convention of Varlink services.
const Address = "/run/kmodd/io.kmodd"

// A Reason is one thing that a decision rests on.
type Reason struct {
	Source string `json:"source"`
	Line   int    `json:"line,omitempty"`
	Says   string `json:"says"`
}

// A Result says how far the daemon has come with one device.
type Result string

// The results of a device.
const (
	Loading  Result = "loading"   // a module that it needs is on its way in
	Bound    Result = "bound"     // a driver has it
	Deferred Result = "deferred"  // its driver waits for a supplier
	Failed   Result = "failed"    // a module that it needs could not be loaded
	Refused  Result = "refused"   // the configuration forbids its modules
	NoDriver Result = "no driver" // no module matches, or none of those that match took it
)

// A State is what is known of a module.
type State string

// The states of a module. Live, Coming and Going are the kernel's words, as in
// /sys/module/NAME/initstate.
const (
	Absent  State = "absent"  // not in the kernel
	Waiting State = "waiting" // for its dependencies, or for a worker
	InLoad  State = "loading" // a worker is putting it in
	Coming  State = "coming"  // in the kernel, its init still runs, not our call
	Live    State = "live"
	Going   State = "going"
	Broken  State = "failed" // the load failed
	// Declined is a load that ended with ENODEV: the driver's init looked for
	// its hardware and found none. Of processors, chipsets and the like the
	// kernel's tables name more than one machine can have.
	Declined State = "no hardware"
	Builtin  State = "built in"
)

// Status is the daemon in one page. Times are since the kernel's start, on
// CLOCK_MONOTONIC, so that they stand beside dmesg's.
type Status struct {
	Version string         `json:"version"`
	Kernel  string         `json:"kernel"`
	PID     int            `json:"pid"`
	Started time.Duration  `json:"started_ns"`
	Now     time.Duration  `json:"now_ns"`
	Settled bool           `json:"settled"` // scanned, and nothing on its way in
	Devices map[Result]int `json:"devices"`
	Modules map[State]int  `json:"modules"`
	Uevents Uevents        `json:"uevents"`
	Tables  string         `json:"tables"` // the module directory in use
	// Warnings are what was wrong with tables and configuration when they
	// were last read, one line each.
	Warnings []string `json:"warnings,omitempty"`
}

// Uevents counts what came over the kernel's uevent socket.
type Uevents struct {
	Received  uint64 `json:"received"`
	Malformed uint64 `json:"malformed"` // skipped, with a warning
	Foreign   uint64 `json:"foreign"`   // not from the kernel, skipped
	Overflows uint64 `json:"overflows"` // ENOBUFS: answered with a scan
	Scans     uint64 `json:"scans"`
}

// A Device is one device with a MODALIAS.
type Device struct {
	Path      string   `json:"path"`
	Subsystem string   `json:"subsystem"`
	Modalias  string   `json:"modalias"`
	Driver    string   `json:"driver,omitempty"`
	Result    Result   `json:"result"`
	Modules   []string `json:"modules,omitempty"` // those that match, in priority order
}

// A Module is one module that is in the kernel or that the daemon has dealt
// with.
type Module struct {
	Name    string        `json:"name"`
	State   State         `json:"state"`
	Ours    bool          `json:"ours"`              // the daemon put it in
	For     string        `json:"for,omitempty"`     // the device path, or the module, that it was first wanted for
	Options string        `json:"options,omitempty"` // those it was loaded with
	Wanted  time.Duration `json:"wanted_ns,omitempty"`
	Began   time.Duration `json:"began_ns,omitempty"` // handed to a worker
	Live    time.Duration `json:"live_ns,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// Story is the answer to "why": what is recorded of one device, module or
// modalias. Devices and Modules hold everything that the question leads to.
type Story struct {
	Subject string      `json:"subject"`
	Devices []DeviceWhy `json:"devices,omitempty"`
	Modules []ModuleWhy `json:"modules,omitempty"`
}

// DeviceWhy is a device with its reasons.
type DeviceWhy struct {
	Device
	Reasons []Reason `json:"reasons,omitempty"`
	Refused []Reason `json:"refused,omitempty"`
}

// ModuleWhy is a module with its reasons.
type ModuleWhy struct {
	Module
	Needs   []string `json:"needs,omitempty"`
	Devices []string `json:"devices,omitempty"` // that lead to it
	Reasons []Reason `json:"reasons,omitempty"`
}

// Listening is the word of the first note that a Monitor gets: whatever happens
// after it will be heard.
const Listening = "listening"

// A Note is one thing that happened: an event or a decision. Monitor streams
// them.
type Note struct {
	At      time.Duration `json:"at_ns"`
	What    string        `json:"what"` // one of the words in core's documentation
	Device  string        `json:"device,omitempty"`
	Module  string        `json:"module,omitempty"`
	Reasons []Reason      `json:"reasons,omitempty"`
	// Missed counts the notes that this subscriber lost just before, because
	// it did not read them in time.
	Missed uint64 `json:"missed,omitempty"`
}

// DeviceList is the reply of Devices: on the wire every list has a name.
type DeviceList struct {
	Devices []Device `json:"devices"`
}

// ModuleList is the reply of Modules.
type ModuleList struct {
	Modules []Module `json:"modules"`
}
