package fake

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// Forever is a duration that does not end.
const Forever time.Duration = math.MaxInt64

// symbolPatience is for how long a load waits for a symbol of a module on its
// way in (resolve_symbol_wait in kernel/module/main.c).
const symbolPatience = 30 * time.Second

// A Module is a module file and how its code behaves.
type Module struct {
	Name  string
	File  string   // "" for Name with ".ko"
	Needs []string // modules whose symbols it uses
	// Numbers and Texts are its parameters. Other options are ignored, as the
	// kernel does.
	Numbers, Texts []string
	Refused        syscall.Errno // what the checks of the file answer, 0 if they pass

	Init   time.Duration // for how long its init function runs, without the probes
	Result syscall.Errno // what its init returns
	Oops   bool          // its init kills its caller
	NoExit bool          // it has no exit function
	Exit   time.Duration // for how long its exit function runs
	// ExitOops says that its exit function kills its caller; what is left of the
	// module stays.
	ExitOops bool

	Drives   []string      // the modaliases of the devices that its driver takes
	Probe    time.Duration // for how long each probe takes
	ProbeErr syscall.Errno // what its probes return
	Async    bool          // its driver prefers asynchronous probes
	Supplier string        // path of a device without which its probes are put off
	Firmware string        // a file without which its probes fail
}

func (m *Module) file() string {
	if m.File == "" {
		return m.Name + ".ko"
	}
	return m.File
}

// A Device is a device with a modalias.
type Device struct {
	Path, Modalias string
	Children       []Device // that its driver makes when it takes the device
	Bare           bool     // its bus has no driver_override
}

// A Call is one load or unload on its way.
type Call uint64

// An Event is something that the world outside of the kernel notices.
type Event struct {
	At   time.Duration
	What What
	// Call, Module and Errno tell of the end of a call.
	Call   Call
	Module string
	Errno  syscall.Errno
	// Held and InUse are more of the end of a [Kernel.Assign]; Module is the one
	// that has the device then.
	Held, InUse bool
	// Path, Modalias and Driver tell of a uevent. A module's own uevent has
	// the path /module/NAME.
	Path, Modalias, Driver string
}

// What says what kind of event it is: the end of a call, or a uevent's action.
type What string

// The kinds of events.
const (
	Done   What = "done"
	Killed What = "killed" // the caller was killed and will not answer
	Add    What = "add"
	Remove What = "remove"
	Bind   What = "bind"
	Unbind What = "unbind"
)

// Kernel is a kernel. It is not safe for concurrent use.
type Kernel struct {
	now      time.Duration
	files    map[string]*Module
	modules  []*module       // in the order in which their loads took the name
	devices  []*device       // in the order of their appearance
	queue    []deed          // by time, then by the order in which they were planned
	waiters  []*waiter       // in the order in which they began to wait
	probes   []uint64        // the asynchronous probes in flight
	last     uint64          // call, or probe
	firmware map[string]bool // files that are installed
	out      []Event
}

// module is a module in the kernel.
type module struct {
	*Module
	state      kernel.State // Absent while it only has its name (MODULE_STATE_UNFORMED)
	options    string
	holders    int
	users      int
	registered bool // its driver is
	bindFiles  bool // its driver's bind and unbind are there: after the probes that registering it makes
}

type device struct {
	Device
	parent   *device
	driver   string
	prober   *module // whose probe of it is under way
	deferred *module
	gone     bool
	override string   // driver_override: the module whose driver may have it
	inUse    bool     // by somebody
	lacked   string   // firmware that its last probe asked for in vain
	waiting  []func() // for the end of the probe that has the device's lock
}

// deed is something planned.
type deed struct {
	at time.Duration
	do func()
}

// waiter is a sleeper on module_wq: it goes on when ready says so at the end
// of some call.
type waiter struct {
	ready  func() bool
	goOn   func()
	probes bool
}

// New makes a kernel that could load these modules and has loaded none.
func New(modules ...Module) *Kernel {
	k := &Kernel{files: make(map[string]*Module), firmware: make(map[string]bool)}
	for _, m := range modules {
		k.files[m.file()] = &m
	}
	return k
}

// Next is when something will happen next, if nobody asks for more.
func (k *Kernel) Next() (at time.Duration, ok bool) {
	if len(k.queue) == 0 {
		return 0, false
	}
	return k.queue[0].at, true
}

