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

// KernelLog is the source of a reason that is a line of the kernel's log.
const KernelLog = "kernel log"

// A Result says how far the daemon has come with one device.
type Result string

// The results of a device.
const (
	Loading  Result = "loading"   // a module that it needs is on its way in
	Bound    Result = "bound"     // a driver has it
	Asleep   Result = "asleep"    // its driver has left memory, and comes back when somebody opens it
	Deferred Result = "deferred"  // its driver waits for a supplier
	HeldBack Result = "held back" // its module is deferred, and what it waits for has not happened
	Failed   Result = "failed"    // a module that it needs could not be loaded
	Refused  Result = "refused"   // the configuration forbids its modules
	// NoModule is no fault in most cases: bridges, processors, tables of the
	// firmware and the like need no driver, or one that is part of the kernel
	// looks after them without binding to them.
	NoModule Result = "no module" // no installed module matches
	// Unbound is what input devices always are, which handlers serve and not
	// drivers, and what firmware lists beside the device that is bound.
	Unbound Result = "unbound" // modules match, none failed, and no driver has it
)

// Results are all of them.
var Results = []Result{Loading, Bound, Asleep, Deferred, HeldBack, Failed, Refused, NoModule, Unbound}

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
	// Stood is what an install command of modprobe.d stands for that ended well
	// and did not put it in: whatever needs it goes on.
	Stood State = "command ran"
	// Forbidden is what such a command forbids by doing nothing but to fail.
	Forbidden State = "refused"
	Builtin   State = "built in"
)

// States are those that modules are counted by: all but Absent and Builtin.
var States = []State{Waiting, InLoad, Coming, Live, Going, Broken, Declined, Stood, Forbidden}

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
	// Foreseen counts the devices whose drivers were to be loaded before they were met,
	// since the last boots had them, and Mispredicted those that this one had not.
	Foreseen     uint64 `json:"foreseen,omitempty"`
	Mispredicted uint64 `json:"mispredicted,omitempty"`
	// Warnings are what was wrong with tables and configuration when they
	// were last read, one line each.
	Warnings []string `json:"warnings,omitempty"`
}

// Metrics counts what the daemon has done since its start. What [Status] tells
// is not in it: whoever wants all numbers asks for both.
type Metrics struct {
	// Loads counts the loads that have ended, by how. A module that was never
	// handed to the kernel, because something that it needs failed, had none.
	Loads map[Outcome]uint64 `json:"loads"`
	// LoadTimes are those of the loads that the kernel was asked for: from
	// being handed to a worker until the module was live, or refused.
	LoadTimes LoadTimes `json:"load_times"`
	// SlowLoads counts those that gave their slot to others, having taken
	// longer than the daemon's patience. They may not have ended.
	SlowLoads uint64 `json:"slow_loads"`
	// NotesMissed counts what subscribers of Monitor lost, all together.
	NotesMissed uint64 `json:"notes_missed"`
	// Slept counts how often a driver has left memory while its device was there,
	// Woken how often one came back; Freed is the memory that came free by taking
	// modules out, in bytes: their code and data at least, and what they had
	// allocated as far as it was measured.
	Slept uint64 `json:"slept"`
	Woken uint64 `json:"woken"`
	Freed int64  `json:"freed_bytes"`
}

// An Outcome is how a load ended.
type Outcome string

// The outcomes of loads. After Busy and PutOff it is tried again, and after
// NotLoaded if what it needs was taken out meanwhile, which is another load.
const (
	Loaded     Outcome = "live"         // it is live by our doing
	LiveBefore Outcome = "live already" // EEXIST: somebody else was faster
	NotLoaded  Outcome = "failed"
	NoHardware Outcome = "no hardware" // ENODEV: its init found no hardware of its kind
	Busy       Outcome = "busy"        // EBUSY: another load of it was under way
	PutOff     Outcome = "put off"     // no memory, descriptor or process to ask the kernel with
	CommandRan Outcome = "command ran" // its install command ended well, and it is not in
	SaidNo     Outcome = "refused"     // its install command did nothing but to fail
)

// Outcomes are all of them.
var Outcomes = []Outcome{Loaded, LiveBefore, NotLoaded, NoHardware, Busy, PutOff, CommandRan, SaidNo}

