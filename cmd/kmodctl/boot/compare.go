package boot

import (
	"cmp"
	"slices"
	"time"
)

// A Comparison is what two boots differ in.
type Comparison struct {
	Totals  []Total      `json:"totals"`
	Modules []Difference `json:"modules"` // of both, the largest difference first
	OnlyA   []string     `json:"only_a,omitempty"`
	OnlyB   []string     `json:"only_b,omitempty"`
}

// A Total is something about the whole of both boots: how long it took until something
// was done, 0 if that was not, or what all loads took together.
type Total struct {
	What string        `json:"what"`
	A    time.Duration `json:"a_ns"`
	B    time.Duration `json:"b_ns"`
	Sum  bool          `json:"sum,omitempty"` // it is of all loads together
}

// A Difference is how long a module's load took in both, without the wait for its turn,
// and which part of it differs most.
type Difference struct {
	Name string        `json:"name"`
	A    time.Duration `json:"a_ns"`
	B    time.Duration `json:"b_ns"`
	Most string        `json:"most,omitempty"` // "read", "init" or "probe"
}

// By is how much longer the second one took.
func (d Difference) By() time.Duration { return d.B - d.A }

// Compare tells what has become slower and faster from one boot to another.
func Compare(a, b *Report) Comparison {
	c := Comparison{Totals: totals(a, b), Modules: []Difference{}}
	for _, l := range a.Loads {
		switch other := b.loads[l.Name]; {
		case !l.counts():
		case other == nil || !other.counts():
			c.OnlyA = append(c.OnlyA, l.Name)
		default:
			c.Modules = append(c.Modules, Difference{Name: l.Name, A: l.Took(), B: other.Took(), Most: most(l, other)})
		}
	}
	for _, l := range b.Loads {
		if other := a.loads[l.Name]; l.counts() && (other == nil || !other.counts()) {
			c.OnlyB = append(c.OnlyB, l.Name)
		}
	}
	slices.Sort(c.OnlyA)
	slices.Sort(c.OnlyB)
	slices.SortFunc(c.Modules, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(y.By().Abs(), x.By().Abs()), cmp.Compare(x.Name, y.Name))
	})
	return c
}

// counts tells whether a load is one that the report's daemon has made.
func (l *Load) counts() bool { return l.Began != 0 && !l.Earlier }

// totals are those of two boots, from kmodd's beginning on: how long the kernel took is
// not of its doing, and stands by itself.
func totals(a, b *Report) (list []Total) {
	one, other := a.Stages(), b.Stages()
	until := func(what string, ofA, ofB time.Duration) {
		ofA, ofB = max(ofA-a.Started, 0), max(ofB-b.Started, 0)
		if ofA != 0 || ofB != 0 {
			list = append(list, Total{What: what, A: ofA, B: ofB})
		}
	}
	list = append(list, Total{What: "until kmodd began", A: a.Started, B: b.Started})
	until("from there until sysfs was scanned", a.Scanned, b.Scanned)
	until("until what is critical was there", one.Critical, other.Critical)
	until("until all was loaded that did not wait", one.Loaded, other.Loaded)
	until("until the last device of these was bound", one.Bound, other.Bound)
	until("until what was deferred was there", one.Deferred, other.Deferred)
	for _, part := range []struct {
		what string
		of   func(*Load) time.Duration
	}{{"waits of all loads", (*Load).Waited}, {"reading", (*Load).Reading}, {"init", (*Load).Init}, {"probes", (*Load).Probe}} {
		list = append(list, Total{What: part.what, A: a.sum(part.of), B: b.sum(part.of), Sum: true})
	}
	return list
}

// sum adds up a part of all loads.
func (r *Report) sum(part func(*Load) time.Duration) (sum time.Duration) {
	for _, l := range r.Loads {
		if l.counts() {
			sum += part(l)
		}
	}
	return sum
}

// most is the part in which two loads of a module differ most, "" if in none.
func most(a, b *Load) (name string) {
	most := time.Duration(0)
	for _, part := range []struct {
		name string
		by   time.Duration
	}{{"read", b.Reading() - a.Reading()}, {"init", b.Init() - a.Init()}, {"probe", b.Probe() - a.Probe()}} {
		if by := part.by.Abs(); by > most {
			name, most = part.name, by
		}
	}
	return name
}
