package match

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/kmodd/kmodd/match/index"
)

// An Origin is where an answer is from: a file, and a line of it if it is text.
type Origin struct {
	File string
	Line int // 0 for an index
}

// A Hit is one module that has an alias which matches.
type Hit struct {
	Module string
	Rule   string // as a line of modules.alias: alias PATTERN MODULE
	Origin

	priority uint32
}

// A Module is what modules.dep says of one module.
type Module struct {
	Name string
	File string // absolute path
	// Needs names the modules that must be in the kernel before it, in the
	// order in which they can be put in: all of them, theirs included.
	Needs []string
	Origin
}

// Module returns the module with exactly this name, in the form of
// modalias.ModuleName.
func (t *Tables) Module(name string) (m Module, ok bool) {
	var text string
	at, ok := t.modules.exact(name, func(v index.Value) { text = string(v.Text) })
	if !ok {
		return m, false
	}
	m.Name, m.Origin = name, at
	file, needs, _ := strings.Cut(text, ":")
	m.File = t.path(file)
	for _, need := range slices.Backward(strings.Fields(needs)) {
		m.Needs = append(m.Needs, moduleOf(need))
	}
	return m, true
}

// path makes a path in modules.dep absolute.
func (t *Tables) path(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return t.dir + "/" + file
}

// Builtin reports whether the kernel itself has the module of this name.
func (t *Tables) Builtin(name string) (Origin, bool) {
	return t.builtins.exact(name, func(index.Value) {})
}

// Aliases appends to dst the modules with an alias that matches name, in the
// order in which they are to be loaded, each once. Name must have the form of
// modalias.Normalize. What it allocates is kept in the hits.
func (t *Tables) Aliases(dst []Hit, name string) []Hit { return t.aliases.search(dst, name) }

// Symbols is Aliases for names of the form symbol:NAME.
func (t *Tables) Symbols(dst []Hit, name string) []Hit { return t.symbols.search(dst, name) }

// BuiltinAliases is Aliases for modules that are part of the kernel.
func (t *Tables) BuiltinAliases(dst []Hit, name string) []Hit {
	return t.builtinAliases.search(dst, name)
}

// exact calls visit with the first value of a key.
func (b *table) exact(key string, visit func(index.Value)) (at Origin, ok bool) {
	c := collectors.Get().(*collector)
	s := b.look(func(x *index.Index) (err error) {
		c.values, err = x.Lookup(c.values[:0], key)
		if ok = err == nil && len(c.values) > 0; ok {
			visit(c.values[0])
			at.Line = int(c.values[0].Priority)
		}
		return err
	})
	c.release()
	at.File = s.path
	if s.mapping != nil {
		at.Line = 0
	}
	return at, ok
}

// sortByPriority keeps the order of hits with equal priority. There are a handful
// at most, for which a general sort would be 6 kB of program and no faster.
func sortByPriority(hits []Hit) {
	for i := range hits {
		for j := i; j > 0 && hits[j].priority < hits[j-1].priority; j-- {
			hits[j], hits[j-1] = hits[j-1], hits[j]
		}
	}
}

func (b *table) search(dst []Hit, name string) []Hit {
	c := collectors.Get().(*collector)
	s := b.look(func(x *index.Index) error {
		c.hits = c.hits[:0]
		return x.SearchFunc(name, c.visit)
	})
	// Of equal priority libkmod has the one first that it found last.
	slices.Reverse(c.hits)
	sortByPriority(c.hits)
	start := len(dst)
	for _, h := range c.hits {
		if slices.ContainsFunc(dst[start:], func(d Hit) bool { return d.Module == h.Module }) {
			continue
		}
		h.File = s.path
		if s.mapping == nil {
			h.Line = int(h.priority)
		}
		dst = append(dst, h)
	}
	c.release()
	return dst
}

// A collector is the memory of one look-up, used again by a later one.
type collector struct {
	values []index.Value
	hits   []Hit
	visit  func(pattern []byte, v index.Value) // fills hits
}

var collectors = sync.Pool{New: func() any {
	c := new(collector)
	c.visit = c.collect
	return c
}}

func (c *collector) release() {
	clear(c.values)
	clear(c.hits)
	collectors.Put(c)
}

// collect makes a hit, with one string for all that it says.
func (c *collector) collect(pattern []byte, v index.Value) {
	const alias = "alias "
	var rule strings.Builder
	rule.Grow(len(alias) + len(pattern) + 1 + len(v.Text))
	rule.WriteString(alias)
	rule.Write(pattern)
	rule.WriteByte(' ')
	rule.Write(v.Text)
	h := Hit{Rule: rule.String(), priority: v.Priority}
	h.Module = h.Rule[len(alias)+len(pattern)+1:]
	c.hits = append(c.hits, h)
}
