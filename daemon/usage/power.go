package usage

import "strconv"

// wakeup answers for a device that may wake the machine, as a network card does
// that is armed for wake-on-LAN.
func wakeup(q *inquiry, d *device) []Finding {
	if string(q.walk.read(d.path+"/power/wakeup")) != "enabled" {
		return nil
	}
	f := d.finding(KindWakeup, InUse, "%s may wake the machine", d.name())
	f.Never = true
	return []Finding{f}
}

// power tells of a device that the kernel has suspended since nobody needed it.
// That one is active, or that the kernel doesn't support it, says nothing: most
// drivers never let their devices sleep.
func power(q *inquiry, d *device) []Finding {
	if string(q.walk.read(d.path+"/power/runtime_status")) != "suspended" {
		return nil
	}
	ms, err := strconv.ParseInt(string(q.walk.read(d.path+"/power/runtime_suspended_time")), 10, 64)
	if err != nil || ms == 0 { // it has never been powered by this means
		return nil
	}
	return []Finding{d.finding(KindPower, Idle, "the kernel has suspended %s, for %d s in all", d.name(), ms/1000)}
}
