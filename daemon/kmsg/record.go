package kmsg

import (
	"bytes"
	"strconv"
	"time"
)

// A Record is one line of the kernel's log. Its texts are parts of what
// [Parse] was given.
type Record struct {
	Level int    // 0 (emergency) to 7 (debug), as in syslog(3)
	Seq   uint64 // goes up by one from record to record
	// Time is what dmesg prints: since the kernel's start, by a clock that drifts from
	// CLOCK_MONOTONIC.
	Time   time.Duration
	Text   []byte // what is not printable stands there as \xHH
	Device []byte // as in /dev/kmsg: +BUS:NAME, bMAJOR:MINOR, cMAJOR:MINOR, nIFINDEX; empty for none
}

// Parse reads what one read(2) of /dev/kmsg returns:
//
//	LEVEL,SEQ,MICROSECONDS,FLAGS[,MORE];TEXT
//	 KEY=VALUE
//
// with lines of properties, each after a space, below the first. It reports
// whether it is one.
func Parse(b []byte) (r Record, ok bool) {
	head, rest, found := bytes.Cut(b, []byte(";"))
	if !found {
		return r, false
	}
	var numbers [3]uint64
	for i := range numbers {
		var field []byte
		field, head, _ = bytes.Cut(head, []byte(","))
		n, err := strconv.ParseUint(string(field), 10, 63)
		if err != nil {
			return r, false
		}
		numbers[i] = n
	}
	r.Level, r.Seq = int(numbers[0]&7), numbers[1] // above three bits stands the facility
	r.Time = time.Duration(numbers[2]) * time.Microsecond
	r.Text, rest, _ = bytes.Cut(rest, []byte("\n"))
	for line := range bytes.Lines(rest) {
		if device, ok := bytes.CutPrefix(line, []byte(" DEVICE=")); ok {
			r.Device = bytes.TrimSuffix(device, []byte("\n"))
		}
	}
	return r, true
}

// Names tells whether the text has a word that is the module's name, in which
// the kernel writes - and _ as it likes.
func (r Record) Names(module string) bool {
	for i := 0; i+len(module) <= len(r.Text); i++ {
		if sameName(r.Text[i:i+len(module)], module) && !inWord(r.Text, i-1) && !inWord(r.Text, i+len(module)) {
			return module != ""
		}
	}
	return false
}

func sameName(text []byte, module string) bool {
	for i := range module {
		if underscored(text[i]) != underscored(module[i]) {
			return false
		}
	}
	return true
}

func underscored(c byte) byte {
	if c == '-' {
		return '_'
	}
	return c
}

// inWord tells whether the byte at i belongs to a name.
func inWord(text []byte, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	c := text[i]
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// urgent tells whether a record that belongs to no device is at least critical,
// as those of an oops are: of interest to whoever's load has just failed.
func (r Record) urgent() bool { return r.Level <= 2 && len(r.Device) == 0 }

// oops tells whether the record begins an oops: with the words of x86
// (arch/x86/mm/fault.c, arch/x86/kernel/traps.c), of the other architectures, or of BUG().
func (r Record) oops() bool {
	for _, begins := range [...]string{"BUG: ", "general protection fault", "Unable to handle kernel", "kernel BUG at "} {
		if bytes.HasPrefix(r.Text, []byte(begins)) {
			return true
		}
	}
	return false
}

// Signed tells whether the text begins with the name of whoever wrote it, as
// nearly all do (pr_fmt): one word and a colon.
func (r Record) Signed() bool {
	name, _, found := bytes.Cut(r.Text, []byte(": "))
	return found && !bytes.Contains(name, []byte(" "))
}

// by tells whether the text begins with that name and a space: what is said of a
// device begins with its driver's name, or with its bus's if no driver has it.
func (r Record) by(name string) bool {
	first, _, found := bytes.Cut(r.Text, []byte(" "))
	return found && string(first) == name
}

// Is tells whether the record is about the device of that bus and name.
func (r Record) Is(bus, name string) bool { return isDevice(r.Device, bus, name) }

func isDevice(tag []byte, bus, name string) bool {
	rest, ok := bytes.CutPrefix(tag, []byte("+"))
	if !ok || bus == "" {
		return false
	}
	got, gotName, ok := bytes.Cut(rest, []byte(":"))
	return ok && string(got) == bus && string(gotName) == name
}

// firmware returns the name of the file that a line says the kernel has looked
// for in vain, "" for any other line
// (_request_firmware in drivers/base/firmware_loader/main.c).
func firmware(line []byte) string {
	_, rest, found := bytes.Cut(line, []byte("Direct firmware load for "))
	if !found {
		return ""
	}
	name, _, found := bytes.Cut(rest, []byte(" failed with error -2"))
	if !found {
		return ""
	}
	return string(name)
}
