package modalias

import "strings"

// ParsePattern takes a pattern apart as [Parse] takes an id: the values are
// patterns too, "*" where anything will do. An id is a pattern of itself. The
// error is a *FormError.
//
// A "*" may stand for several fields and for the tags between them, as in
// "dmi:*:svnAcer*" and "acpi*:PNP0C0A:*". Each field that it stands for has "*"
// if it must be in an id, and no value if it may be missing.
//
// Some patterns fit a form and can't be divided by it, such as "pci*", where
// [FormOf] knows more.
func ParsePattern(pattern string) (ID, error) {
	fail := &FormError{ID: pattern}
	if len(pattern) > MaxLen {
		return ID{}, fail
	}
	for f := range Forms() {
		if !strings.HasPrefix(pattern, f.Prefix) {
			continue
		}
		p := patternParser{parser: parser{form: f, text: pattern}, failed: map[place]bool{}}
		if p.fields(len(f.Prefix), f.Fields, false) {
			return ID{f, p.values}, nil
		}
		fail.Form, fail.Field, fail.Offset = f, p.expected, p.reached
	}
	return ID{}, fail
}

// A patternParser is a parser of patterns. It goes to no place twice, so a
// pattern of stars costs no more than another one.
type patternParser struct {
	parser
	failed map[place]bool
}

// A place is how far a pattern has been divided.
type place struct {
	at, fields int
	open       bool
}

// fields reports whether the pattern from at on is of these fields and the
// form's end. It is open after a "*", which may stand for some of them.
func (p *patternParser) fields(at int, fields []Field, open bool) bool {
	here := place{at, len(fields), open}
	if p.failed[here] {
		return false
	}
	ok := len(fields) == 0 && p.end(at, open) || len(fields) > 0 && p.field(at, fields, open)
	if !ok {
		p.failed[here] = true
	}
	return ok
}

// end reports whether what is left can be the form's end. That is one byte at
// most, so what is longer is not looked at: a text may end at every byte.
func (p *patternParser) end(at int, open bool) bool {
	const longest = len("[!a-f]*")
	left := p.text[at:]
	if open {
		left = "*" + strings.TrimLeft(left, "*")
	}
	return len(left) <= longest && meet(elementsOf(left), literals(nil, p.form.End)) || p.vain(at, nil)
}

// field is fields for at least one.
func (p *patternParser) field(at int, fields []Field, open bool) bool {
	f, rest := &fields[0], fields[1:]
	text := p.text[at:]
	tag := f.Tag
	if open && !strings.HasPrefix(text, tag) {
		tag = strings.TrimPrefix(tag, ":") // the star has taken it: "dmi:*svnAcer*"
	}
	if strings.HasPrefix(text, tag) && p.tagged(at+len(tag), f, rest) {
		return true
	}
	if n := alike(text, f.Tag); strings.HasPrefix(text[n:], "*") && p.fields(at+n+1, fields, true) {
		return true
	}
	if open && !f.Optional && p.keep("*", f, func() bool { return p.fields(at, rest, true) }) {
		return true
	}
	return f.Optional && p.fields(at, rest, open) || p.vain(at, f)
}

// alike is how many bytes two texts begin with in common.
func alike(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// tagged reports whether a value of f begins at that place, and rest follows.
func (p *patternParser) tagged(at int, f *Field, rest []Field) bool {
	if f.Kind.greedy() {
		end, ok := f.Kind.run(p.text, at)
		return ok && p.value(at, end, f, rest) || f.Optional && p.value(at, at, f, rest)
	}
	for end := at + kinds[f.Kind].min; end <= len(p.text); end++ {
		whole := end == len(p.text) || p.text[end] != '*' // a star belongs to what is before it
		if whole && p.value(at, end, f, rest) {
			return true
		}
	}
	return false
}

func (p *patternParser) value(begin, end int, f *Field, rest []Field) bool {
	text := p.text[begin:end]
	return p.keep(text, f, func() bool { return p.fields(end, rest, strings.HasSuffix(text, "*")) })
}

// keep keeps a value if the rest follows.
func (p *patternParser) keep(text string, f *Field, follows func() bool) bool {
	kept := len(p.values)
	p.values = append(p.values, Value{f, text})
	if follows() {
		return true
	}
	p.values = p.values[:kept]
	return false
}

// run returns where the pattern of a value ends that begins at a place, and
// reports whether it matches any value of the kind. A last "*" that could only
// stand for nothing is not part of it.
func (k Kind) run(text string, at int) (end int, ok bool) {
	end = at
	bytes := 0
	for end < len(text) {
		size, is := k.takes(text[end:])
		if !is || text[end] == '*' && bytes == kinds[k].max {
			break
		}
		if text[end] != '*' {
			bytes++
		}
		end += size
	}
	return end, meet(elementsOf(text[at:end]), k.elements(nil))
}

// takes returns the size of a pattern's first element, and reports whether it
// can match a byte of a value.
func (k Kind) takes(pattern string) (size int, ok bool) {
	switch pattern[0] {
	case '*', '?':
		return 1, true
	case '[':
		if set, size, ok := ParseSet(pattern); ok {
			var own Set
			for c := range 256 {
				if k.has(byte(c)) {
					own.add(byte(c), byte(c))
				}
			}
			return size, set.meets(&own)
		}
	case '\\':
		return min(2, len(pattern)), len(pattern) > 1 && k.has(pattern[1])
	}
	return 1, k.has(pattern[0])
}
