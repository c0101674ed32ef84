package core_test

import (
	"math/rand/v2"
	"path"
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kernel/fake"
	"github.com/kmodd/kmodd/rules"
)

// Sleepers are the part of a world that drivers sleep in: /dev, the kernel's helper
// and those who open devices. Each device has one node, of its own name, which the
// kernel makes when a driver takes the device, if there is none of its name, and
// removes when the driver lets go, if it is one that it has made.
type sleepers struct {
	nodes    map[string]string        // by name: who has made it, kernel or daemon
	aside    map[string]bool          // those of the kernel's that were put aside
	coverer  map[string]string        // for the sake of which module
	helping  bool                     // the kernel asks the daemon
	surveyed map[string]time.Duration // when somebody has looked who uses a module
	useBegan map[string]time.Duration // of devices
	openers  map[uint64]opener
	watched  map[string]bool // modules whose nodes the daemon of this life looks out for
	sleepy   bool            // people open and replug much
	// must names, for modules, what has to be out for the kernel to ask for their
	// devices: it answers who opens them itself.
	must map[string]string
}

func newSleepers() sleepers {
	return sleepers{nodes: make(map[string]string), aside: make(map[string]bool), coverer: make(map[string]string), surveyed: make(map[string]time.Duration), useBegan: make(map[string]time.Duration), openers: make(map[uint64]opener), must: make(map[string]string)}
}

// chooseMust has some modules sleep only with what they need.
func (w *world) chooseMust(rng *rand.Rand) {
	for _, m := range w.board.modules {
		if len(m.Needs) > 0 && rng.IntN(2) == 0 {
			w.must[m.Name] = m.Needs[rng.IntN(len(m.Needs))]
		}
	}
}

// isDeaf tells whether the kernel would not ask for the devices of a module.
func (w *world) isDeaf(module string) bool {
	return w.must[module] != "" && w.kernel.State(w.must[module]) != kernel.Absent
}

// An opener waits in an open().
type opener struct {
	device fake.Device
	since  time.Duration
	module string // that it waits for
}

func nodeOf(devpath string) control.Opening {
	name := path.Base(path.Dir(devpath)) + "-" + path.Base(devpath)
	return control.Opening{Alias: "char-major-" + name, Name: name}
}

// survey has a worker look who uses a module.
func (w *world) survey(e core.Survey) {
	w.afterInLife(w.soon(), func() {
		w.surveyed[e.Module] = w.now
		found := core.Surveyed{Op: e.Op}
		if must := w.must[e.Module]; must != "" {
			found.Must = []string{must}
		}
		for _, d := range w.sortedPresent() {
			if w.kernel.Driver(d.Path) == e.Module {
				found.Devices = append(found.Devices, d.Path)
				found.Openings = append(found.Openings, nodeOf(d.Path))
				if w.kernel.InUse(d.Path) {
					found.InUse = d.Path + " is in use"
				}
			}
		}
		if references, _ := w.kernel.Uses(e.Module); references > 0 {
			found.InUse = "it has references"
		}
		switch {
		case len(found.Devices) == 0:
			found.Says = "no device has its driver"
		case w.rng.IntN(10) == 0:
			found = core.Surveyed{Op: e.Op, Says: "no process", Unasked: true}
		}
		w.afterInLife(w.soon(), func() { w.tell(found) })
	})
}

// tend has a worker see to placeholders.
func (w *world) tend(e core.Tend) {
	written := slices.IndexFunc(w.journal.Asleep, func(s control.Sleeper) bool { return s.Module == e.Module })
	if written < 0 {
		w.violate("placeholders for %s are not written down", e.Module)
		return
	}
	w.afterInLife(w.soon(), func() {
		done := core.Tended{Op: e.Op}
		switch {
		case w.rng.IntN(10) == 0:
			done.Unasked, done.Says = true, "no process"
		case e.How == core.Cover && w.rng.IntN(10) == 0:
			done.Says = "no space left"
		default:
			done.Says = w.tended(e)
		}
		w.afterInLife(w.soon(), func() { w.tell(done) })
	})
}

