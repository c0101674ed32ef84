package core_test

import (
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kernel/fake"
)

// planActions plans what people do to the board.
func (w *world) planActions() {
	for range 1 + w.rng.IntN(3) {
		w.after(time.Duration(w.rng.IntN(5_000))*time.Millisecond, w.waitForSettled)
	}
	horizon := 20_000
	if w.rng.IntN(3) == 0 {
		horizon = 400_000 // long enough for modules to go
	}
	for range 2 + w.rng.IntN(12) {
		at := time.Duration(w.rng.IntN(horizon)) * time.Millisecond
		if w.rng.IntN(3) == 0 {
			at /= 20 // in the crowd of the coldplug
		}
		action := w.randomAction()
		w.after(at, action)
	}
	if !w.sleepy {
		return
	}
	for range 20 {
		d := w.board.devices[w.rng.IntN(len(w.board.devices))]
		at := time.Duration(20_000+w.rng.IntN(400_000)) * time.Millisecond
		switch w.rng.IntN(8) {
		case 0:
			w.after(at, func() { w.use(d.Path) })
		case 1:
			w.after(at, func() { w.kernel.Unplug(w.now, d.Path) })
			w.after(at+time.Duration(w.rng.IntN(30))*time.Second, func() { w.plug(d) })
		default:
			w.after(at, func() { w.open(d) })
		}
	}
}

// planDays plans what people do to the board for so many days: some times a day they
// use a device, or pull it out for a while, and now and then kmodd ends.
func (w *world) planDays(days int) {
	w.days = days
	w.after(7*time.Minute, func() { // all of them may sleep from now on
		w.says.sleeping = nil
		for _, m := range w.board.modules {
			w.says.sleeping = append(w.says.sleeping, m.Name)
		}
		w.newRules()
	})
	for range 8 * days {
		d := w.board.devices[w.rng.IntN(len(w.board.devices))]
		at := time.Duration(w.rng.Int64N(int64(days) * int64(24*time.Hour)))
		switch w.rng.IntN(16) {
		case 0, 1:
			w.after(at, func() { w.use(d.Path) })
		case 2, 3:
			w.after(at, func() { w.kernel.Unplug(w.now, d.Path) })
			w.after(at+time.Duration(w.rng.Int64N(int64(8*time.Hour))), func() { w.plug(d) })
		case 4:
			w.after(at, w.handOver)
		case 5:
			w.after(at, w.kill)
		case 6:
			w.after(at, func() { w.tear(d) })
		default:
			w.after(at, func() { w.open(d) })
		}
	}
}

func (w *world) randomAction() func() {
	d := w.board.devices[w.rng.IntN(len(w.board.devices))]
	m := w.board.modules[w.rng.IntN(len(w.board.modules))].Name
	switch w.rng.IntN(28) {
	case 0, 1, 2:
		return func() { w.plug(d) }
	case 3, 4:
		return func() { w.kernel.Unplug(w.now, d.Path) }
	case 5:
		return w.replugAll
	case 6:
		return func() { w.takeOut(m) }
	case 7:
		return func() { w.touched[m] = true; w.kernel.Insert(w.now, m+".ko", "") }
	case 17, 18:
		return func() { w.deniedAt[d.Modalias] = w.now; w.toggle(&w.says.denied, d.Modalias) }
	case 19:
		if len(w.board.prefers[d.Modalias]) > 0 {
			return func() { w.toggle(&w.says.preferred, d.Modalias) }
		}
	case 20, 21:
		return func() { w.use(d.Path) }
	case 24, 25:
		return func() { w.open(d) }
	case 26:
		return func() { w.toggle(&w.says.sleeping, m) }
	case 22:
		return func() { w.pin(m, false) }
	case 23:
		return func() { w.pin(m, true) }
	case 11, 12:
		return func() { w.insertBadBuild(m) }
	case 8:
		// Refused late: after its dependencies are there.
		return func() { w.touched[m] = true; w.kernel.Insert(w.now, m+".ko", "debug=nonsense") }
	case 9:
		return func() { w.touched[m] = true; w.toggle(&w.says.blacklist, m) }
	case 10:
		return func() { w.kill() }
	case 14, 15:
		return w.installFirmware
	case 13:
		return func() { w.handOver() }
	}
	return func() { w.surprise(m) }
}

