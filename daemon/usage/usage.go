package usage

import (
	"cmp"
	"fmt"
	"path"
	"strings"
)

// A System says where the kernel's file systems are mounted. The zero value is
// the running system. It is safe for concurrent use.
type System struct {
	Sys  string // "" for /sys
	Proc string // "" for /proc
	Dev  string // "" for /dev

	// Place says in which directory below the kernel's modules one is kept, such
	// as drivers/watchdog, "" if that is not known. It tells what a module is for
	// that has no device, and may be nil.
	Place func(module string) string

	kernel kernel // nil for the running one
}

func (s System) sys(name string) string  { return cmp.Or(s.Sys, "/sys") + name }
func (s System) proc(name string) string { return cmp.Or(s.Proc, "/proc") + name }
func (s System) dev(name string) string  { return cmp.Or(s.Dev, "/dev") + "/" + name }

// A State is an answer.
type State int

// The answers. [Unknown] is as good as [InUse].
const (
	Unknown State = iota
	InUse
	Idle
)

var states = [...]string{Unknown: "can't tell", InUse: "in use", Idle: "idle"}

func (s State) String() string {
	if s < 0 || int(s) >= len(states) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return states[s]
}

// MarshalText gives the state's words to JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// The kinds of findings: which detector speaks.
const (
	KindModule    = "module"    // the reference count
	KindHolder    = "holder"    // modules that need it
	KindNetwork   = "network"   // net
	KindBlock     = "block"     // block, and SCSI hosts
	KindCharacter = "character" // what has a character device's node
	KindSerial    = "serial"    // tty
	KindSound     = "sound"     // sound
	KindBluetooth = "bluetooth" // bluetooth
	KindGraphics  = "graphics"  // drm, graphics
	KindWakeup    = "wakeup"    // power/wakeup
	KindNever     = "never"     // see Finding.Never
	KindPower     = "power"     // runtime power management
	KindDriver    = "driver"    // a driver with nothing to ask
	KindLibrary   = "library"   // a module without drivers of devices
	KindWalk      = "walk"      // something could not be looked at
)

// A Finding is what one detector says of one device or module.
type Finding struct {
	Device string `json:"device,omitempty"` // its path, without /sys
	Module string `json:"module,omitempty"` // if it is about one
	Kind   string `json:"kind"`
	State  State  `json:"state"`
	// Never says that the kind is not to be called idle by default, whoever uses
	// it: the users can't be seen, or the board rests on it. A rule that knows
	// better may pass over such a finding, and only over such.
	Never bool   `json:"never,omitempty"`
	Says  string `json:"says"` // one sentence without a full stop
}

// NotIdle returns the first finding that is not idle, if there is one. Where
// nothing was found nothing is used: the device has gone.
func NotIdle(findings []Finding) (Finding, bool) {
	for _, f := range findings {
		if f.State != Idle {
			return f, true
		}
	}
	return Finding{}, false
}

// Against says what stands against taking a device from its driver when the
// operator has said so of it by a rule, "" for nothing: a user who was seen, or
// can't be seen where the kind is one that has users. That a kind is never idle by
// default, that it may wake the machine, and that nothing tells who uses a driver,
// whoever wrote the rule has known.
func (s System) Against(devpath string) string {
	for _, f := range s.Device(devpath) {
		switch {
		case f.State == Idle, f.Never, f.Kind == KindDriver, f.Kind == KindWakeup, f.Kind == KindPower:
			continue
		}
		return f.Says
	}
	return ""
}

// Device says who uses the device of that path, which begins with /devices/, all
// that is below it, and all consumers of these, in the order of their paths. Of
// a device that is not there, or no longer, nothing is said.
func (s System) Device(devpath string) []Finding {
	q := newInquiry(s)
	if !strings.HasPrefix(devpath, "/devices/") || path.Clean(devpath) != devpath {
		return []Finding{{Device: devpath, Kind: KindWalk, Says: fmt.Sprintf("%q is no device's path", devpath)}}
	}
	q.walk.from(devpath)
	return q.answer()
}