func (w *world) tended(e core.Tend) (says string) {
	for _, o := range e.Openings {
		bound := w.isBound(o)
		if e.How == core.Mend {
			if w.nodes[o.Name] == "" {
				w.nodes[o.Name], w.coverer[o.Name] = "daemon", e.Module
			}
			continue
		}
		if e.How == core.Make {
			if w.nodes[o.Name] != "" || !w.waitsAt(e.Module, o.Name) { // here a node is called after its device
				return o.Name + " is there"
			}
			w.nodes[o.Name], w.coverer[o.Name] = "daemon", e.Module
			continue
		}
		if e.How == core.Cover {
			switch w.nodes[o.Name] {
			case "":
				return o.Name + " is not there"
			case "kernel":
				w.nodes[o.Name], w.aside[o.Name], w.coverer[o.Name] = "daemon", true, e.Module
			}
			continue
		}
		if w.aside[o.Name] {
			w.nodes[o.Name] = "kernel"
			delete(w.aside, o.Name)
		}
		if e.How == core.Uncover && !bound {
			delete(w.nodes, o.Name)
		}
	}
	return ""
}

// waitsAt tells whether a device waits for somebody who opens that node.
func (w *world) waitsAt(module, name string) bool {
	return slices.ContainsFunc(w.journal.Asleep, func(s control.Sleeper) bool {
		return s.Module == module && s.Made && slices.ContainsFunc(s.Devices, func(d string) bool { return nodeOf(d).Name == name })
	})
}

// nodeChanges takes in that the kernel makes a device's node, or removes it.
func (w *world) nodeChanges(devpath string, bound bool) {
	name := nodeOf(devpath).Name
	switch {
	case bound && w.nodes[name] == "":
		w.nodes[name] = "kernel"
	case !bound && w.nodes[name] == "kernel":
		delete(w.nodes, name)
	}
}

func (w *world) lookOpen(e core.LookOpen) core.Opened {
	answer := core.Opened{Module: e.Module}
	for _, o := range e.Openings {
		if slices.ContainsFunc(e.Devices, func(d string) bool { return nodeOf(d).Name == o.Name && w.kernel.Driver(d) != "" }) {
			answer.Works = append(answer.Works, o.Alias)
		}
	}
	return answer
}

// lacks tells whether neither a node is there nor its device.
func (w *world) lacks(o control.Opening) bool {
	return w.nodes[o.Name] == "" && !w.isBound(o)
}

func (w *world) isBound(o control.Opening) bool {
	return slices.ContainsFunc(w.sortedPresent(), func(d fake.Device) bool { return nodeOf(d.Path).Name == o.Name && w.kernel.Driver(d.Path) != "" })
}

// hide takes nodes away.
func (w *world) hide(e core.HideNodes) {
	for _, o := range e.Openings {
		if !w.isBound(o) {
			delete(w.nodes, o.Name)
		}
	}
}

// tear has another device take the number of one whose driver sleeps, and go: the
// kernel removes the node, if it has made it.
func (w *world) tear(d fake.Device) {
	name := nodeOf(d.Path).Name
	if w.sleeperOf(d.Path) == "" || w.kernel.Driver(d.Path) != "" || w.nodes[name] != "kernel" {
		return
	}
	delete(w.nodes, name)
	if w.machine != nil {
		w.tell(core.Gone{Path: "/devices/other/" + name})
	}
}

// open is somebody's open() of a device's node.
func (w *world) open(d fake.Device) {
	if _, there := w.present[d.Path]; !there {
		return
	}
	if w.kernel.Driver(d.Path) != "" {
		w.holdOpen(d)
		return
	}
	if w.nodes[nodeOf(d.Path).Name] == "" || !w.helping || w.isDeaf(w.sleeperOf(d.Path)) {
		return // ENOENT or ENXIO
	}
	w.lastAsker++
	w.openers[w.lastAsker] = opener{d, w.now, w.sleeperOf(d.Path)}
	w.tell(core.Asked{ID: w.lastAsker, Request: control.WakeRequest{Name: nodeOf(d.Path).Alias}})
}

