package depmod

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// longest is how long a line of the kernel's lists can be, with what ends it. A
// longer one is several to depmod (PATH_MAX).
const longest = 4095

// An order is the place of each module that modules.order has, by its path below
// the modules' directory, without what says that it is compressed. Places are
// counted from the end and negative, so that all others come after them.
type order map[string]int

// readOrder reads modules.order, whose lines are paths. A line without an end
// has all of it not count.
func readOrder(text string) (order, error) {
	places := make(order, strings.Count(text, "\n"))
	number := 0
	for line := range linesOf(text) {
		number++
		line, _, _ = strings.Cut(line, "\x00")
		if line == "" {
			continue
		}
		file, ended := strings.CutSuffix(line, "\n")
		if !ended {
			return nil, fmt.Errorf("line %d has no end, so nothing in it counts", number)
		}
		places[file] = number
	}
	for file := range places {
		places[file] -= number + 1
	}
	return places, nil
}

// linesOf are the lines of a text, with the breaks that end them.
func linesOf(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			for len(line) > longest {
				if !yield(line[:longest]) {
					return
				}
				line = line[longest:]
			}
			if !yield(line) {
				return
			}
		}
	}
}

// sorted are the modules that were found, in the order of modules.order. Others
// come after them, as depmod's hash table has them.
func (t *Tree) sorted(found map[string]string, places order) []*module {
	modules := make([]*module, 0, len(found))
	for name, file := range found {
		m := &module{name: name, path: file, listed: file}
		if below, ok := strings.CutPrefix(file, t.Dir+"/"); ok {
			m.listed = below
			m.place = places[uncompressed(below, len(name))]
		}
		m.bucket = hash(name) % moduleBuckets
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b *module) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.bucket, b.bucket), strings.Compare(a.name, b.name))
	})
	for i, m := range modules {
		m.index = i
	}
	return modules
}

// uncompressed is how modules.order lists a file: length is that of the module's
// name, and the extension is taken to be .ko.
func uncompressed(file string, length int) string {
	end := len(file) - len(path.Base(file)) + length + len(".ko")
	return file[:min(end, len(file))]
}
