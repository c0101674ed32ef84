package depmod

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/match/kofile"
)

// A symbolID stands for the name of a symbol, of which each is held once.
type symbolID uint32

// symbols are all those that any module has or wants. Each reader of modules has
// its own, and they are put together when all is read.
type symbols struct {
	prefix byte
	ids    map[string]symbolID
	names  []string
	// last is which entered module was the last that wanted a symbol, by its ID.
	last    []int32
	entered int32

	offers []offer // by ID, when all modules are read
}

// An offer says who exports a symbol.
type offer struct {
	by    *module // nil for the kernel, or nobody
	known bool
	crc   uint64
}

func newSymbols(prefix byte) *symbols {
	return &symbols{prefix: prefix, ids: make(map[string]symbolID)}
}

// id is the ID of a name, which may be part of a longer text that is not to be
// kept.
func (s *symbols) id(name string) symbolID {
	id, known := s.ids[name]
	if !known {
		id = symbolID(len(s.names))
		name = strings.Clone(name)
		s.ids[name] = id
		s.names, s.last = append(s.names, name), append(s.last, 0)
	}
	return id
}

// bare is a name without what the architecture puts before it.
func (s *symbols) bare(name string) string {
	if s.prefix != 0 && name != "" && name[0] == s.prefix {
		return name[1:]
	}
	return name
}

// wanted is the name of the symbol that a module means. On 64-bit PowerPC
// functions have a dot before their name, which their exports don't have.
func (s *symbols) wanted(name string) string {
	return s.bare(strings.TrimPrefix(name, "."))
}

// enter enters what a module has and wants. Wanted is what it does not define,
// in the order of its table of symbols, and after that what only has a version.
func (s *symbols) enter(of kofile.Symbols, versions []kofile.Version, checks bool) ([]export, []want) {
	exports := make([]export, len(of.Exports))
	wants := make([]want, 0, len(of.Needs)+1) // of modules, module_layout only has a version
	var crcs map[string]uint64
	if checks {
		crcs = make(map[string]uint64, len(versions))
		for _, v := range slices.Backward(versions) { // the first of a name counts
			crcs[v.Name] = v.CRC
		}
	}
	for i, e := range of.Exports {
		exports[i] = export{s.id(s.bare(e.Name)), e.CRC}
	}
	s.entered++
	for _, n := range of.Needs {
		id := s.id(s.wanted(n.Name))
		s.last[id] = s.entered
		wants = append(wants, want{id, n.Weak, crcs[n.Name]})
	}
	for _, v := range versions {
		if id := s.id(s.wanted(v.Name)); s.last[id] != s.entered {
			wants = append(wants, want{id, false, v.CRC})
		}
	}
	return exports, wants
}

// adopt adds the names of others, and returns the new IDs by the old.
func (s *symbols) adopt(others *symbols) []symbolID {
	ids := make([]symbolID, len(others.names))
	for old, name := range others.names {
		ids[old] = s.id(name)
	}
	return ids
}

// offer notes who exports what: the kernel, and then the modules, of which the
// last one counts.
func (s *symbols) offer(kernel Kernel, modules []*module) {
	for name := range kernel.crcs {
		s.id(name)
	}
	s.offers = make([]offer, len(s.names))
	for name, crc := range kernel.crcs {
		s.offers[s.ids[name]] = offer{nil, true, crc}
	}
	for _, m := range modules {
		for _, e := range m.exports {
			s.offers[e.symbol] = offer{m, true, e.crc}
		}
	}
}

// An offered is a symbol that a module exports.
type offered struct {
	name   string
	by     *module
	bucket uint32
}

// ofModules are the symbols that modules export, in the order of depmod's hash
// table.
func (s *symbols) ofModules() []offered {
	var all []offered
	for id, o := range s.offers {
		name := s.names[id]
		if o.by != nil && !strings.Contains(name, "\n") { // it would be two lines
			all = append(all, offered{name, o.by, hash(name) % symbolBuckets})
		}
	}
	slices.SortFunc(all, func(a, b offered) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), strings.Compare(a.name, b.name))
	})
	return all
}
