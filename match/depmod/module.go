package depmod

import (
	"iter"
	"strings"

	"github.com/kmodd/kmodd/match/kofile"
)

// A module is one that goes into the tables.
type module struct {
	name   string
	path   string // absolute
	listed string // as modules.dep has it: below the modules' directory, if it is there
	place  int    // in modules.order
	bucket uint32 // in depmod's hash table
	index  int    // among all, which makes its priority

	contents

	needs  []*module // in the order of the first symbol that each has for this one
	users  int       // how many modules need this one
	sorted int       // rank, such that a module comes before those that it needs
}

// contents are what the tables have of a file, which is not kept.
type contents struct {
	// fields are those of .modinfo that make lines, KEY=VALUE with a NUL after each.
	fields  string
	exports []export
	wants   []want
	err     error    // why there is not all of this
	left    []string // fields that are left out
}

// An export is a symbol for others.
type export struct {
	symbol symbolID
	crc    uint64
}

// A want is a symbol of others.
type want struct {
	symbol symbolID
	weak   bool   // need not be there
	crc    uint64 // its version where the module was built, 0 if that is not asked for
}

// kept are the fields that make lines.
var kept = [...]string{"alias", "softdep", "weakdep"}

// each returns the values of a field, in the order of the file.
func (c *contents) each(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for field := range strings.SplitSeq(c.fields, "\x00") {
			if value, ok := strings.CutPrefix(field, key+"="); ok && !yield(value) {
				return
			}
		}
	}
}

// load reads a module's file. What is wrong with it is in contents.err, and
// what could be read is there all the same.
func (r *reader) load(path string) (c contents) {
	image, done, err := r.tree.image(path)
	if err != nil {
		return contents{err: err}
	}
	defer done()
	r.window.on(image, image.Size)
	ko, err := kofile.New(&r.window, image.Size)
	if err != nil {
		return contents{err: err}
	}
	c.keep(ko)
	symbols, err := ko.Symbols()
	if err != nil {
		c.err = err
		return c
	}
	versions, err := ko.Versions()
	c.err = err
	c.exports, c.wants = r.symbols.enter(symbols, versions, r.tree.checks())
	return c
}

// keep keeps the fields that make lines, and not the rest of .modinfo.
func (c *contents) keep(ko *kofile.File) {
	var b strings.Builder
	for _, key := range kept {
		for value := range ko.Fields(key) {
			if strings.Contains(value, "\n") { // it would be two lines
				c.left = append(c.left, key)
				continue
			}
			b.WriteString(key)
			b.WriteByte('=')
			b.WriteString(value)
			b.WriteByte(0)
		}
	}
	c.fields = b.String()
}
