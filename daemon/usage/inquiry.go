package usage

import (
	"fmt"
	"path"
	"slices"
	"sync"
)

// An inquiry is one call: the devices that the walk found, and what detectors
// ask of more than one of them, which is looked for once and when the first one
// asks.
type inquiry struct {
	System
	walk walk

	processes *processes
	mounts    *mounts
	console   *bool // fbcon is bound
}

func newInquiry(s System) *inquiry {
	if s.kernel == nil {
		s.kernel = running{}
	}
	return &inquiry{System: s, walk: newWalk(s.sys(""))}
}

// A detector answers for devices of one kind.
type detector func(q *inquiry, d *device) []Finding

// detectors are those of subsystems. What has none and has a node is a
// character device.
var detectors = map[string]detector{
	"net":       network,
	"block":     block,
	"scsi_host": scsiHost,
	"tty":       serial,
	"sound":     sound,
	"bluetooth": bluetooth,
	"drm":       display,
	"graphics":  frameBuffer,
}

// alwaysAsked are for devices of all kinds.
var alwaysAsked = []detector{never, otherNamespace, wakeup, power}

// answer asks about every device of the walk.
func (q *inquiry) answer() []Finding {
	q.walk.sort()
	var all []Finding
	answered := make([]bool, len(q.walk.devices)) // which say something of their use
	for i := range q.walk.devices {
		d := &q.walk.devices[i]
		for _, f := range q.ask(d) {
			answered[i] = answered[i] || decides(f)
			all = append(all, f)
		}
	}
	for i := range q.walk.devices {
		if d := &q.walk.devices[i]; !q.answeredFor(i, answered) {
			all = append(all, d.finding(KindDriver, Unknown, "%s has the driver %s, and nothing below it shows who uses it", d.name(), d.driver))
		}
	}
	all = append(all, q.walk.trouble...)
	slices.SortStableFunc(all, func(a, b Finding) int { return comparePaths(a.Device, b.Device) })
	return all
}

// ask asks all detectors that are for a device.
func (q *inquiry) ask(d *device) (found []Finding) {
	for _, ask := range alwaysAsked {
		found = append(found, ask(q, d)...)
	}
	known := slices.ContainsFunc(found, decides)
	switch ask := detectors[d.subsystem]; {
	case ask != nil:
		found = append(found, ask(q, d)...)
	case d.hasNode:
		found = append(found, character(q, d)...)
	case d.class && !silent()[d.subsystem] && !known:
		found = append(found, d.finding(KindDriver, Unknown, "%s is of the class %s, whose users nothing shows", d.name(), d.subsystem))
	}
	return found
}

// silent are the classes whose devices have no users of their own: these are
// those of the devices that they belong to.
var silent = sync.OnceValue(func() map[string]bool {
	return map[string]bool{
		"ata_device": true, "ata_link": true, "ata_port": true,
		"fc_host": true, "fc_remote_ports": true, "fc_transport": true, "fc_vports": true,
		"iscsi_connection": true, "iscsi_endpoint": true, "iscsi_host": true, "iscsi_iface": true, "iscsi_session": true, "iscsi_transport": true,
		"sas_device": true, "sas_end_device": true, "sas_expander": true, "sas_host": true, "sas_phy": true, "sas_port": true,
		"spi_host": true, "spi_transport": true,
		"scsi_device": true, "scsi_disk": true, "enclosure": true,
		"bdi": true, "devlink": true, "wakeup": true,
		"ieee80211": true, "ieee802154": true, "mdio_bus": true, "rfkill": true,
		"nvme-subsystem": true, "memstick_host": true,
	}
})

// decides tells whether a finding is about a device's users, and not a hint.
func decides(f Finding) bool { return f.Kind != KindPower && f.Kind != KindWakeup }

// answeredFor tells whether something at or below a device with a driver said
// who uses it, or it needs no answer.
func (q *inquiry) answeredFor(i int, answered []bool) bool {
	devices := q.walk.devices
	d := &devices[i]
	if d.driver == "" || d.attached || plumbing(d) {
		return true
	}
	top := d.path
	switch d.subsystem {
	case "virtio", "hdaudio": // a sound card is beside its codecs, below the device that it is on
		top = path.Dir(top)
	}
	for j := range devices {
		p := devices[j].path
		if answered[j] && (j == i || under(p, top) || q.together(d, p)) {
			return true
		}
	}
	return false
}

// together tells whether a path is below a device that was claimed together with
// d.
func (q *inquiry) together(d *device, p string) bool {
	for i := range q.walk.devices {
		if other := &q.walk.devices[i]; d.claimedTogether(other) && (p == other.path || under(p, other.path)) {
			return true
		}
	}
	return false
}

// plumbing is what only leads to other devices: a USB device that is no
// interface, and a hub.
func plumbing(d *device) bool {
	return d.subsystem == "usb" && (d.driver == "usb" || d.driver == "hub")
}

// finding makes a finding about a device.
func (d *device) finding(kind string, state State, format string, args ...any) Finding {
	says := fmt.Sprintf(format, args...)
	if d.supplier != "" {
		says += fmt.Sprintf(" (asked about as a consumer of %s)", d.supplier)
	}
	return Finding{Device: d.path, Kind: kind, State: state, Says: says}
}

// unless turns an answer that nobody was seen into one that can't be trusted, if
// there is a reason against it.
func (d *device) unless(reason, kind string, format string, args ...any) Finding {
	if reason != "" {
		return d.finding(kind, Unknown, "%s", reason)
	}
	return d.finding(kind, Idle, format, args...)
}
