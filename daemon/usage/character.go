package usage

import (
	"slices"
	"strings"
)

// character answers for a device with a node: a process has it open, or none.
func character(q *inquiry, d *device) []Finding { return nodeOf(q, d, KindCharacter) }

// nodeOf answers for the node of a device, in the name of a kind.
func nodeOf(q *inquiry, d *device, kind string) []Finding {
	if !d.hasNode {
		return nil
	}
	who, is, blind := q.open(d.number)
	switch {
	case is && who.onlyOn:
		return []Finding{d.finding(kind, InUse, "%s has a file on %s open", who, d.name())}
	case is:
		return []Finding{d.finding(kind, InUse, "%s has %s open", who, d.name())}
	}
	return []Finding{d.unless(blind, kind, "nobody has %s open", d.name())}
}

// serial answers for a terminal: it is the kernel's console, or somebody has it
// open.
func serial(q *inquiry, d *device) []Finding {
	found := nodeOf(q, d, KindSerial)
	consoles := strings.Fields(string(q.walk.read("/devices/virtual/tty/console/active")))
	if slices.Contains(consoles, d.name()) {
		f := d.finding(KindNever, InUse, "%s is a console of the kernel's", d.name())
		f.Never = true
		found = append(found, f)
	}
	return found
}
