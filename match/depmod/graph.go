package depmod

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A CycleError says that modules need one another, so that none of them can be
// loaded first.
type CycleError struct {
	// Cycles are names of modules, each of which needs the next one, and the last the
	// first. Every module that is in a cycle is in one of these.
	Cycles [][]string
	// Modules is how many modules are in cycles.
	Modules int
}

var _ error = (*CycleError)(nil)

func (e *CycleError) Error() string {
	return fmt.Sprintf("%d modules need one another: %s", e.Modules, strings.Join(e.Lines(), "; "))
}

// Lines are the cycles in words: a -> b -> a.
func (e *CycleError) Lines() []string {
	lines := make([]string, len(e.Cycles))
	for i, cycle := range e.Cycles {
		lines[i] = strings.Join(cycle, " -> ") + " -> " + cycle[0]
	}
	return lines
}

// connect finds for each module those that it needs, and tells of what is
// missing.
func (t *Tree) connect(modules []*module, s *symbols, l Listener) {
	seen := make([]int, len(modules)) // by a module's index, the last one that needed it, counted from 1
	for _, m := range modules {
		for _, w := range m.wants {
			o := s.offers[w.symbol]
			t.inspect(m, w, s, l)
			if o.by == nil || seen[o.by.index] == m.index+1 {
				continue
			}
			seen[o.by.index] = m.index + 1
			m.needs = append(m.needs, o.by)
			o.by.users++
			if l.Need != nil {
				l.Need(m.path, s.names[w.symbol], o.by.path)
			}
		}
		m.wants = nil
	}
}

// inspect tells if nothing, or only another version, is there for a want.
func (t *Tree) inspect(m *module, w want, s *symbols, l Listener) {
	if !t.Missing || w.weak {
		return
	}
	switch o := s.offers[w.symbol]; {
	case !o.known:
		l.say(Warning, "%s needs unknown symbol %s", m.path, s.names[w.symbol])
	case t.Kernel.versions && o.crc != w.crc:
		l.say(Warning, "%s disagrees about version of symbol %s", m.path, s.names[w.symbol])
	}
}

// arrange ranks the modules, and sorts what each needs by rank.
func arrange(modules []*module) error {
	left := make([]int, len(modules)) // users that have no rank yet
	var ready []*module
	for i, m := range modules {
		if left[i] = m.users; m.users == 0 {
			ready = append(ready, m)
		}
	}
	ranked := 0
	for len(ready) > 0 {
		m := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		m.sorted = ranked
		ranked++
		for _, n := range m.needs {
			if left[n.index]--; left[n.index] == 0 {
				ready = append(ready, n)
			}
		}
	}
	if ranked < len(modules) {
		return cycles(modules)
	}
	for _, m := range modules {
		slices.SortFunc(m.needs, byRank)
	}
	return nil
}

func byRank(a, b *module) int { return cmp.Compare(a.sorted, b.sorted) }

// A closure finds all that a module needs.
type closure struct {
	seen []int // by index, the last module for which one was found, counted from 1
	all  []*module
}

func newClosure(modules []*module) *closure { return &closure{seen: make([]int, len(modules))} }

// of returns what a module needs, and what that needs, in the order of their
// rank: the reverse of that of loading. It is good until the next call.
func (c *closure) of(m *module) []*module {
	c.all = c.all[:0]
	c.add(m, m.index+1)
	slices.SortFunc(c.all, byRank)
	return c.all
}

func (c *closure) add(m *module, mark int) {
	for _, n := range m.needs {
		if c.seen[n.index] != mark {
			c.seen[n.index] = mark
			c.all = append(c.all, n)
			c.add(n, mark)
		}
	}
}

// cycles names the cycles among some modules, the shortest through each module
// that none of the others goes through.
func cycles(modules []*module) error {
	e := new(CycleError)
	named := make(map[*module]bool)
	for _, m := range modules {
		if named[m] {
			continue
		}
		cycle := cycleThrough(m)
		for _, n := range cycle {
			named[n] = true
		}
		if len(cycle) > 0 {
			e.Cycles = append(e.Cycles, names(cycle))
		}
	}
	e.Modules = len(named)
	return e
}

// cycleThrough finds the shortest way from a module to itself, nil if there is
// none.
func cycleThrough(m *module) []*module {
	from := map[*module]*module{}
	for next := []*module{m}; len(next) > 0; next = next[1:] {
		for _, n := range next[0].needs {
			if n == m {
				return wayTo(next[0], m, from)
			}
			if from[n] == nil {
				from[n] = next[0]
				next = append(next, n)
			}
		}
	}
	return nil
}

// wayTo is the way to a module from the first one.
func wayTo(m, first *module, from map[*module]*module) []*module {
	way := []*module{m}
	for ; m != first; m = from[m] {
		way = append(way, from[m])
	}
	slices.Reverse(way)
	return way
}

func names(modules []*module) []string {
	names := make([]string, len(modules))
	for i, m := range modules {
		names[i] = m.name
	}
	return names
}
