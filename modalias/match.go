package modalias

// Match reports whether pattern matches the whole of name. Both are compared
// as they are: Normalize first what has not been. A "[" that nothing closes
// stands for itself; a "\" at the end matches nothing.
//
// It allocates nothing, and takes time proportional to the product of the two
// lengths at worst: a later "*" never has to reconsider what an earlier one
// took.
func Match(pattern, name string) bool {
	m := matcher{pattern: pattern, unclosed: len(pattern)}
	p, n := 0, 0
	star, resume := -1, 0 // the last "*", and where in name it has got to
	for n < len(name) || p < len(pattern) {
		if p < len(pattern) && pattern[p] == '*' {
			star, resume = p, n
			p++
			continue
		}
		if n < len(name) {
			if next, ok := m.byte(p, name[n]); ok {
				p = next
				n++
				continue
			}
		}
		if star < 0 || resume == len(name) {
			return false
		}
		resume++ // the "*" takes one byte more
		p, n = star+1, resume
	}
	return true
}

// A matcher is a pattern and what has been learnt about it.
type matcher struct {
	pattern string
	// unclosed is the first "[" found without a "]". Those after it have none
	// either, and looking for it each time would cost the square of the length.
	unclosed int
}

// byte reports whether the element at p, which is no "*", matches c, and where
// the next element begins.
func (m *matcher) byte(p int, c byte) (next int, ok bool) {
	if p == len(m.pattern) {
		return p, false
	}
	switch m.pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		if p >= m.unclosed {
			break
		}
		if set, size, closed := ParseSet(m.pattern[p:]); closed {
			return p + size, set.Has(c)
		}
		m.unclosed = p
	case '\\':
		return p + 2, p+1 < len(m.pattern) && m.pattern[p+1] == c
	}
	return p + 1, m.pattern[p] == c
}
