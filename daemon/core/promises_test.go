package core_test

import (
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kernel/fake"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
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
	if e.Known && !w.known[name] {
		w.violate("%s is loaded, and its file not looked into, though nobody has before", name)
	}
	w.checkTurn(e)
	for _, need := range w.board.closure(*w.board.module(name)) {
		_, taken := w.removed[need]
		if w.kernel.State(need) != kernel.Live && !taken && w.board.commands[need] == "" {
			w.violate("%s is loaded before %s, which it needs", name, need)
		}
	}
	if command := w.board.commands[name]; e.Step.Install != command {
		w.violate("%s goes in by %q, and the command %q stands for it", name, e.Step.Install, command)
	}
	if slices.Contains(w.says.blacklist, name) && !w.wantedByAnother(name) {
		w.violate("%s is loaded though it is blacklisted", name)
	}
}

// checkAsync holds that no driver probes aside which may have others loaded meanwhile,
// itself or by what it needs, or whose device others may take.
func (w *world) checkAsync(e core.Load) {
	w.asides++
	name := e.Step.Module
	for _, need := range w.board.closure(*w.board.module(name)) {
		if w.board.requests[need] {
			w.violate("%s is had to probe aside, though %s, which it needs, may request others", name, need)
		}
	}
}

// checkRemembered holds that it is said once in a life what is to be expected, each
// device once and as sure as it may be.
func (w *world) checkRemembered(e core.Remember) {
	if w.remembered {
		w.violate("what is to be expected is said twice")
	}
	w.remembered = true
	known := make(map[string]bool)
	for _, d := range e.Devices {
		if known[d.Device.Modalias] || d.Score < 1 || d.Score > 3 || d.Device.Driver != "" {
			w.violate("the next boot is to expect %+v, among %+v", d, e.Devices)
		}
		known[d.Device.Modalias] = true
	}
}

// A slot is what a load has.
type slot struct {
	critical bool
	began    time.Duration
}

// checkTurn holds that a load has a slot, and that those which are not critical let
// critical ones go first, which need none but their own kind's. Somebody may wait in an
// open() for what has slept.
func (w *world) checkTurn(e core.Load) {
	name := e.Step.Module
	if e.Step.Stage == policy.Critical && !e.Critical {
		w.violate("%s is critical by a rule, and not loaded as such", name)
	}
	if w.hasSlept(name) {
		return
	}
	if e.Step.Stage == policy.Deferred && !w.isOver(e.Step.Until) && !w.supplier[name] && !w.wantedByAnother(name) && !slices.Contains(w.board.wanted, name) && !w.isPreferred(name) {
		w.violate("%s is loaded, and waits for %s", name, e.Step.Until)
	}
	taken := 0
	for _, s := range w.slots {
		if s.critical || !e.Critical {
			taken++
		}
		if since := w.now - s.began; s.critical && !e.Critical && since < 500*time.Millisecond {
			w.violate("%s is loaded %v after a critical load has begun", name, since)
		}
	}
	if taken >= w.board.slots {
		w.violate("%s is loaded while %d loads hold all slots", name, taken)
	}
	if w.board.few > 0 && taken >= w.board.few && !w.eased {
		w.violate("%s is loaded while %d loads are under way, and the processors never had time", name, taken)
	}
	if e.Critical && e.Nice != 0 {
		w.violate("%s is critical, and stands back for others", name)
	}
}

// isPreferred tells whether a module may be loaded since a device prefers it.
func (w *world) isPreferred(name string) bool {
	for _, list := range w.board.prefers {
		if slices.Contains(list, name) {
			return true
		}
	}
	return false
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
		if w.isAssigned(d.Modalias) {
			w.checkAssigned(d)
			continue
		}
		for _, name := range w.board.matching(d.Modalias) {
			w.checkServed(d.Path, w.appears[d.Path], name)
		}
		w.checkFree(d)
	}
	for _, name := range w.board.wanted {
		w.checkServed("modules-load.d", w.began, name)
	}
	w.checkDevices()
	w.checkFirmware()
	w.checkUnused()
	w.checkSleepers()
	w.checkModules()
	w.checkStatus()
	w.checkMetrics()
	w.askForBoot()
	if most := (40 + 8*w.days) * (len(w.board.modules) + 4); w.loads > most || w.probes > most {
		w.violate("%d loads, %d probes: it goes round in circles", w.loads, w.probes)
	}
}

