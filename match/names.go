package match

import (
	"slices"

	"github.com/kmodd/kmodd/match/index"
)

// Installed returns the modules in modules.dep, sorted by name.
func (t *Tables) Installed() []Module {
	var modules []Module
	for _, name := range t.modules.keys() {
		if m, ok := t.Module(name); ok {
			modules = append(modules, m)
		}
	}
	return modules
}

// Builtins returns the names of the modules that are part of the kernel, sorted.
func (t *Tables) Builtins() []string { return t.builtins.keys() }

// keys returns the keys of a table, each once.
func (b *table) keys() []string {
	var keys []string
	b.look(func(x *index.Index) error {
		keys = keys[:0]
		return x.Each(func(key []byte, _ index.Value) { keys = append(keys, string(key)) })
	})
	slices.Sort(keys)
	return slices.Compact(keys)
}
