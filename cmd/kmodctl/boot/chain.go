package boot

import (
	"path"
	"slices"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
)

// A Kind says what a link of a chain is.
type Kind string

// The kinds of links.
const (
	Kernel  Kind = "kernel"  // the kernel, and what ran before kmodd
	Tables  Kind = "tables"  // kmodd read module tables and configuration
	Scan    Kind = "scan"    // sysfs was scanned
	Wanting Kind = "wanted"  // it was wanted some time after the scan
	Coming  Kind = "load"    // a module came in
	Appears Kind = "appears" // a device appeared
	Probing Kind = "probe"   // a driver that was in took a device
)

// A Link is one of a chain. At is when it was done, and Took how long that was after the
// link before it.
type Link struct {
	Kind     Kind
	At, Took time.Duration
	Load     *Load   // of Coming, and of Probing and Appears the one whose probe it was; may be nil
	Device   *Device // of Appears, Probing; of Wanting and of Coming the one it was wanted for; may be nil
	// Of Coming, what Took is made of.
	Waited, Reading, Init time.Duration
	// Behind says what had the turn that a load waited for, "" if it hardly waited.
	Behind string
}

// hardly is as long as a load may wait without being said to wait for its turn.
const hardly = 10 * time.Millisecond

// headStart is for how long critical loads let no other begin.
const headStart = 500 * time.Millisecond

// A walk goes back through a boot.
type walk struct {
	*Report
	links   []Link // the last one first
	visited map[[2]any]bool
}

// Chain tells what the boot had to wait for: the last critical device, or if there is
// none the last of all that was not held back; nothing if nothing was loaded. The links
// come in the order of time.
func (r *Report) Chain() []Link {
	w := &walk{Report: r, visited: make(map[[2]any]bool)}
	device, load := r.lastOf(func(l *Load) bool { return l.Stage == control.Critical })
	if device == nil && load == nil {
		device, load = r.lastOf(func(l *Load) bool { return l.Stage != control.Late })
	}
	switch {
	case device != nil:
		w.bound(device)
	case load != nil:
		w.load(load, load.ready())
	default:
		return nil
	}
	return w.inOrder()
}

// lastOf is what was done last for loads of a kind: a device that was bound, or a module
// that was live.
func (r *Report) lastOf(is func(*Load) bool) (device *Device, load *Load) {
	last := time.Duration(0)
	for _, l := range r.Loads {
		if is(l) && !l.Earlier && l.Live > last {
			load, last = l, l.Live
		}
	}
	for _, d := range r.Devices {
		if d.Load != nil && is(d.Load) && !d.Load.Earlier && d.Bound >= last {
			device, last = d, d.Bound
		}
	}
	return device, load
}

// add adds a link before those that there are. It returns false if it was met before for
// the same cause, as nothing that happened is.
func (w *walk) add(l Link, cause any) bool {
	key := [2]any{l.Kind, cause}
	if w.visited[key] {
		return false
	}
	w.visited[key] = true
	w.links = append(w.links, l)
	return true
}

// bound goes back from a device that a driver took.
func (w *walk) bound(d *Device) {
	l := d.Load
	switch {
	case l == nil || d.Seen > l.ready(): // the driver was there
		if w.add(Link{Kind: Probing, At: d.Bound, Device: d, Load: l}, d) {
			w.appeared(d)
		}
	case d.Bound > l.ready():
		if w.add(Link{Kind: Probing, At: d.Bound, Device: d, Load: l}, d) {
			w.load(l, l.ready())
		}
	default:
		w.load(l, d.Bound)
	}
}

