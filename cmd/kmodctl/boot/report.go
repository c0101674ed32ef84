package boot

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
)

// A Report is a daemon's report, and what is concluded from it. Nothing of it is to be
// changed.
type Report struct {
	control.Boot
	Loads   []*Load   // in the order in which they began; what never did comes last
	Devices []*Device // by path

	loads   map[string]*Load
	devices map[string]*Device
}

// A Load is one of a report.
type Load struct {
	control.BootLoad
	// Devices are those that its driver took and that were there when it came in.
	Devices []*Device
	end     time.Duration
}

// A Device is one of a report.
type Device struct {
	control.BootDevice
	// Load is the one that brought its driver in, nil if nothing is known of that.
	Load *Load
}

// Parse reads a report that was saved as JSON.
func Parse(text []byte) (*Report, error) {
	var b control.Boot
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, err
	}
	if b.Loads == nil || b.Started == 0 {
		return nil, errors.New("it holds no report: kmodctl boot --json writes one")
	}
	return New(b), nil
}

// New works out what a report says.
func New(b control.Boot) *Report {
	r := &Report{Boot: b, loads: make(map[string]*Load), devices: make(map[string]*Device)}
	for _, t := range []*time.Duration{&r.First, &r.Started, &r.Now, &r.Scan, &r.Scanned, &r.Settled, &r.Complete} {
		*t = sane(*t)
	}
	for _, l := range b.Loads {
		for _, t := range []*time.Duration{&l.Wanted, &l.Began, &l.Read, &l.Called, &l.Live, &l.Returned} {
			*t = sane(*t)
		}
		load := &Load{BootLoad: l}
		r.Loads = append(r.Loads, load)
		r.loads[l.Name] = load
	}
	slices.SortStableFunc(r.Loads, func(a, b *Load) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.Name, b.Name))
	})
	for _, d := range b.Devices {
		d.Seen, d.Bound = sane(d.Seen), sane(d.Bound)
		device := &Device{BootDevice: d}
		r.Devices = append(r.Devices, device)
		r.devices[d.Path] = device
	}
	slices.SortStableFunc(r.Devices, func(a, b *Device) int { return strings.Compare(a.Path, b.Path) })
	r.matchUp()
	return r
}

// sane keeps what a file says within what can be reckoned with.
func sane(t time.Duration) time.Duration { return min(max(t, 0), 10*365*24*time.Hour) }

// order is when a load began, or late if it did not.
func order(l *Load) time.Duration {
	if l.Began == 0 {
		return 1 << 62
	}
	return l.Began
}

// matchUp finds out which load brought each device's driver in, and when each load ended.
func (r *Report) matchUp() {
	for _, d := range r.Devices {
		if d.Load = r.bringer(d); d.Load != nil && d.Seen <= d.Load.ready() {
			d.Load.Devices = append(d.Load.Devices, d)
		}
	}
	for _, l := range r.Loads {
		l.end = l.ready()
		for _, d := range l.Devices {
			l.end = max(l.end, d.Bound)
		}
	}
}

// bringer is the load of the module whose driver a device has: of those that match it
// the one that is called like the driver, else the one that began last before the
// device was bound. One that had its driver already has none.
func (r *Report) bringer(d *Device) (found *Load) {
	if d.Bound <= d.Seen {
		return nil
	}
	for _, name := range d.Modules {
		l := r.loads[name]
		switch {
		case l == nil || l.Began == 0 || l.Began > d.Bound || l.Live == 0:
		case name == strings.ReplaceAll(d.Driver, "-", "_"):
			return l
		case found == nil || l.Began >= found.Began:
			found = l
		}
	}
	return found
}

// ready is when a module was live, or could not be had, or for one on its way when it
// began.
func (l *Load) ready() time.Duration { return max(cmp.Or(l.Live, l.Returned), l.Began) }

// End is when a load had ended, with the probes of the devices that were there.
func (l *Load) End() time.Duration { return l.end }

// Waited is how long it was wanted until its turn came.
func (l *Load) Waited() time.Duration { return l.between(l.Wanted, l.Began) }

// Reading is how long it took until the kernel was asked: until a worker was there, had
// looked into the file and unpacked it.
func (l *Load) Reading() time.Duration { return l.between(l.Began, l.asked()) }

// Init is how long the kernel had the module until it was live, or refused.
func (l *Load) Init() time.Duration { return l.between(l.asked(), l.ready()) }

// Probe is how long it took after that until its devices were bound.
func (l *Load) Probe() time.Duration { return l.between(l.ready(), l.end) }

// Took is all that but the waiting.
func (l *Load) Took() time.Duration { return l.between(l.Began, l.end) }

func (l *Load) between(from, to time.Duration) time.Duration {
	if l.Began == 0 {
		return 0
	}
	return max(to-from, 0)
}

// asked is when the kernel was asked, as far as that is known.
func (l *Load) asked() time.Duration {
	return max(min(l.Called, l.ready()), l.Began)
}

// Stages are when the parts of the boot had ended, 0 for what there was not.
type Stages struct {
	Critical, Normal, Deferred time.Duration // the last load, with its probes
	Loaded                     time.Duration // the last module that is not deferred was live
	Bound                      time.Duration // the last device that waits for no deferred one
}

// Stages works them out, of what this daemon has done.
func (r *Report) Stages() (s Stages) {
	for _, l := range r.Loads {
		if !l.counts() {
			continue
		}
		stage := map[control.Stage]*time.Duration{control.Critical: &s.Critical, control.Late: &s.Deferred}[l.Stage]
		if stage == nil {
			stage = &s.Normal
		}
		*stage = max(*stage, l.end)
		if l.Stage != control.Late {
			s.Loaded = max(s.Loaded, l.Live)
		}
	}
	for _, d := range r.Devices {
		late := d.Load != nil && d.Load.Stage == control.Late || r.Complete != 0 && d.Seen > r.Complete
		if d.Bound > d.Seen && !late {
			s.Bound = max(s.Bound, d.Bound)
		}
	}
	return s
}

// Again tells whether this is not the first daemon of this boot, so that what it has
// loaded is not what the machine started with.
func (r *Report) Again() bool { return r.First != 0 && r.First < r.Started }

// Named is a device in short, as kmodctl why knows it: its subsystem and the last part
// of its path.
func (d *Device) Named() string { return strings.TrimSpace(d.Subsystem + " " + path.Base(d.Path)) }

// AskedBy says what a load was wanted for: a device in short, or the line or module.
func (r *Report) AskedBy(l *Load) string {
	switch d := r.devices[l.For]; {
	case d != nil:
		return d.Named()
	case strings.HasPrefix(l.For, "/devices/"):
		return path.Base(l.For) // which has gone
	}
	return l.For
}

// Device is the one that a load was wanted for, nil if that is none, or has gone.
func (r *Report) Device(l *Load) *Device { return r.devices[l.For] }

// Machine names the kmodd and the kernel that the report is of.
func (r *Report) Machine() string { return fmt.Sprintf("kmodd %s on Linux %s", r.Version, r.Kernel) }
