package core

import (
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
)

// An Event is something that happened outside of the machine.
type Event interface{ event() }

type (
	// Seen tells of a device that is present: Scan is the number of the scan
	// that met it, 0 for an add uevent.
	Seen struct {
		Device    rules.Device
		Scan      uint32
		Synthetic bool // somebody has written to its uevent file
	}

	// Gone tells of a device that was removed.
	Gone struct{ Path string }

	// Moved tells that a device, and with it all below it, has another path.
	Moved struct{ From, To string }

	// Bound tells that a driver took a device, or with an empty Driver that
	// it let go of it.
	Bound struct{ Path, Driver string }

	// ModuleIs tells the state of a module: control.Live and control.Absent
	// from the kernel's uevents, these and control.Coming and control.Going
	// from a scan of /sys/module (with its number) or as the answer to a
	// [LookModule].
	ModuleIs struct {
		Name  string
		State control.State
		Scan  uint32
	}

	// Scanned ends a scan: devices and modules that it did not meet are gone,
	// unless it had to skip something.
	Scanned struct {
		Scan    uint32
		Skipped int
	}

	// Lost tells that uevents were lost: the socket's buffer overflowed.
	Lost struct{}

	// Done is the end of a load. It may never come. Errno is 0 for success;
	// Says is the outcome in words. With Unasked the kernel was not asked at
	// all, for want of memory, descriptors or processes. The Log was looked
	// for if the load failed, or if somebody reads details. Firmware is what
	// the module's file names and is not installed, a part of it if it is
	// much.
	//
	// Of a load that a command stands for, State is what the kernel says of the
	// module when the command has ended; of others it is empty.
	Done struct {
		Op            OpID
		Module        string
		Errno         syscall.Errno
		Says          string
		Unasked       bool
		State         control.State
		Log, Firmware []string
		// Memory is how much the kernel took for it, in bytes, 0 if that was not
		// measured.
		Memory int64
		// Async says that its drivers were had to probe asynchronously, Requests what
		// was found out about its file, and NoAsync that the kernel did not know how.
		Async    bool
		Requests Requests
		NoAsync  bool
		// NamesFirmware says that its file names any, missing or not.
		NamesFirmware bool
		// When a worker had the file, made the call, and had its answer: since the
		// kernel's start, 0 if it did not get that far.
		Read, Called, Returned time.Duration

		Unset string // why Settings of the [Load] could not be set, "" if they were
	}

	// Looked answers a [Look]: the driver that has the device, or with Probing
	// the one that is trying it within its module's init; and if there is
	// none, whether it waits for a supplier, what the kernel wrote to its log
	// about it, and which firmware it could not find for it.
	Looked struct {
		Path     string
		Driver   string
		Probing  bool
		Deferred bool
		Log      []string
		Firmware []string
	}

	// Supplying answers a [LookForSuppliers]: which of the devices others need whose
	// probe the kernel has put off.
	Supplying struct{ Needs []Need }

	// Pressure answers a [LookAtPressure]: for how long some task has waited for a
	// processor since the kernel's start. Known says that the kernel tells.
	Pressure struct {
		Stalled time.Duration
		Known   bool
	}

	// PathThere tells that a file is there that was awaited.
	PathThere struct{ Path string }

	// FirmwareFound tells that a firmware file is there that was awaited:
	// Changed says that it came or changed just now. One that was there when
	// it began to be awaited may be one that the kernel can't read.
	FirmwareFound struct {
		Name    string
		Changed bool
	}

	// Probed is the end of a [Probe]. It may never come. Says is why it was
	// not done, "" if it was, which does not mean that a driver took the
	// device. Unasked is as in [Done].
	Probed struct {
		Op      OpID
		Says    string
		Unasked bool
	}

	// Assigned is the end of an [Assign] of the device of that path, which may by
	// now be another one. It may never come. Module is the one
	// whose driver has the device now, if that is known; Held says that sysfs
	// keeps other drivers, or all, from it by our doing. InUse is who uses it, if
	// it was left alone because of that; Says is why else it was not done, ""
	// if it was. Unasked is as in [Done].
	Assigned struct {
		Op      OpID
		Path    string
		Module  string
		Held    bool
		InUse   string
		Says    string
		Unasked bool
	}

	// Counted answers a [LookUse]: a module's reference count, negative if it is
	// not known, and the modules that need it.
	Counted struct {
		Name       string
		References int
		Holders    []string
		Drives     string // a device that a driver of it has, "" for none
	}

	// Unloaded is the end of an [Unload]. It may never come. Says is why it was
	// not done, "" if it was. Died says that the call ended its caller, by an oops
	// in the module's exit function. Unasked is as in [Done].
	Unloaded struct {
		Op       OpID
		Errno    syscall.Errno
		Says     string
		Died     bool
		Unasked  bool
		Log      []string
		Settings string // what its parameters were set to, for the Settings of a [Load]
		Size     int64  // of its code and data, in bytes, 0 if that is not known
		Memory   int64  // that came free meanwhile, in bytes, 0 if that was not measured or others took more
	}

	// Surveyed answers a [Survey]: the devices that drivers of a module have; what
	// is opened of these, and the modules that have to go for an open() to ask for
	// them; who uses any of it, or why that can't be told, "" for nobody; and why
	// they can't sleep, or could not be looked at. Unasked is as in [Done].
	Surveyed struct {
		Op       OpID
		Devices  []string
		Openings []control.Opening
		Must     []string
		InUse    string
		Says     string
		Unasked  bool
	}

	// Tended is the end of a [Tend]. Says is why it was not done, or not all of
	// it. Unasked is as in [Done].
	Tended struct {
		Op      OpID
		Says    string
		Unasked bool
	}

	// NodesLooked answers a [LookNodes]: whether any of them is missing.
	NodesLooked struct {
		Module  string
		Missing bool
	}

	// Opened answers a [LookOpen]: the aliases of what can be opened, and of what
	// is another device's now, as Says says. The rest is not there yet.
	Opened struct {
		Module       string
		Works, Other []string
		Says         string
	}

	// NodeUsed tells that somebody has opened or closed a node: see [WatchNodes].
	NodeUsed struct{ Module string }

	// Ending tells that the daemon is about to end: what sleeps is to wake.
	Ending struct{}

	// Resumed tells that the machine was suspended meanwhile.
	Resumed struct{}

	// NewRules brings tables and configuration, the first ones or changed
	// ones. Everything is decided again. Wanted are the modules that are to be
	// put in whatever devices there are, one after the other in this order.
	NewRules struct {
		Set    *rules.Set
		Wanted []Want
	}

	// Expected tells, before the first NewRules, which devices the last boots had. It
	// is told at the first start of a daemon in a boot only.
	Expected struct{ Devices []Expectation }

	// Inherited tells, before the first NewRules, which modules the daemon
	// before this one had put in, and what it has said in its last [Persist].
	// Those that the first scan meets are ours.
	Inherited struct {
		Modules []control.Module
		Persist
	}

	// Asked is a request over the control socket, any but a
	// control.ReloadRequest. It is answered by one [Reply].
	Asked struct {
		ID      uint64
		Request control.Request
	}

	// Withdrawn tells that nobody waits for the answer of a request any more.
	Withdrawn struct{ ID uint64 }

	// CaughtUp answers a [CatchUp].
	CaughtUp struct{ Mark uint32 }

	// Tick is the passing of time alone. Any other event does as well.
	Tick struct{}
)