// LoadTimes is a histogram. Counts[i] is the number of loads that took up to
// Bounds[i], and longer than the bound before; the last one, which has no
// bound, of those that took longer than all of them.
type LoadTimes struct {
	Bounds []time.Duration `json:"bounds_ns"`
	Counts []uint64        `json:"counts"`
	Sum    time.Duration   `json:"sum_ns"` // of all loads
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
	Pinned  bool          `json:"pinned,omitempty"`  // it was put in from another root file system, and stays
	Pin     bool          `json:"pin,omitempty"`     // somebody has said that it stays
	Sleep   string        `json:"sleep,omitempty"`   // if it may sleep while nobody uses it: what is to become of it
	Unused  string        `json:"unused,omitempty"`  // if nothing calls for it any more: since when, and what is to become of it
	For     string        `json:"for,omitempty"`     // the device path, the module, or the file and line, that it was first wanted for
	Options string        `json:"options,omitempty"` // those it was loaded with
	Wanted  time.Duration `json:"wanted_ns,omitempty"`
	Began   time.Duration `json:"began_ns,omitempty"` // handed to a worker
	Live    time.Duration `json:"live_ns,omitempty"`
	Error   string        `json:"error,omitempty"`
	// Cost is the kernel's memory that its load took, in bytes, 0 if that is not
	// known: what was loaded beside it would be counted, too. Freed is what came
	// free each time that the daemon took it out, in all.
	Cost  int64 `json:"cost_bytes,omitempty"`
	Freed int64 `json:"freed_bytes,omitempty"`
	// Critical says that it went before others, or goes before those that wait.
	Critical bool `json:"critical,omitempty"`
	// Probes says how the daemon had its drivers probe devices, and why.
	Probes string `json:"probes,omitempty"`
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
	Reasons []Reason  `json:"reasons,omitempty"`
	Refused []Refusal `json:"refused,omitempty"`
	Lost    []Reason  `json:"lost,omitempty"`   // what would have counted if something else did not come before it
	Denied  bool      `json:"denied,omitempty"` // no driver may have it
	// Prefer names the modules of which one is to have it, the first one first,
	// and BindTimeout is how long each has to take it.
	Prefer      []string      `json:"prefer,omitempty"`
	BindTimeout time.Duration `json:"bind_timeout_ns,omitempty"`
	// Assignment tells what has come of what Denied and Prefer say.
	Assignment string `json:"assignment,omitempty"`
	// WaitsFor is what a device that is held back waits for.
	WaitsFor string   `json:"waits_for,omitempty"`
	Log      []string `json:"log,omitempty"` // what the kernel wrote to its log about it, if no driver took it
	// Firmware is what a driver asked for, or may have asked for, and is not
	// installed.
	Firmware []string `json:"firmware,omitempty"`
}

// An Opening is what somebody opens of a device that may sleep: a node or a
// network interface.
type Opening struct {
	// Alias is what the kernel asks for when nobody serves it: char-major-81-0,
	// block-major-8-0 or netdev-usb0.
	Alias string `json:"alias"`
	Name  string `json:"name"` // of the node below /dev, or of the interface
	// Access is who may open the node: its mode in octal, user and group.
	Access string `json:"access,omitempty"`
	// Links are those below /dev that lead to the node.
	Links []string `json:"links,omitempty"`
}

// A Sleeper is a module that sleeps, or that has, with the paths of its devices,
// and where placeholders for these may be.
type Sleeper struct {
	Module   string
	Devices  []string
	Openings []Opening
	Must     []string // modules that have to be out, too, for the kernel to ask for these
	Made     bool     // the nodes were made by kmodd, and not by the kernel
	Fewer    bool     // it had more devices, whose nodes are still to be taken away
}

// Settings are what the parameters of a module were when it was taken out.
type Settings struct {
	Module  string
	Options string // what it was put in with
	Values  string // each as NAME=VALUE, with a NUL between two
}

// Woken is the answer to a WakeRequest.
type Woken struct {
	// Handled says that it can be opened now. What is not ours is for modprobe.
	Handled bool `json:"handled"`
}

// A Refusal is a module that a device was not given.
type Refusal struct {
	Module  string   `json:"module,omitempty"` // "" if what was asked for is not the name of any
	For     string   `json:"for,omitempty"`    // the module that needs it, or names it in a softdep
	Because []Reason `json:"because"`          // what led to it, and last what stood against it
	Manual  bool     `json:"manual,omitempty"` // it goes in when somebody asks for it by its name
}

// ModuleWhy is a module with its reasons.
type ModuleWhy struct {
	Module
	Needs   []string  `json:"needs,omitempty"`
	Stage   string    `json:"stage,omitempty"`   // what the policy says of the time to load it
	Class   *Class    `json:"class,omitempty"`   // what it drives, if its file is installed
	Devices []string  `json:"devices,omitempty"` // that lead to it
	Reasons []Reason  `json:"reasons,omitempty"`
	Refused []Refusal `json:"refused,omitempty"` // if nobody may load it
	Lost    []Reason  `json:"lost,omitempty"`
	Log     []string  `json:"log,omitempty"` // what the kernel wrote to its log about it, if its load failed
	// Firmware is what its file names and was not installed when it was
	// loaded, or a part of it.
	Firmware []string `json:"firmware,omitempty"`
}

// A Class is what a module drives, as rules of the policy see it.
type Class struct {
	Name    string `json:"name"`
	Because string `json:"because"`
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