// holdOpen keeps a device open for a while.
func (w *world) holdOpen(d fake.Device) {
	module := w.kernel.Driver(d.Path)
	w.used[d.Path] = true
	w.kernel.Use(module, 1)
	w.nodeUsed(module)
	w.after(time.Duration(w.rng.IntN(30))*time.Second, func() {
		w.kernel.Use(module, -1)
		w.nodeUsed(module)
	})
}

// nodeUsed has the daemon be told that somebody has opened or closed a node, if it has
// asked for that.
func (w *world) nodeUsed(module string) {
	if w.watched[module] {
		delete(w.watched, module)
		w.afterInLife(w.soon(), func() { w.tell(core.NodeUsed{Module: module}) })
	}
}

// openerAnswered holds what somebody is told who has opened a device against what
// there is: a device that is there, and whose driver can be had, opens.
func (w *world) openerAnswered(r core.Reply) bool {
	o, waits := w.openers[r.ID]
	if !waits {
		return false
	}
	delete(w.openers, r.ID)
	woken, _ := r.Value.(control.Woken)
	driver := w.kernel.Driver(o.device.Path)
	appeared, there := w.appears[o.device.Path], w.present[o.device.Path].Path != ""
	same := there && appeared <= o.since
	switch {
	case woken.Handled && same && driver == "" && !w.touched[o.module] && !w.letGo[o.device.Path]:
		w.violate("%s is said to open, and has no driver", o.device.Path)
	case woken.Handled && same && driver != "":
		w.holdOpen(o.device)
	case !woken.Handled && same && o.module != "" && w.reliable(o.module) && w.changed+longestNews < o.since && w.began+longestNews < o.since:
		w.violate("%s, opened at %v, does not open: %v %+v", o.device.Path, o.since, r.Err, r.Value)
	}
	if late := w.now - o.since; late > 15*time.Second {
		w.violate("the open() of %s took %v", o.device.Path, late)
	}
	return true
}

// reliable tells whether nothing that people or faults did keeps a module from
// coming back.
func (w *world) reliable(name string) bool {
	return !slices.ContainsFunc(append(w.board.closure(*w.board.module(name)), name), func(need string) bool {
		m := w.board.module(need)
		return !w.board.sound(need) || w.board.commands[need] != "" || w.touched[need] || w.unlucky[need] || w.badly[need] || w.busy[need] ||
			m.Probe == fake.Forever || m.Init > time.Second || m.ProbeErr != 0 || m.Firmware != "" || m.Exit > 0 || m.ExitOops || m.NoExit
	}) && !w.isBusyProbing()
}

// isBusyProbing tells whether any probe hangs, for which others may wait.
func (w *world) isBusyProbing() bool {
	return slices.ContainsFunc(w.board.modules, func(m fake.Module) bool {
		return m.Probe == fake.Forever || m.Init == fake.Forever || m.Exit == fake.Forever
	})
}

// sleeperOf names the module that sleeps of a device, by what is written down.
func (w *world) sleeperOf(devpath string) string {
	for _, s := range w.journal.Asleep {
		if slices.Contains(s.Devices, devpath) {
			return s.Module
		}
	}
	return ""
}

// sleeps tells whether a device has no driver because that sleeps, and can wake.
func (w *world) sleeps(devpath string) bool {
	for devpath != "." && devpath != "/" {
		if w.sleeperOf(devpath) != "" && w.nodes[nodeOf(devpath).Name] != "" && w.kernel.Driver(devpath) == "" {
			return true
		}
		devpath = path.Dir(devpath)
	}
	return false
}

// hasSlept tells whether a module sleeps, or was put to sleep: another driver may have
// taken its device since.
func (w *world) hasSlept(name string) bool {
	_, out := w.left[name]
	return out || w.hasSleeper(name)
}