// A Want is a name of a module, or an alias of one, and the line that it stands
// in. With Elsewhere somebody else puts it in: it only stays.
type Want struct {
	Name      string
	By        rules.Reason
	Elsewhere bool
}

func (Seen) event()          {}
func (Supplying) event()     {}
func (Pressure) event()      {}
func (Expected) event()      {}
func (Gone) event()          {}
func (Moved) event()         {}
func (Bound) event()         {}
func (ModuleIs) event()      {}
func (Scanned) event()       {}
func (Lost) event()          {}
func (Done) event()          {}
func (Looked) event()        {}
func (NewRules) event()      {}
func (Asked) event()         {}
func (Withdrawn) event()     {}
func (CaughtUp) event()      {}
func (Tick) event()          {}
func (FirmwareFound) event() {}
func (PathThere) event()     {}
func (Probed) event()        {}
func (Assigned) event()      {}
func (Counted) event()       {}
func (Unloaded) event()      {}
func (Resumed) event()       {}
func (Inherited) event()     {}
func (Surveyed) event()      {}
func (Tended) event()        {}
func (Opened) event()        {}
func (NodesLooked) event()   {}
func (Ending) event()        {}
func (NodeUsed) event()      {}

// An Effect is something that the machine wants done, in the order given. What
// the answer to a [Look] or a [LookModule] leads to comes after the rest, for the
// last [AwaitFirmware] counts.
type Effect interface{ effect() }

