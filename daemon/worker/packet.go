package worker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// A packet is a version byte, fixed numbers, and strings that each have their
// length before them. A request fits in a socket's buffer. A reply is small,
// because the daemon has room for one for each call on its way.
const (
	version    = 13
	maxRequest = 64 << 10
	maxReply   = 4 << 10
	maxWords   = 3000 // of a reply; more is cut off
	maxFound   = 4000
)

var errPacket = errors.New("malformed packet, or one of another version of kmodd")

// A task says what a worker is asked for.
type task byte

const (
	loadPlain  = task(kernel.Plain)
	loadPacked = task(kernel.Packed)
)

const (
	// unpackFirst is a load of a file that the worker itself has to unpack.
	unpackFirst = 0xff - task(iota)
	// probeDevice says that the file beside the request is a bus's
	// drivers_probe, and that module.Name is the name of a device.
	probeDevice
	// runCommand has no file beside it.
	runCommand
	// assignDevice has none either: which files of sysfs it takes depends on
	// what they say.
	assignDevice
	// unloadModule has none: module.Name is all that it needs.
	unloadModule
	// surveyModule and tendNodes have none: [Abilities] do them.
	surveyModule
	tendNodes
)

// request asks for one thing. Where that needs a file it travels beside it.
type request struct {
	task    task
	module  kernel.Module // of all but the two below
	command Command
	assign  kernel.Assignment
	// able is, as JSON, what only a worker with [Abilities] can do, about
	// module.Name.
	able string
}

// hasFile tells whether a file travels beside a request.
func (t task) hasFile() bool {
	switch t {
	case runCommand, assignDevice, unloadModule, surveyModule, tendNodes:
		return false
	}
	return true
}

// isAble tells whether only a worker with [Abilities] can do it.
func (t task) isAble() bool { return t == surveyModule || t == tendNodes }

func (r request) append(b []byte) []byte {
	b = append(b, version, byte(r.task))
	switch r.task {
	case runCommand:
		b = binary.BigEndian.AppendUint64(b, uint64(r.command.Limit))
		return appendStrings(b, r.command.Verb, r.command.Module, r.command.Shell, r.command.Options)
	case assignDevice:
		b = append(b, byte(r.assign.Owner), bit(r.assign.Gently), bit(r.assign.Ours))
		return appendStrings(b, r.assign.Path, r.assign.Bus, r.assign.Module)
	case surveyModule, tendNodes:
		return appendStrings(b, r.module.Name, r.able)
	}
	b = append(b, bit(r.module.Measure), byte(r.module.Async), byte(r.module.Nice), bit(r.module.Known))
	return appendStrings(b, r.module.Name, r.module.File, r.module.Options, r.module.Settings, strings.Join(r.module.LookInto, "\x00"))
}

func parseRequest(b []byte) (r request, err error) {
	if len(b) < 2 || b[0] != version {
		return r, errPacket
	}
	r.task, b = task(b[1]), b[2:]
	switch {
	case r.task == runCommand && len(b) >= 8:
		r.command.Limit = time.Duration(binary.BigEndian.Uint64(b))
		return r, cutStrings(b[8:], &r.command.Verb, &r.command.Module, &r.command.Shell, &r.command.Options)
	case r.task == assignDevice && len(b) >= 3:
		r.assign.Owner, r.assign.Gently, r.assign.Ours = kernel.Owner(b[0]), b[1] != 0, b[2] != 0
		return r, cutStrings(b[3:], &r.assign.Path, &r.assign.Bus, &r.assign.Module)
	case r.task == runCommand, r.task == assignDevice:
		return r, errPacket
	case r.task.isAble():
		return r, cutStrings(b, &r.module.Name, &r.able)
	}
	if len(b) < 4 {
		return r, errPacket
	}
	r.module.Measure, r.module.Async, r.module.Nice, r.module.Known = b[0] != 0, kernel.Async(b[1]), int(b[2]), b[3] != 0
	var look string
	err = cutStrings(b[4:], &r.module.Name, &r.module.File, &r.module.Options, &r.module.Settings, &look)
	if look != "" {
		r.module.LookInto = strings.Split(look, "\x00")
	}
	return r, err
}

// asJSON is for what is asked rarely, and has lists in it.
func asJSON(v any) string {
	text, _ := json.Marshal(v) // of strings and numbers, which it never refuses
	return string(text)
}

func bit(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// reply is the outcome of one call.
type reply struct {
	got    time.Duration // since the kernel's start: when the worker had the request,
	called time.Duration // and when it made the call
	took   time.Duration // since it had the request
	errno  syscall.Errno
	op     string // of a kernel.Error; "" if the module went in
	words  string

	firmware string // missing files, with newlines between them; see kernel.Firmware for its bounds
	missing  uint32 // how many there are in all
	memory   int64  // of the kernel's that the call took, negative if it gave some back; 0 if that was not measured

	requests kernel.Requests // of a load, what was found out about the file
	async    bool            // and whether it was made with async_probe because of that
	named    bool            // the file names firmware, missing or not

	assigned kernel.Assigned
	// found is, as JSON, what an ability has found; of an unload, what was set of
	// the module; of a load, why something could not be set again. "" for nothing.
	found string
}

func (r reply) append(b []byte) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, uint64(r.got))
	b = binary.BigEndian.AppendUint64(b, uint64(r.called))
	b = binary.BigEndian.AppendUint64(b, uint64(r.took))
	b = binary.BigEndian.AppendUint32(b, uint32(r.errno))
	b = binary.BigEndian.AppendUint32(b, r.missing)
	b = binary.BigEndian.AppendUint64(b, uint64(r.memory))
	b = append(b, bit(r.assigned.Held), byte(r.requests), bit(r.async), bit(r.named))
	return appendStrings(b, r.op, cut(r.words, maxWords), r.firmware, r.assigned.Module, r.found)
}

// parseReply returns a pointer so that those who wait for a reply have no room
// for it on their stacks.
func parseReply(b []byte) (*reply, error) {
	if len(b) < 45 || b[0] != version {
		return nil, errPacket
	}
	r := new(reply)
	r.got = time.Duration(binary.BigEndian.Uint64(b[1:]))
	r.called = time.Duration(binary.BigEndian.Uint64(b[9:]))
	r.took = time.Duration(binary.BigEndian.Uint64(b[17:]))
	r.errno = syscall.Errno(binary.BigEndian.Uint32(b[25:]))
	r.missing = binary.BigEndian.Uint32(b[29:])
	r.memory = int64(binary.BigEndian.Uint64(b[33:]))
	r.assigned.Held, r.requests, r.async = b[41] != 0, kernel.Requests(b[42]), b[43] != 0
	r.named = b[44] != 0
	return r, cutStrings(b[45:], &r.op, &r.words, &r.firmware, &r.assigned.Module, &r.found)
}

func appendStrings(b []byte, texts ...string) []byte {
	for _, s := range texts {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// cutStrings reads exactly as many strings as it is given places for.
func cutStrings(b []byte, places ...*string) error {
	for i, place := range places {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return fmt.Errorf("string %d: %w", i, errPacket)
		}
		*place, b = string(b[size:size+int(n)]), b[size+int(n):]
	}
	if len(b) != 0 {
		return errPacket
	}
	return nil
}
