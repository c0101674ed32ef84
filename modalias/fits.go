package modalias

// Fits reports whether a pattern matches any id of the form. A pattern that
// fits no form is not about devices, or can't match any: the kernel has some
// whose digits are in the wrong case or too few.
func (f *Form) Fits(pattern string) bool {
	for i := range min(len(pattern), len(f.Prefix)) { // most forms end here
		if pattern[i] != f.Prefix[i] {
			if !special(pattern[i]) {
				return false
			}
			break
		}
	}
	return meet(elementsOf(pattern), f.elements())
}

// special reports whether c is more than itself in a pattern.
func special(c byte) bool { return c == '*' || c == '?' || c == '[' || c == '\\' }

// An element is a byte of a language in which texts are written one byte after
// the other.
type element struct {
	bytes  Set
	repeat bool // it can come again
	skip   int  // so many elements, from this one on, can be left out; 0 if none can
}

var anyByte = Set{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}

// elementsOf is a pattern's language.
func elementsOf(pattern string) (all []element) {
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '*':
			all = append(all, element{anyByte, true, 1})
			continue
		case '?':
			all = append(all, element{bytes: anyByte})
			continue
		case '[':
			if set, size, ok := ParseSet(pattern[i:]); ok {
				all = append(all, element{bytes: set})
				i += size - 1
				continue
			}
		case '\\':
			if i++; i == len(pattern) {
				return append(all, element{}) // matches nothing
			}
		}
		all = append(all, literal(pattern[i]))
	}
	return all
}

func literal(c byte) (e element) {
	e.bytes.add(c, c)
	return e
}

func literals(all []element, s string) []element {
	for i := range len(s) {
		all = append(all, literal(s[i]))
	}
	return all
}

// elements is the language of a form's ids.
func (f *Form) elements() []element {
	all := literals(nil, f.Prefix)
	for i := range f.Fields {
		field := &f.Fields[i]
		begin := len(all)
		all = literals(all, field.Tag)
		value := len(all)
		all = field.Kind.elements(all)
		if field.Optional {
			all[value].skip = len(all) - value
			all[begin].skip = len(all) - begin
		}
	}
	return literals(all, f.End)
}

// elements appends the language of the values of a kind.
func (k Kind) elements(all []element) []element {
	var e element
	for c := range 256 {
		if k.has(byte(c)) {
			e.bytes.add(byte(c), byte(c))
		}
	}
	for range kinds[k].min {
		all = append(all, e)
	}
	e.skip = 1
	if kinds[k].max == MaxLen {
		e.repeat = true
		return append(all, e)
	}
	for range kinds[k].max - kinds[k].min {
		all = append(all, e)
	}
	return all
}

// meet reports whether two languages have a text in common. It walks through
// both at once, and to no pair of places twice.
func meet(a, b []element) bool {
	seen := make([]bool, (len(a)+1)*(len(b)+1))
	var walk func(i, j int) bool
	walk = func(i, j int) bool {
		if i == len(a) && j == len(b) {
			return true
		}
		at := i*(len(b)+1) + j
		if seen[at] {
			return false
		}
		seen[at] = true
		return i < len(a) && a[i].skip > 0 && walk(i+a[i].skip, j) ||
			j < len(b) && b[j].skip > 0 && walk(i, j+b[j].skip) ||
			i < len(a) && j < len(b) && a[i].bytes.meets(&b[j].bytes) && walk(a[i].next(i), b[j].next(j))
	}
	return walk(0, 0)
}

// next is where it goes on after the element at i.
func (e *element) next(i int) int {
	if e.repeat {
		return i
	}
	return i + 1
}
