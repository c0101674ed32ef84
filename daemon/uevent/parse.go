package uevent

import (
	"bytes"
	"strconv"
)

// Parse reads one message of the kernel's into e. The format is
//
//	ACTION@DEVPATH NUL KEY=VALUE NUL KEY=VALUE NUL …
//
// where DEVPATH begins with a slash and may contain an @ (device trees name
// their nodes so), and VALUE may contain an = sign. The environment repeats
// ACTION and DEVPATH: if they contradict the header, the message is refused,
// since nobody could say which of the two is meant; if they are missing, the
// header is enough. Of any other key that comes twice, the last one counts.
//
// The fields of e are views into message. Parse allocates nothing unless it
// returns an error, which is a [MessageError] and leaves e in no particular
// state, or meets an action that it does not know.
func Parse(message []byte, e *Event) error {
	header, env, ok := bytes.Cut(message, []byte{0})
	if !ok {
		return malformed(message, "the header does not end with a NUL")
	}
	action, path, ok := bytes.Cut(header, []byte("@"))
	switch {
	case string(header) == "libudev":
		return malformed(message, "a message of udevd's, not of the kernel's")
	case !ok || len(action) == 0:
		return malformed(message, "no ACTION@DEVPATH at its beginning")
	case len(path) < 2 || path[0] != '/':
		return malformed(message, "the DEVPATH in the header is not an absolute path")
	}
	*e = Event{Action: asAction(action), Path: path, env: env}
	if says := e.environment(env); says != "" {
		return malformed(message, says)
	}
	return nil
}

// environment reads the KEY=VALUE pieces of a message. It returns what was
// wrong with them, "" for nothing.
func (e *Event) environment(env []byte) string {
	for len(env) > 0 {
		end := bytes.IndexByte(env, 0)
		if end < 0 {
			return "the last KEY=VALUE does not end with a NUL"
		}
		equals := bytes.IndexByte(env[:end], '=')
		if equals < 1 {
			return "a piece of the environment is not KEY=VALUE"
		}
		if says := e.set(env[:equals], env[equals+1:end]); says != "" {
			return says
		}
		env = env[end+1:]
	}
	return ""
}

// set takes in one pair of a message's environment. It returns what was wrong
// with it, "" for nothing.
func (e *Event) set(key, value []byte) string {
	switch string(key) {
	case "ACTION":
		if string(value) != string(e.Action) {
			return "ACTION contradicts the header"
		}
	case "DEVPATH":
		if !bytes.Equal(value, e.Path) {
			return "DEVPATH contradicts the header"
		}
	case "DEVPATH_OLD":
		e.OldPath = value
	case "SUBSYSTEM":
		e.Subsystem = value
	case "FIRMWARE":
		e.Firmware = value
	case "SEQNUM":
		return e.number(value)
	default:
		e.describe(key, value)
	}
	return ""
}

// describe takes in one pair of those that a device's uevent file has too.
//
// Some buses print their MODALIAS for sysfs and for the uevent by one function,
// so that it ends with a line break here: hdaudio, SoundWire, processors, PA-RISC.
// In a uevent file that is the end of the line. It must not make two names of
// one device: whoever compares them would believe that another one came. Nor may
// a line break in the middle, where the name is what the device says.
func (e *Event) describe(key, value []byte) {
	switch string(key) {
	case "DEVTYPE":
		e.Type = value
	case "DRIVER":
		e.Driver = value
	case "MODALIAS":
		e.Modalias, _, _ = bytes.Cut(value, []byte("\n"))
	}
}

func (e *Event) number(value []byte) string {
	// The conversion does not allocate: ParseUint's argument escapes in its
	// error only.
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return "SEQNUM is not a number"
	}
	e.Seqnum = n
	return ""
}

// parseFile reads the uevent file of a device in sysfs: a line for each key,
// with neither the header nor the keys that say which device it is. A line
// that is not KEY=VALUE has nothing for us and is passed over.
func (e *Event) parseFile(content []byte) {
	for len(content) > 0 {
		line, rest, _ := bytes.Cut(content, []byte("\n"))
		if key, value, ok := bytes.Cut(line, []byte("=")); ok {
			e.describe(key, value)
		}
		content = rest
	}
}

// asAction gives the constants for the kernel's words, so that only an unknown
// action is copied.
func asAction(b []byte) Action {
	for _, a := range [...]Action{Add, Remove, Change, Bind, Unbind, Move, Online, Offline} {
		if string(b) == string(a) {
			return a
		}
	}
	return Action(b)
}