// insertBadBuild loads another build of a module by hand, once in a world: an
// EBUSY that comes twice is taken for the driver's own, and rightly so.
func (w *world) insertBadBuild(name string) {
	if !w.badly[name] {
		w.badly[name], w.touched[name] = true, true
		w.kernel.Insert(w.now, "bad/"+name+".ko", "")
	}
}

// replugAll makes more uevents than the socket holds.
func (w *world) replugAll() {
	for _, d := range w.board.devices {
		w.kernel.Unplug(w.now, d.Path)
	}
	w.after(time.Millisecond, func() {
		for _, d := range w.board.devices {
			w.plug(d)
		}
	})
}

func (w *world) plug(d fake.Device) {
	if _, there := w.present[d.Path]; !there {
		w.kernel.Plug(w.now, d)
	}
}

// installFirmware installs what drivers need. Whoever looks out for a file
// notices.
func (w *world) installFirmware() {
	for _, m := range w.board.modules {
		if m.Firmware == "" {
			continue
		}
		w.kernel.Install(m.Firmware)
		if slices.Contains(w.awaited, m.Firmware) {
			w.foundFirmware(m.Firmware, true)
		}
	}
}

// takeOut is an rmmod.
func (w *world) takeOut(name string) {
	if w.kernel.State(name) != kernel.Live {
		return
	}
	w.touched[name] = true
	w.kernel.Remove(w.now, name)
	w.removed[name] = w.now
}

// pin has a module stay, or go again.
func (w *world) pin(name string, unpin bool) {
	w.lastAsker++
	w.pinners[w.lastAsker] = pinner{name, unpin}
	w.tell(core.Asked{ID: w.lastAsker, Request: control.PinRequest{Module: name, Unpin: unpin}})
	if _, waits := w.pinners[w.lastAsker]; waits {
		w.violate("nobody was told that %s is pinned, or not", name)
	}
}

// A pinner waits until a module is pinned, or not any more.
type pinner struct {
	name  string
	unpin bool
}

// use has somebody use a device for a while.
func (w *world) use(path string) {
	w.used[path] = true
	w.kernel.UseDevice(path, true)
	w.useBegan[path] = w.now
	w.after(time.Duration(w.rng.IntN(20))*time.Second, func() { w.kernel.UseDevice(path, false) })
}

// surprise takes a module out and puts it in again at once.
func (w *world) surprise(name string) {
	w.takeOut(name)
	w.after(w.soon(), func() { w.kernel.Insert(w.now, name+".ko", "") })
}

// toggle changes the rules.
func (w *world) toggle(list *[]string, word string) {
	if i := slices.Index(*list, word); i >= 0 {
		*list = slices.Delete(slices.Clone(*list), i, i+1)
	} else {
		*list = append(slices.Clone(*list), word)
	}
	w.newRules()
}

// kill ends the daemon as kill -9 does and starts its successor.
func (w *world) kill() { w.start(nil) }

// handOver ends the daemon as SIGTERM does: its successor is told what was ours.
func (w *world) handOver() {
	modules, _ := w.ask(control.ModulesRequest{}).([]control.Module)
	w.start(slices.DeleteFunc(modules, func(m control.Module) bool {
		return !m.Ours || m.State != control.Live || w.kernel.State(m.Name) != kernel.Live
	}))
}

// waitForSettled waits until nothing is pending, now and then not for long.
func (w *world) waitForSettled() {
	w.lastAsker++
	id := w.lastAsker
	w.settlers[id] = w.now
	w.tell(core.Asked{ID: id, Request: control.SettleRequest{}})
	if w.rng.IntN(4) == 0 {
		w.afterInLife(w.soon(), func() {
			w.tell(core.Withdrawn{ID: id})
			if _, waits := w.settlers[id]; waits {
				w.violate("%d has left and is kept", id)
			}
		})
	}
}