// load goes back from a module that was live, or whose init had come so far.
func (w *walk) load(l *Load, until time.Duration) {
	before, at := w.lastBefore(l), l.Wanted
	if before != nil {
		at = before.ready()
	}
	link := Link{Kind: Coming, At: until, Load: l, Device: w.devices[l.For]}
	link.Waited = max(l.Began-at, 0)
	link.Reading = min(l.Reading(), max(until-l.Began, 0))
	link.Init = max(until-l.Began-link.Reading, 0)
	if link.Waited > hardly {
		link.Behind = w.behind(l, at)
	}
	if !w.add(link, l) {
		return
	}
	if before != nil {
		w.load(before, before.ready())
		return
	}
	w.wanted(l)
}

// lastBefore is the last to end of what a load had to wait for, nil if that was before it
// was wanted.
func (w *walk) lastBefore(l *Load) (last *Load) {
	at := l.Wanted
	for _, name := range slices.Concat(l.Needs, l.After) {
		if other := w.loads[name]; other != nil && other.Began != 0 && other.ready() > at && other.ready() <= l.Began {
			last, at = other, other.ready()
		}
	}
	return last
}

// behind says whose turn it was while a load waited that needed nothing more: that of
// critical ones, or the one whose end made room.
func (w *walk) behind(l *Load, since time.Duration) string {
	var freed *Load
	for _, other := range w.Loads {
		if other == l || other.Began == 0 || other.Began >= l.Began {
			continue
		}
		if l.Stage != control.Critical && other.Stage == control.Critical && other.Began+headStart > since {
			return "critical drivers"
		}
		if end := other.ready(); end > since && end <= l.Began && (freed == nil || end >= freed.ready()) {
			freed = other
		}
	}
	if freed == nil {
		return ""
	}
	return freed.Name
}

// wanted goes back from the moment in which a load was wanted.
func (w *walk) wanted(l *Load) {
	d := w.devices[l.For]
	switch {
	case d != nil && d.Seen > w.Scanned && l.Wanted-d.Seen <= hardly:
		w.appeared(d)
	case l.Wanted > w.Scanned+hardly:
		w.add(Link{Kind: Wanting, At: l.Wanted, Load: l, Device: d}, l)
		w.start(w.Scanned)
	default:
		w.start(l.Wanted)
	}
}

// appeared goes back from a device that appeared. What was there when sysfs was scanned
// was found by that.
func (w *walk) appeared(d *Device) {
	if d.Seen <= w.Scanned {
		w.start(d.Seen)
		return
	}
	link := Link{Kind: Appears, At: d.Seen, Device: d}
	for at := path.Dir(d.Path); at != "/" && at != "."; at = path.Dir(at) {
		parent := w.devices[at]
		if parent == nil {
			continue
		}
		link.Load = parent.Load
		within := parent.Load != nil && parent.Load.Began <= d.Seen && (parent.Bound == 0 || parent.Bound > d.Seen)
		switch {
		case parent.Seen < parent.Bound && parent.Bound <= d.Seen:
			if w.add(link, d) {
				w.bound(parent)
			}
			return
		case within && parent.Seen > parent.Load.ready():
			if w.add(link, d) {
				w.appeared(parent)
			}
			return
		case within:
			if w.add(link, d) {
				w.load(parent.Load, d.Seen)
			}
			return
		}
	}
	link.Load = nil
	w.add(link, d)
	w.start(w.Scanned)
}

// start goes back from a moment at which nothing had been loaded yet.
func (w *walk) start(at time.Duration) {
	if at > w.Scan && w.Scan != 0 {
		w.add(Link{Kind: Scan, At: at}, nil)
		at = w.Scan
	}
	if at > w.Started {
		w.add(Link{Kind: Tables, At: at}, nil)
		at = w.Started
	}
	w.add(Link{Kind: Kernel, At: at}, nil)
}

// inOrder is the walk in the order of time. What a report has in another order, of
// something that happened at once, takes no time.
func (w *walk) inOrder() []Link {
	slices.Reverse(w.links)
	at := time.Duration(0)
	for i := range w.links {
		l := &w.links[i]
		l.At = max(l.At, at)
		l.Took = l.At - at
		at = l.At
	}
	return w.links
}