// An OpID names one load, from its Load to its Done, or one probe. It is never 0.
type OpID uint64

// A Need is a device that waits, and the path of one that it waits for.
type Need struct{ Device, Supplier string }

type (
	// LookForSuppliers asks which of some devices that are held back others wait for.
	// The answer, a [Supplying], is expected before the next event.
	LookForSuppliers struct{ Held []string }

	// ReadAhead asks for the files of modules to be in memory when their turn comes, in
	// this order. Nothing waits for that.
	ReadAhead struct{ Files []string }

	// LookAtPressure asks how much the processors have to do, in the same way.
	LookAtPressure struct{}

	// Load asks for a module to be put in by a worker, or for its install
	// command to be run by one.
	Load struct {
		Op   OpID
		Step rules.Step
		// Critical says that it goes before others, and takes no slot from them.
		Critical bool
		// Nice is how far it stands back for other work, as in setpriority(2): 0 to 19.
		Nice int
		// Measure asks how much memory it takes, if that is not known yet: nothing
		// else is on its way that would be counted with it.
		Measure bool
		// Async says how its drivers are to probe. LookInto are the files of modules
		// that must not request others either if they are to do so if that is safe.
		Async    Async
		LookInto []string
		// Known says that nothing is to be found out about its file, which the Done of
		// an earlier load has told: somebody waits.
		Known bool
		// Settings are what its parameters are to be set to when it is in, since
		// somebody may have set them before it was taken out.
		Settings string
	}

	// Remember asks for the devices to be written down that the next boot is to
	// expect.
	Remember struct{ Devices []Expectation }

	// Abandon says that a load, or a probe, is not waited for any more: its
	// worker must not hold up another one. Its Done, or Probed, is welcome all
	// the same.
	Abandon struct{ Op OpID }

	// Rescan asks for a scan of sysfs, which ends with a [Scanned] of that
	// number.
	Rescan struct{ Scan uint32 }

	// Look asks what has become of a device. The answer, a [Looked], is the
	// next thing that the machine is told: what is still on its way then may
	// be older, and ends with what the answer says or with something newer.
	Look struct {
		Path, Subsystem string
	}

	// LookModule asks for the state of a module, in the same way: the answer
	// is a [ModuleIs].
	LookModule struct{ Name string }

	// CatchUp asks for a [CaughtUp] of that mark when every uevent that the
	// kernel has sent until now has been passed on. There is never more than
	// one that is not answered.
	CatchUp struct{ Mark uint32 }
	// AwaitFirmware asks for a [FirmwareFound] for each of these files that is
	// there or comes, instead of those that were awaited before.
	AwaitFirmware struct{ Names []string }

	// AwaitPaths asks for a [PathThere] for each of these files that is there or
	// comes, instead of those that were awaited before.
	AwaitPaths struct{ Paths []string }

	// Probe asks for the drivers of a device to try it once more, now that
	// their firmware is there.
	Probe struct {
		Op              OpID
		Path, Subsystem string
	}

	// Assign asks for a device to have a driver, or none, as Owner says.
	// With Gently it is not taken from a driver while somebody uses it.
	Assign struct {
		Op              OpID
		Path, Subsystem string
		Owner           Owner
		Module          string // of OfModule
		Gently          bool
		Held            bool // something may have been done about it by us
	}

	// Persist tells, before what follows is done, what the daemon after this one
	// has to know, however this one ends. Each tells all of it.
	Persist struct {
		Held      []string          // devices that drivers are kept from by our doing, or may soon be
		Unloading []string          // modules that are being taken out, or could not be
		Pinned    []string          // modules that are to stay
		Released  []string          // what modules waited for that has happened, and modules that wait no more
		Asleep    []control.Sleeper // what has placeholders
		// Known is what is opened of devices that are to wait for it, by their
		// MODALIAS, which stands in place of the Devices.
		Known    []control.Sleeper
		Settings []control.Settings // of modules that have been taken out
	}

	// Survey asks, in a worker, who uses the devices that drivers of a module have,
	// and whether they can come back when somebody opens one. Files are those that
	// they would come from. With Force that is asked of kinds that should never be
	// called idle, too; with Any of several devices.
	Survey struct {
		Op         OpID
		Module     string
		Files      []string
		Force, Any bool
	}

	// Tend asks a worker to see to placeholders for what is opened.
	Tend struct {
		Op       OpID
		Module   string
		How      Tending
		Openings []control.Opening
	}

	// Help asks for the kernel to ask this daemon when somebody opens what nobody
	// serves, or not to any more.
	Help struct{ On bool }

	// WatchNodes asks for one [NodeUsed] for each of these nodes when somebody opens
	// or closes it.
	WatchNodes struct {
		Module string
		Names  []string // below /dev
	}

	// LookNodes asks whether the nodes are there of what is opened of the devices of
	// a module that sleeps, in the same way as a [Look]: the answer is a
	// [NodesLooked].
	LookNodes struct {
		Module   string
		Openings []control.Opening
	}

	// HideNodes asks, before what follows is done, for the nodes to be taken away of
	// what is opened of devices that are not there.
	HideNodes struct{ Openings []control.Opening }

	// LookOpen asks whether what is opened of the devices of a module works, in the
	// same way as a [Look]: the answer is an [Opened].
	LookOpen struct {
		Module   string
		Devices  []string
		Openings []control.Opening
	}

	// LookUse asks who uses a module, and whether it drives anything, in the same way as a Look: the answer is a
	// [Counted].
	LookUse struct{ Name string }

	// Unload asks for a module to be taken out by a worker, unless it is in use.
	Unload struct {
		Op   OpID
		Name string
	}

	// Reply answers an [Asked]. Value is of the type that the request is
	// documented to be answered with and shares nothing with the machine; Err
	// says that there is nothing to tell.
	Reply struct {
		ID    uint64
		Value any
		Err   error
	}

	// Note tells people what happened.
	Note struct{ control.Note }
)

