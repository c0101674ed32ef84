package core_test

import (
	"slices"
	"strings"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
)

// checkLoad holds a load against the promises at the moment it is asked for.
func (w *world) checkLoad(e core.Load) {
	name := e.Step.Module
	if _, twice := w.inFlight[name]; twice {
		w.violate("%s is loaded while a load of it is under way", name)
	}
	if w.told[name].live {
		w.violate("%s is loaded though the machine was told that it is live", name)
	}
	if len(w.slots) >= w.board.slots {
		w.violate("%s is loaded while %d loads hold all slots", name, len(w.slots))
	}
	for _, need := range w.board.closure(*w.board.module(name)) {
		_, taken := w.removed[need]
		if w.kernel.State(need) != kernel.Live && !taken {
			w.violate("%s is loaded before %s, which it needs", name, need)
		}
	}
	if slices.Contains(w.blacklist, name) && !w.wantedByAnother(name) {
		w.violate("%s is loaded though it is blacklisted", name)
	}
}

// wantedByAnother tells whether a module may be loaded for another one's sake,
// which a blacklist does not forbid.
func (w *world) wantedByAnother(name string) bool {
	for _, m := range w.board.modules {
		if w.board.needs(m, name) {
			return true
		}
	}
	return slices.ContainsFunc(w.board.softdeps, func(line string) bool { return strings.HasSuffix(line, ": "+name) })
}

// checkAtRest holds the world against the promises when nothing has happened
// for a long time.
func (w *world) checkAtRest() {
	for _, d := range w.sortedPresent() {
		for _, name := range w.board.matching(d.Modalias) {
			w.checkServed(d.Path, name)
		}
	}
	w.checkDevices()
	w.checkModules()
	w.checkStatus()
	if most := 40 * (len(w.board.modules) + 4); w.loads > most {
		w.violate("%d loads: it goes round in circles", w.loads)
	}
}

// checkServed: every matching, allowed module of every present device was
// asked for, and is live if it can be.
func (w *world) checkServed(path, name string) {
	removed, taken := w.removed[name]
	if slices.Contains(w.blacklist, name) || taken && removed >= w.appears[path] {
		return
	}
	for _, need := range w.board.closure(*w.board.module(name)) {
		if at, taken := w.removed[need]; taken && at >= w.appears[path] {
			return
		}
		if !w.board.sound(need) {
			return // never live, so this one is never asked for
		}
	}
	_, asked := w.asked[name]
	switch state := w.kernel.State(name); {
	case w.board.sound(name) && state != kernel.Live:
		w.violate("%s is %s at the end, and %s is present", name, state, path)
	case !asked && state == kernel.Absent:
		w.violate("%s was never asked for, and %s is present", name, path)
	}
}

// ask has the machine answer a request.
func (w *world) ask(r control.Request) any {
	for _, e := range w.machine.Step(w.now, core.Asked{ID: 1, Request: r}, nil) {
		if reply, ok := e.(core.Reply); ok {
			return reply.Value
		}
	}
	w.violate("no reply to %T", r)
	return nil
}

// checkDevices: the machine knows the devices that there are, no others, and
// what has become of them.
func (w *world) checkDevices() {
	devices, _ := w.ask(control.DevicesRequest{}).([]control.Device)
	known := make(map[string]bool)
	for _, d := range devices {
		known[d.Path] = true
		if _, ok := w.present[d.Path]; !ok {
			w.violate("%s is known and not there", d.Path)
		}
		driver := w.kernel.Driver(d.Path)
		if d.Driver != driver || (driver != "") != (d.Result == control.Bound) {
			w.violate("%s is %s with driver %q, in truth its driver is %q", d.Path, d.Result, d.Driver, driver)
		}
	}
	for path := range w.present {
		if !known[path] {
			w.violate("%s is there and not known", path)
		}
	}
}

// checkModules: the machine knows the state of every module.
func (w *world) checkModules() {
	modules, _ := w.ask(control.ModulesRequest{}).([]control.Module)
	said := make(map[string]control.State)
	for _, m := range modules {
		said[m.Name] = m.State
	}
	for _, m := range w.board.modules {
		state, ok := said[m.Name], w.kernel.State(m.Name)
		_, flying := w.inFlight[m.Name]
		wrong := (state == control.Live) != (ok == kernel.Live) ||
			state == control.InLoad && !flying ||
			state == control.Coming && ok != kernel.Coming ||
			state == control.Waiting && !w.needsStuck(m.Name)
		if wrong {
			w.violate("%s is said to be %q, the kernel says %s", m.Name, state, ok)
		}
	}
}

// needsStuck tells whether a module needs one that will never be live, so that
// it may wait at the end.
func (w *world) needsStuck(name string) bool {
	return !w.board.sound(name)
}

// checkStatus: a scan has ended since the last loss, and everything is settled
// but for what hangs.
func (w *world) checkStatus() {
	status, _ := w.ask(control.StatusRequest{}).(control.Status)
	if !status.Settled && status.Modules[control.Waiting] == 0 {
		w.violate("not settled at the end: %+v", status)
	}
}
