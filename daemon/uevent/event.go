package uevent

import "bytes"

// An Action is what the kernel says has happened, the first word of a uevent.
type Action string

// The actions, in the order of kobject_actions in lib/kobject_uevent.c. A
// kernel may know more of them: an action that is not among these is handed
// on as it came.
const (
	Add     Action = "add"
	Remove  Action = "remove"
	Change  Action = "change"
	Move    Action = "move"
	Online  Action = "online"
	Offline Action = "offline"
	Bind    Action = "bind"
	Unbind  Action = "unbind"
)

// An Event is one uevent, or what a scan found out about one device. Its byte
// slices are views into the memory that it was read from: whoever keeps one
// longer than that memory is left alone makes a copy. A key that was not there
// is nil.
type Event struct {
	Action    Action // "" in a scan
	Path      []byte // DEVPATH: where it is below /sys, with the leading slash
	OldPath   []byte // DEVPATH_OLD: where it was before a [Move]
	Subsystem []byte
	Type      []byte // DEVTYPE
	Driver    []byte // that is bound to the device
	Modalias  []byte // a kernel leaves it out of some actions, [Unbind] among them
	Firmware  []byte // FIRMWARE: the file that a driver asks user space for
	Seqnum    uint64 // counts over all network namespaces; 0 if there was none

	env []byte // all variables, those above among them, each ended by a NUL or a newline
}

// Environment returns all that [Event.Variable] knows: NAME=VALUE, each ended by
// a NUL or a newline.
func (e *Event) Environment() []byte { return e.env }

// Variable returns the value of a variable of the event's environment. Of a
// device that a scan met there are variables only if [Source.ReadVariables]
// asked for them, or the scanner is a whole one ([NewWholeScanner]).
func (e *Event) Variable(name string) (value []byte, ok bool) {
	for rest := e.env; len(rest) > 0; {
		end := bytes.IndexAny(rest, "\x00\n")
		if end < 0 {
			end = len(rest)
		}
		if key, value, found := bytes.Cut(rest[:end], []byte("=")); found && string(key) == name {
			return value, true
		}
		rest = rest[min(end+1, len(rest)):]
	}
	return nil, false
}

var modulePrefix = []byte("/module/")

// Module returns the name of the module that the event is about. It reports
// false for an event about anything else.
func (e *Event) Module() (name []byte, ok bool) {
	name, ok = bytes.CutPrefix(e.Path, modulePrefix)
	if !ok || string(e.Subsystem) != "module" || bytes.IndexByte(name, '/') >= 0 {
		return nil, false
	}
	return name, true
}