// hasSleeper tells whether a module sleeps, or goes with one that does.
func (w *world) hasSleeper(name string) bool {
	set := w.board.set(w.t, w.says, true)
	for _, s := range w.journal.Asleep {
		if s.Module == name || slices.Contains(w.board.closure(*w.board.module(s.Module)), name) {
			return true
		}
		for _, d := range w.was { // one that has gone may be awaited yet
			for _, path := range s.Devices {
				if d.Path == path || len(d.Path) > len(path) && d.Path[:len(path)+1] == path+"/" {
					for _, step := range set.Decide(asDevice(d)).Steps {
						if step.Module == name {
							return true
						}
					}
				}
			}
		}
	}
	return false
}

// checkFall holds the taking out of a module that sleeps against the promises: who
// has used it when somebody looked goes on, and its devices have placeholders.
func (w *world) checkFall(e core.Unload) {
	if w.pinned[e.Name] {
		w.violate("%s is taken out, and pinned", e.Name)
	}
	if !slices.Contains(w.journal.Unloading, e.Name) {
		w.violate("%s is taken out, which is not written down: %q", e.Name, w.journal.Unloading)
	}
	for _, d := range w.sortedPresent() {
		if w.kernel.Driver(d.Path) != e.Name || w.appears[d.Path]+longestNews > w.now {
			continue
		}
		if w.nodes[nodeOf(d.Path).Name] != "daemon" {
			w.violate("%s goes to sleep, and %s has no placeholder", e.Name, d.Path)
		}
		if w.kernel.InUse(d.Path) && w.useBegan[d.Path] < w.surveyed[e.Name] {
			w.violate("%s goes to sleep, and %s is in use since %v", e.Name, d.Path, w.useBegan[d.Path])
		}
	}
}

// checkSleepers: whatever sleeps wakes when somebody opens it, nobody waits for
// ever, and of what has gone no node is left.
func (w *world) checkSleepers() {
	devices, _ := w.ask(control.DevicesRequest{}).([]control.Device)
	any := false
	for _, d := range devices {
		if d.Result != control.Asleep {
			continue
		}
		any = true
		if w.nodes[nodeOf(d.Path).Name] == "" && !w.isDeaf(w.sleeperOf(d.Path)) {
			w.violate("%s sleeps, and nobody could wake it: it has no node", d.Path)
		}
		if module := w.sleeperOf(d.Path); w.isDeaf(module) && w.reliable(module) {
			w.violate("%s sleeps, and nobody could wake it: %s is in", d.Path, w.must[module])
		}
	}
	leaving := slices.ContainsFunc(w.board.modules, func(m fake.Module) bool { return w.isGoing(m.Name) })
	if any != w.helping && !(w.helping && leaving) {
		w.violate("something sleeps: %v; the kernel asks the daemon: %v", any, w.helping)
	}
	for id, o := range w.openers {
		w.violate("%d waits in an open() of %s since %v", id, o.device.Path, o.since)
	}
	for _, d := range w.board.devices {
		name := nodeOf(d.Path).Name
		_, there := w.present[d.Path]
		if w.isMade(d.Path) && there && !w.aside[name] {
			continue
		}
		if made := w.nodes[name]; !there && made != "" && !leaving || made == "daemon" && !w.isStuck(d.Path) || w.aside[name] && !w.isStuck(d.Path) {
			w.violate("%s is there: %v; the node there is the %s's, and one is aside: %v", d.Path, there, made, w.aside[name])
		}
	}
}

// isMade tells whether the nodes of a device were made by the daemon.
func (w *world) isMade(devpath string) bool {
	return slices.ContainsFunc(w.journal.Asleep, func(s control.Sleeper) bool {
		left := slices.ContainsFunc(s.Openings, func(o control.Opening) bool { return o.Name == nodeOf(devpath).Name })
		return s.Made && (slices.Contains(s.Devices, devpath) || left)
	})
}

// isStuck tells whether the driver of a device never comes out, or in.
func (w *world) isStuck(devpath string) bool {
	module := w.coverer[nodeOf(devpath).Name]
	return module != "" && w.isGoing(module)
}

func asDevice(d fake.Device) rules.Device { return rules.Device{Path: d.Path, Modalias: d.Modalias} }
