package modalias

// A Set is a set of bytes: what a bracket expression matches.
type Set [4]uint64

// Has reports whether c is in the set.
func (s *Set) Has(c byte) bool { return s[c>>6]>>(c&63)&1 != 0 }

func (s *Set) add(first, last byte) {
	for c := int(first); c <= int(last); c++ {
		s[c>>6] |= 1 << (c & 63)
	}
}

func (s *Set) invert() {
	for i := range s {
		s[i] = ^s[i]
	}
}

// meets reports whether the two have a byte in common.
func (s *Set) meets(other *Set) bool {
	return s[0]&other[0]|s[1]&other[1]|s[2]&other[2]|s[3]&other[3] != 0
}

// ParseSet reads the bracket expression that a pattern starts with and returns
// its set and its length in bytes, both brackets included. It is not ok if the
// pattern doesn't start with "[" or nothing closes it.
//
// As in fnmatch(3), "!" or "^" at the start inverts the set, a "]" at the
// start is a member, "\" takes the next byte as it is, "-" is a member at
// either end, and a range that runs backwards is empty.
func ParseSet[T string | []byte](pattern T) (set Set, size int, ok bool) {
	if len(pattern) == 0 || pattern[0] != '[' {
		return set, 0, false
	}
	i := 1
	invert := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if invert {
		i++
	}
	for start := i; i < len(pattern); {
		if pattern[i] == ']' && i > start {
			if invert {
				set.invert()
			}
			return set, i + 1, true
		}
		first, last := byte(0), byte(0)
		if first, i = member(pattern, i); i >= len(pattern) {
			break
		}
		last = first
		if pattern[i] == '-' && i+1 < len(pattern) && pattern[i+1] != ']' {
			last, i = member(pattern, i+1)
		}
		set.add(first, last)
	}
	return set, 0, false
}

// member reads the member of a bracket expression at i and returns where the
// next one begins.
func member[T string | []byte](pattern T, i int) (c byte, next int) {
	if pattern[i] == '\\' && i+1 < len(pattern) {
		i++
	}
	return pattern[i], i + 1
}