func (Load) effect()             {}
func (LookForSuppliers) effect() {}
func (LookAtPressure) effect()   {}
func (ReadAhead) effect()        {}
func (Remember) effect()         {}
func (Abandon) effect()          {}
func (Rescan) effect()           {}
func (Look) effect()             {}
func (LookModule) effect()       {}
func (CatchUp) effect()          {}
func (Reply) effect()            {}
func (Note) effect()             {}
func (AwaitFirmware) effect()    {}
func (AwaitPaths) effect()       {}
func (Probe) effect()            {}
func (Assign) effect()           {}
func (Persist) effect()          {}
func (LookUse) effect()          {}
func (Unload) effect()           {}
func (Survey) effect()           {}
func (Tend) effect()             {}
func (Help) effect()             {}
func (LookOpen) effect()         {}
func (LookNodes) effect()        {}
func (HideNodes) effect()        {}
func (WatchNodes) effect()       {}

// A Tending is what is done about placeholders.
type Tending uint8

// The tendings.
const (
	Cover   Tending = iota + 1 // put them where the nodes are, and these aside
	Restore                    // put the nodes back, with the links that udevd has removed
	Uncover                    // take the nodes away, unless a device has them
	Make                       // make the nodes, which are not there yet
	Mend                       // make those again that have gone with another device of their numbers
)

// An Owner says who is to have a device.
type Owner uint8

// The owners of devices.
const (
	Anybody  Owner = iota + 1 // whatever matches: what was done for the other ones is undone
	Nobody                    // no driver
	OfModule                  // the driver of a module
)
