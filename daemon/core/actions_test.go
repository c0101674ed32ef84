package core_test

import (
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kernel/fake"
)

// planActions plans what people do to the board.
func (w *world) planActions() {
	for range 2 + w.rng.IntN(12) {
		at := time.Duration(w.rng.IntN(20_000)) * time.Millisecond
		if w.rng.IntN(3) == 0 {
			at /= 20 // in the crowd of the coldplug
		}
		action := w.randomAction()
		w.after(at, action)
	}
}

func (w *world) randomAction() func() {
	d := w.board.devices[w.rng.IntN(len(w.board.devices))]
	m := w.board.modules[w.rng.IntN(len(w.board.modules))].Name
	switch w.rng.IntN(14) {
	case 0, 1, 2:
		return func() { w.plug(d) }
	case 3, 4:
		return func() { w.kernel.Unplug(w.now, d.Path) }
	case 5:
		return w.replugAll
	case 6:
		return func() { w.takeOut(m) }
	case 7:
		return func() { w.kernel.Insert(w.now, m+".ko", "") }
	case 11, 12:
		return func() { w.kernel.Insert(w.now, "bad/"+m+".ko", "") }
	case 8:
		// Refused late: after its dependencies are there.
		return func() { w.kernel.Insert(w.now, m+".ko", "debug=nonsense") }
	case 9:
		return func() { w.toggleBlacklist(m) }
	case 10:
		return func() { w.kill() }
	}
	return func() { w.surprise(m) }
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

// takeOut is an rmmod.
func (w *world) takeOut(name string) {
	if w.kernel.State(name) != kernel.Live {
		return
	}
	w.kernel.Remove(w.now, name)
	w.removed[name] = w.now
}

// surprise takes a module out and puts it in again at once.
func (w *world) surprise(name string) {
	w.takeOut(name)
	w.after(w.soon(), func() { w.kernel.Insert(w.now, name+".ko", "") })
}

func (w *world) toggleBlacklist(name string) {
	if i := slices.Index(w.blacklist, name); i >= 0 {
		w.blacklist = slices.Delete(slices.Clone(w.blacklist), i, i+1)
	} else {
		w.blacklist = append(slices.Clone(w.blacklist), name)
	}
	w.newRules()
}

// kill ends the daemon as kill -9 does and starts its successor.
func (w *world) kill() { w.start() }
