package usage

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// Module says who uses a module: by its reference count, by the modules that
// need it, and so on with these, and by the devices that have a driver of any of
// them, each asked as [System.Device] does. The name is the kernel's, with
// underscores. Of a module that is not in the kernel nothing is said.
func (s System) Module(name string) []Finding {
	if name == "" || strings.ContainsAny(name, "/\x00") || name[0] == '.' {
		return []Finding{{Module: name, Kind: KindModule, Says: fmt.Sprintf("%q is no module's name", name)}}
	}
	q := newInquiry(s)
	var found []Finding
	bound := 0
	for _, m := range q.withHolders(name) {
		found = append(found, q.count(m)...)
		devices, drivers := q.devicesOf(m)
		for _, d := range devices {
			q.walk.from(d)
		}
		found = append(found, q.role(m, len(devices), drivers)...)
		bound += len(devices)
	}
	if bound == 0 {
		return append(found, q.walk.trouble...)
	}
	return append(found, q.answer()...)
}

// Drives lists the paths of the devices that have a driver of a module.
func (s System) Drives(module string) []string {
	devices, _ := newInquiry(s).devicesOf(user{name: module})
	slices.Sort(devices)
	return slices.Compact(devices)
}

// A user is a module, and the one for whose sake it is asked about.
type user struct{ name, needs string }

// withHolders lists a module and all that need it, directly or not.
func (q *inquiry) withHolders(name string) []user {
	if !q.walk.exists("/module/" + name) {
		return nil
	}
	all := []user{{name: name}}
	for i := 0; i < len(all) && i < maxDevices; i++ {
		for _, h := range q.holders(all[i].name) {
			if !slices.ContainsFunc(all, func(u user) bool { return u.name == h }) {
				all = append(all, user{h, all[i].name})
			}
		}
	}
	return all
}

func (q *inquiry) holders(module string) []string {
	return q.walk.names("/module/" + module + "/holders")
}

// count answers by a module's state and its reference count. Each module that
// needs it is in the count once; what else is there has something open.
func (q *inquiry) count(m user) (found []Finding) {
	if m.needs != "" {
		found = append(found, m.finding(KindHolder, Idle, "%s needs %s, and is asked, too", m.name, m.needs))
	}
	dir := "/module/" + m.name
	refs, err := strconv.Atoi(string(q.walk.read(dir + "/refcnt")))
	state := string(q.walk.read(dir + "/initstate"))
	switch {
	case err != nil && !q.walk.exists(dir):
		return found // it has gone
	case state == "" && err != nil:
		return append(found, m.finding(KindModule, Unknown, "%s is built in, and can't be taken out", m.name))
	case state != "live":
		return append(found, m.finding(KindModule, Unknown, "%s is %s: it is being put in or taken out", m.name, state))
	case err != nil:
		return append(found, m.finding(KindModule, Unknown, "the kernel does not say how often %s is used", m.name))
	}
	switch open := refs - len(q.holders(m.name)); {
	case open == 1:
		return append(found, m.finding(KindModule, InUse, "%s is in use, by a reference that is no other module's", m.name))
	case open > 1:
		return append(found, m.finding(KindModule, InUse, "%s is in use, by %d references that are no other module's", m.name, open))
	}
	return append(found, m.finding(KindModule, Idle, "%s has no references but those of other modules", m.name))
}

// role answers by what a module is for, and for one whose drivers have no device.
func (q *inquiry) role(m user, devices, drivers int) []Finding {
	if q.Place != nil {
		if is := neverModule(q.Place(m.name)); is != "" {
			f := m.finding(KindNever, Unknown, "%s is for %s", m.name, is)
			f.Never = true
			return []Finding{f}
		}
	}
	switch {
	case devices > 0 || m.isNeeded(q):
		return nil
	case drivers > 0:
		return []Finding{m.finding(KindDriver, Idle, "no device has a driver of %s", m.name)}
	}
	return []Finding{m.finding(KindLibrary, Unknown, "%s has no driver of devices, so nothing shows who uses it", m.name)}
}

// isNeeded tells whether a module is there for others, which answer for it.
func (m user) isNeeded(q *inquiry) bool { return len(q.holders(m.name)) > 0 }

// devicesOf lists the devices that have a driver of a module, and counts the
// drivers.
func (q *inquiry) devicesOf(m user) (devices []string, drivers int) {
	dirs, err := kernfs.Drivers(q.sys(""), m.name)
	if err != nil {
		q.walk.fail("/module/"+m.name, fmt.Sprintf("its drivers can't be listed: %v", err))
	}
	for _, driver := range dirs {
		for _, entry := range q.walk.names(driver) {
			device := path.Join(driver, q.walk.link(driver+"/"+entry))
			if strings.HasPrefix(device, "/devices/") {
				devices = append(devices, device)
			}
		}
	}
	return devices, len(dirs)
}

func (m user) finding(kind string, state State, format string, args ...any) Finding {
	return Finding{Module: m.name, Kind: kind, State: state, Says: fmt.Sprintf(format, args...)}
}