// Advance lets happen what happens up to a time, and returns it in order.
func (k *Kernel) Advance(now time.Duration) []Event {
	for len(k.queue) > 0 && k.queue[0].at <= now {
		next := k.queue[0]
		k.queue = k.queue[1:]
		k.now = max(k.now, next.at)
		next.do()
	}
	k.now = max(k.now, now)
	out := k.out
	k.out = nil
	return out
}

// State is what /sys/module says.
func (k *Kernel) State(name string) kernel.State {
	if m := k.find(name); m != nil {
		return m.state
	}
	return kernel.Absent
}

// Driver is the module that has the device, "" for none.
func (k *Kernel) Driver(path string) string {
	if d := k.device(path); d != nil {
		return d.driver
	}
	return ""
}

// Lacked is the firmware that the last probe of a device asked for in vain, ""
// for none: the kernel's log tells.
func (k *Kernel) Lacked(path string) string {
	if d := k.device(path); d != nil {
		return d.lacked
	}
	return ""
}

// Link is what the device's link to its driver says: as [Kernel.Driver], but it
// is there from the beginning of a probe on (driver_sysfs_add in
// drivers/base/dd.c).
func (k *Kernel) Link(path string) string {
	if d := k.device(path); d != nil && d.prober != nil {
		return d.prober.Name
	}
	return k.Driver(path)
}

// Probing tells whether a probe of the device is under way.
func (k *Kernel) Probing(path string) bool {
	d := k.device(path)
	return d != nil && d.prober != nil
}

// Install puts a firmware file in place.
func (k *Kernel) Install(name string) { k.firmware[name] = true }

// Installed tells whether a firmware file is in place.
func (k *Kernel) Installed(name string) bool { return k.firmware[name] }

// Uses tells how many users a module has, as the reference count counts them, and
// which device a driver of it has, "" for none.
func (k *Kernel) Uses(name string) (references int, drives string) {
	if m := k.find(name); m != nil {
		references = m.holders + m.users
	}
	for _, d := range k.devices {
		if d.driver == name {
			return references, d.Path
		}
	}
	return references, ""
}

// Param is a parameter of a loaded module as /sys/module/NAME/parameters shows
// it, the last one of its name.
func (k *Kernel) Param(name, param string) string {
	value := ""
	if m := k.find(name); m != nil {
		for option := range strings.FieldsSeq(m.options) {
			if key, v, _ := strings.Cut(option, "="); key == param && m.has(param) {
				value = v
			}
		}
	}
	return value
}

// Use adds to the users of a module, as an open() of its device does, or takes
// from them.
func (k *Kernel) Use(name string, users int) {
	if m := k.find(name); m != nil {
		m.users += users
	}
}

// at plans a deed. One that is Forever away is not planned at all.
func (k *Kernel) at(from, after time.Duration, do func()) {
	if after == Forever {
		return
	}
	at := max(from+after, k.now)
	i := len(k.queue)
	for i > 0 && k.queue[i-1].at > at {
		i--
	}
	k.queue = slices.Insert(k.queue, i, deed{at, do})
}

func (k *Kernel) find(name string) *module {
	for _, m := range k.modules {
		if m.Name == name {
			return m
		}
	}
	return nil
}

func (k *Kernel) device(path string) *device {
	for _, d := range k.devices {
		if d.Path == path {
			return d
		}
	}
	return nil
}

func (k *Kernel) emit(e Event) {
	e.At = k.now
	k.out = append(k.out, e)
}

func (k *Kernel) uevent(what What, d *device, driver string) {
	e := Event{What: what, Path: d.Path, Modalias: d.Modalias, Driver: driver}
	if what == Unbind {
		e.Modalias = "" // the kernel sends none
	}
	k.emit(e)
}

func (m *Module) has(param string) bool {
	return slices.Contains(m.Numbers, param) || slices.Contains(m.Texts, param)
}

// accepts says whether all values that are to be numbers are.
func (m *Module) accepts(options string) bool {
	for option := range strings.FieldsSeq(options) {
		key, value, _ := strings.Cut(option, "=")
		if _, err := strconv.ParseInt(value, 0, 64); err != nil && slices.Contains(m.Numbers, key) {
			return false
		}
	}
	return true
}