// checkServed: every matching, allowed module of every present device was
// asked for, and every wanted one, and is live if it can be. What somebody took
// out since then is nobody's fault. A device whose driver somebody has taken out is not
// served again either when another of its drivers, that slept, is awake.
func (w *world) checkServed(by string, since time.Duration, name string) {
	removed, taken := w.removed[name]
	if slices.Contains(w.says.blacklist, name) || taken && removed >= since || w.isGoing(name) || w.unlucky[name] || w.sleeps(by) || w.hasSlept(name) && (w.kernel.Driver(by) != "" || w.letGo[by]) {
		return
	}
	for _, need := range w.board.closure(*w.board.module(name)) {
		if at, taken := w.removed[need]; taken && at >= since || w.isGoing(need) {
			return
		}
		if !w.board.sound(need) || w.unlucky[need] {
			return // never live, so this one is never asked for
		}
	}
	_, asked := w.asked[name]
	switch state := w.kernel.State(name); {
	case w.board.sound(name) && state != kernel.Live:
		w.violate("%s is %s at the end, and %s calls for it", name, state, by)
	case !asked && state == kernel.Absent:
		w.violate("%s was never asked for, and %s calls for it", name, by)
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
		if w.kernel.Probing(d.Path) { // for ever: its link tells of a driver that may never have it
			continue
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

// checkFirmware: no driver stands without its device because it was not told
// that its firmware is there by now. While another driver's probe hangs nobody
// can tell it, and where somebody has taken a driver out nobody shall.
func (w *world) checkFirmware() {
	for _, d := range w.sortedPresent() {
		file := w.kernel.Lacked(d.Path)
		if w.isAssigned(d.Modalias) {
			continue
		}
		if w.kernel.Installed(file) && w.kernel.Driver(d.Path) == "" && !w.kernel.Probing(d.Path) && !w.letGo[d.Path] && w.driverIsIn(file, d.Modalias) {
			w.violate("%s has no driver, and its firmware %s is there", d.Path, file)
		}
	}
}

// driverIsIn tells whether the module that needs a firmware file can take a
// device, and may.
func (w *world) driverIsIn(file, modalias string) bool {
	name := strings.TrimSuffix(file, ".bin")
	return slices.Contains(w.board.module(name).Drives, modalias) && w.kernel.State(name) == kernel.Live && !slices.Contains(w.says.blacklist, name)
}

// checkModules: the machine knows the state of every module.
func (w *world) checkModules() {
	modules, _ := w.ask(control.ModulesRequest{}).([]control.Module)
	said := make(map[string]control.State)
	for _, m := range modules {
		if m.State != control.Absent { // as what sleeps is
			said[m.Name] = m.State
		}
		if w.handed[m.Name] && !m.Ours && m.State != control.Going { // somebody took one out before the first scan met it
			w.violate("%s was ours before, and is not any more", m.Name)
		}
	}
	for _, m := range w.board.modules {
		state, ok := said[m.Name], w.kernel.State(m.Name)
		_, flying := w.inFlight[m.Name]
		if state == control.Live && w.isGoing(m.Name) {
			continue // the kernel has no event for that
		}
		wrong := (state == control.Live) != (ok == kernel.Live) ||
			state == control.InLoad && !flying ||
			state == control.Coming && ok != kernel.Coming ||
			state == control.Waiting && !w.needsStuck(m.Name) ||
			!w.commandTold(m.Name, state)
		if wrong {
			w.violate("%s is said to be %q, the kernel says %s", m.Name, state, ok)
		}
	}
}

// commandTold tells whether what a command has led to is called by its name:
// of a module whose last load it was, that nobody has loaded since.
func (w *world) commandTold(name string, state control.State) bool {
	at, asked := w.asked[name]
	_, flying := w.inFlight[name]
	if state == control.Waiting {
		return true // for what it needs: see needsStuck
	}
	if state == "" && at < max(w.changed, w.left[name]) {
		return true // it was wanted once more, and then not; or it was taken out
	}
	if !asked || flying || w.kernel.State(name) != kernel.Absent || w.removed[name] != 0 || w.badly[name] {
		return true
	}
	switch w.board.commands[name] {
	case cmdTrue:
		return state == control.Stood
	case cmdFalse:
		return state == control.Forbidden
	case cmdFails, cmdHangs:
		return state == control.Broken || state == control.Forbidden && w.needsForbidden(name)
	}
	return state != control.Stood && state != control.Forbidden || w.needsForbidden(name)
}

// needsForbidden tells whether a command forbids something that a module needs.
func (w *world) needsForbidden(name string) bool {
	return slices.ContainsFunc(w.board.closure(*w.board.module(name)), func(need string) bool { return w.board.commands[need] == cmdFalse })
}

// needsStuck tells whether a module needs one that will never be live, so that
// it may wait at the end.
func (w *world) needsStuck(name string) bool {
	return !w.board.sound(name) || slices.ContainsFunc(w.board.closure(*w.board.module(name)), w.isGoing)
}

// checkStatus: a scan has ended since the last loss, and everything is settled
// but for what hangs.
func (w *world) checkStatus() {
	status, _ := w.ask(control.StatusRequest{}).(control.Status)
	if !status.Settled {
		w.violate("not settled at the end: %+v", status)
	}
	if len(w.settlers) > 0 {
		w.violate("settled, and %d who wait for that don't know", len(w.settlers))
	}
}

// answered holds the world against what somebody was told who has waited until
// nothing is pending: what there was when they asked is served.
func (w *world) answered(r core.Reply) {
	if w.openerAnswered(r) {
		return
	}
	if report, ok := r.Value.(control.Boot); ok {
		w.checkBoot(report)
		return
	}
	if p, waits := w.pinners[r.ID]; waits {
		delete(w.pinners, r.ID)
		if r.Err == nil { // of a module that it knows
			w.pinned[p.name] = !p.unpin
		}
		return
	}
	if r.ID == w.releaser && r.Err == nil {
		return
	}
	since, waits := w.settlers[r.ID]
	if !waits {
		w.violate("%d is answered, who does not wait", r.ID)
	}
	delete(w.settlers, r.ID)
	if r.Err != nil {
		return // who has left hears nothing
	}
	for _, d := range w.sortedPresent() {
		if w.isAssigned(d.Modalias) {
			continue
		}
		for _, name := range w.board.matching(d.Modalias) {
			if until := waitsFor(name); until != "" && !w.isOver(until) {
				continue
			}
			if w.appears[d.Path] <= since && !w.mayBeOut(name, w.appears[d.Path]) {
				w.violate("settled, and %s, there since %v, has not got %s, which is %s", d.Path, w.appears[d.Path], name, w.kernel.State(name))
			}
		}
	}
}

// isGoing tells whether somebody takes a module out, which lasts for as long as
// a probe of its driver does; or whether its init waits for a device that another
// driver probes.
func (w *world) isGoing(name string) bool {
	switch w.kernel.State(name) {
	case kernel.Going:
		return true
	case kernel.Coming:
		drives := w.board.module(name).Drives
		return slices.ContainsFunc(w.sortedPresent(), func(d fake.Device) bool {
			return w.kernel.Probing(d.Path) && slices.Contains(drives, d.Modalias)
		})
	}
	return false
}

// mayBeOut tells whether there is a reason that a device which is there since
// then has not got a module: it is forbidden, somebody took it out, it or what
// it needs can't be had, takes long, or was being loaded by hand both times when
// it was tried.
func (w *world) mayBeOut(name string, since time.Duration) bool {
	if slices.Contains(w.says.blacklist, name) || w.hasSleeper(name) {
		return true
	}
	return slices.ContainsFunc(append(w.board.closure(*w.board.module(name)), name), func(need string) bool {
		removed, taken := w.removed[need]
		_, flying := w.inFlight[need]
		state := w.kernel.State(need)
		return !w.board.sound(need) || w.busy[need] || w.unlucky[need] || taken && removed >= since || flying || state == kernel.Coming || state == kernel.Going
	}) || w.kernel.State(name) == kernel.Live
}

// checkMetrics: every load of this life has been counted once, or is under way.
func (w *world) checkMetrics() {
	metrics, _ := w.ask(control.MetricsRequest{}).(control.Metrics)
	ended, timed := uint64(0), uint64(0)
	for _, n := range metrics.Loads {
		ended += n
	}
	for _, n := range metrics.LoadTimes.Counts {
		timed += n
	}
	switch {
	case ended+uint64(len(w.inFlight)) != w.begun:
		w.violate("%d loads were asked for, %d are under way, and these have ended: %v", w.begun, len(w.inFlight), metrics.Loads)
	case metrics.Loads[control.PutOff] != w.unasked:
		w.violate("the kernel was not asked for %d loads, and %d are said to be put off", w.unasked, metrics.Loads[control.PutOff])
	case timed != ended-w.unasked:
		w.violate("%d times of loads, of these ends: %v", timed, metrics.Loads)
	case metrics.SlowLoads != w.abandoned:
		w.violate("%d loads were abandoned, and %d are said to be slow", w.abandoned, metrics.SlowLoads)
	}
}

// checkBoot: each module is reported once, its times are in their order and those of a
// load that there was, and what was reported of one that has ended stays as it was.
func (w *world) checkBoot(report control.Boot) {
	told := make(map[string]bool)
	for _, l := range report.Loads {
		if told[l.Name] {
			w.violate("%s is reported twice", l.Name)
		}
		told[l.Name] = true
		steps := slices.DeleteFunc([]time.Duration{l.Wanted, l.Began, l.Read, l.Called, l.Returned}, func(at time.Duration) bool { return at == 0 })
		if !slices.IsSorted(steps) || l.Live != 0 && (l.Live < l.Began || l.Began == 0) {
			w.violate("these are the times of a load: %+v", l)
		}
		if l.Live != 0 && l.Error != "" {
			w.violate("%s is live, and has failed: %s", l.Name, l.Error)
		}
		if !l.Earlier && l.Began != 0 && !slices.ContainsFunc(w.loadsBegan[l.Name], func(at time.Duration) bool { return within(l.Began, at) }) {
			w.violate("%s is said to be loaded at %v, and loads of it began at %v", l.Name, l.Began, w.loadsBegan[l.Name])
		}
		if before := w.bootBefore[l.Name]; before.Live != 0 && !before.Earlier && (l.Wanted != before.Wanted || l.Began != before.Began || l.Live != before.Live) {
			w.violate("%+v was reported before: %+v", before, l)
		}
		w.bootBefore[l.Name] = l
	}
	for name, before := range w.bootBefore {
		if before.Live != 0 && !before.Earlier && !told[name] {
			w.violate("%s was reported before, and is not any more", name)
		}
	}
	for _, d := range report.Devices {
		if d.Seen == 0 || d.Bound != 0 && d.Bound < d.Seen {
			w.violate("these are the times of a device: %+v", d)
		}
	}
}

// within tells whether a reported time is that of an event, to a microsecond.
func within(reported, at time.Duration) bool {
	return reported <= at && at < reported+time.Microsecond
}

// isAssigned tells whether somebody says who has devices of a modalias.
func (w *world) isAssigned(modalias string) bool {
	return slices.Contains(w.says.denied, modalias) || slices.Contains(w.says.preferred, modalias)
}

// longestNews is how old news of a device may be when the machine hears them.
const longestNews = 5 * time.Second

// checkAssign holds an assignment against the promises at the moment it is
// asked for: nothing is taken from those who may have used it before the rules
// said so.
func (w *world) checkAssign(e core.Assign) {
	d, there := w.present[e.Path]
	denied := slices.Contains(w.says.denied, d.Modalias)
	since := max(w.deniedAt[d.Modalias], w.began)
	switch {
	case !there: // it has gone meanwhile
	case e.Owner == core.Nobody && !denied:
		w.violate("%s is denied, of which nobody has said so", e.Path)
	case e.Owner == core.Nobody && !e.Gently && w.appears[e.Path]+longestNews < since:
		w.violate("%s may be in use since %v, and is denied by force since %v", e.Path, w.appears[e.Path], since)
	case e.Owner == core.OfModule && (denied || !slices.Contains(w.says.preferred, d.Modalias) || !slices.Contains(w.board.prefers[d.Modalias], e.Module)):
		w.violate("%s is to have %s, of which nobody has said so", e.Module, e.Path)
	case e.Owner == core.OfModule && !e.Gently:
		w.violate("%s is to have %s by force", e.Module, e.Path)
	}
}

// checkAssigned: nobody has a device that is denied, and one that drivers are
// preferred for is with the first one that can have it. What somebody uses, or
// has used, and what hangs in a probe, stays with whoever has it.
func (w *world) checkAssigned(d fake.Device) {
	driver := w.kernel.Driver(d.Path)
	switch {
	case w.kernel.Probing(d.Path), w.kernel.Registering(d.Path):
	case slices.Contains(w.says.denied, d.Modalias):
		if driver != "" && !w.kernel.InUse(d.Path) {
			w.violate("%s has driver %s, and is denied", d.Path, driver)
		}
	case w.used[d.Path] || w.letGo[d.Path]:
	default:
		for _, name := range w.board.prefers[d.Modalias] {
			if name == driver {
				return
			}
			if w.takes(name, d) {
				w.violate("%s is preferred for %s, which has driver %q", name, d.Path, driver)
			}
		}
	}
}

// takes tells whether a module surely takes a device that it is given.
func (w *world) takes(name string, d fake.Device) bool {
	m := w.board.module(name)
	if w.late[name] || m.ProbeErr != 0 || m.Firmware != "" || m.Probe == fake.Forever || w.board.bare(d.Path) && !slices.Contains(m.Drives, d.Modalias) {
		return false
	}
	return !slices.ContainsFunc(append(w.board.closure(*m), name), func(need string) bool {
		n := w.board.module(need)
		return !w.board.sound(need) || w.board.commands[need] != "" || w.touched[need] || w.unlucky[need] || w.busy[need] || n.Init > time.Second || n.Probe == fake.Forever
	})
}

// checkFree: of a device of which nobody says who has it, sysfs keeps no driver
// away.
func (w *world) checkFree(d fake.Device) {
	if by := w.kernel.Override(d.Path); by != "" && !w.kernel.Probing(d.Path) {
		w.violate("%s is still kept for %s", d.Path, by)
	}
}

// checkUnload holds the taking out of a module against the promises at the moment
// it is asked for: nothing calls for it, as far as the machine can know, nobody
// uses it, and it was ours.
func (w *world) checkUnload(e core.Unload) {
	if w.hasSleeper(e.Name) {
		w.checkFall(e)
		return
	}
	if references, drives := w.kernel.Uses(e.Name); references > 0 || drives != "" {
		w.violate("%s is taken out, which has %d users and drives %q", e.Name, references, drives)
	}
	if w.pinned[e.Name] {
		w.violate("%s is taken out, and pinned", e.Name)
	}
	if !slices.Contains(w.journal.Unloading, e.Name) {
		w.violate("%s is taken out, which is not written down: %q", e.Name, w.journal.Unloading)
	}
	for path, name := range w.callers(e.Name, longestNews) {
		w.violate("%s is taken out, and %s calls for %s", e.Name, path, name)
	}
}

// callers tells which devices that are there for that long, and which lines, lead to a
// module.
func (w *world) callers(name string, known time.Duration) map[string]string {
	calls := make(map[string]string)
	set := w.board.set(w.t, w.says, true)
	leads := func(d rules.Decision) bool {
		return slices.ContainsFunc(d.Steps, func(s rules.Step) bool { return s.Module == name })
	}
	for _, d := range w.sortedPresent() {
		if w.appears[d.Path]+known <= w.now && leads(set.Decide(rules.Device{Path: d.Path, Modalias: d.Modalias})) {
			calls[d.Path] = name
		}
	}
	for _, want := range w.board.wanted {
		if leads(set.Want(want)) {
			calls["modules-load.d"] = name
		}
	}
	return calls
}

// checkUnused: what was put in and nothing calls for any more has gone, but for
// what somebody uses, or is to stay, or can't be taken out; and nothing else counts
// as that.
func (w *world) checkUnused() {
	modules, _ := w.ask(control.ModulesRequest{}).([]control.Module)
	for _, m := range modules {
		if m.State != control.Live || !m.Ours {
			continue
		}
		called := len(w.callers(m.Name, 0)) > 0
		references, drives := w.kernel.Uses(m.Name)
		b := w.board.module(m.Name)
		free := references == 0 && drives == "" && !w.pinned[m.Name] && !b.NoExit && !b.ExitOops && b.Exit != fake.Forever && !strings.Contains(m.Unused, "doubled")
		switch {
		case called && m.Unused != "":
			w.violate("%s is called for by %v, and said to be unused: %s", m.Name, w.callers(m.Name, 0), m.Unused)
		case !called && m.Unused == "":
			w.violate("nothing calls for %s, and nobody has noticed", m.Name)
		case !called && free:
			w.violate("nothing calls for %s, nobody uses it, and it stays: %s", m.Name, m.Unused)
		}
	}
}
