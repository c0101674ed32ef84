package index

import (
	"math/bits"
	"sync"

	"github.com/kmodd/kmodd/modalias"
)

// Search appends to dst the values of all patterns that match name, in no
// particular order. Nothing is allocated but what dst grows by.
func (x *Index) Search(dst []Value, name string) ([]Value, error) {
	s := searches.Get().(*search)
	s.begin(x, name)
	s.found = dst
	err := s.node(x.root, 0, state{bracket: -1})
	dst = s.found
	s.end()
	return dst, err
}

// SearchFunc calls visit with each value of each pattern that matches name, in
// no particular order. The bytes of the pattern are its own only until visit
// returns.
func (x *Index) SearchFunc(name string, visit func(pattern []byte, v Value)) error {
	s := searches.Get().(*search)
	s.begin(x, name)
	s.visit = visit
	err := s.node(x.root, 0, state{bracket: -1})
	s.end()
	return err
}

// searches holds what ended searches have left. One that a fault of the mapped
// file broke off doesn't come back.
var searches = sync.Pool{New: func() any { return new(search) }}

// A search is one walk for one name.
type search struct {
	*Index
	name  string
	found []Value                       // what matches,
	visit func(pattern []byte, v Value) // unless this wants to know
	left  int                           // bytes that a sound file can still have for us

	// A position is how many bytes of name have been used up; a set of them is
	// so many words of bits.
	words int
	where []uint64 // for each byte below 128, the set of positions it stands at
	any   []uint64 // all positions but the end
	sets  []uint64 // the set at each node of the path
	path  []byte   // the pattern so far
}

// A state is what the walk knows at one point of a pattern besides the set.
type state struct {
	low, high int // words of the set outside of which there is nothing
	bracket   int // where in path the open "[" is, -1 for none
	escaped   bool
}

func (s *search) begin(x *Index, name string) {
	s.Index, s.name = x, name
	s.left = len(x.data)
	s.words = len(name)/64 + 1
	if need := 128 * s.words; len(s.where) < need {
		s.where = make([]uint64, need)
	}
	for i := range len(name) {
		if c := int(name[i]); c < 128 {
			s.where[c*s.words+i/64] |= 1 << (i % 64)
		}
	}
	s.any = s.any[:0]
	for range s.words - 1 {
		s.any = append(s.any, ^uint64(0))
	}
	s.any = append(s.any, 1<<(len(name)%64)-1)
	s.set(0)[0] = 1
	s.path = s.path[:0]
}

// end returns s to the pool, without references, and with where empty, as begin
// expects it.
func (s *search) end() {
	for i := range len(s.name) {
		if c := int(s.name[i]); c < 128 {
			s.where[c*s.words+i/64] = 0
		}
	}
	s.Index, s.name, s.found, s.visit = nil, "", nil, nil
	searches.Put(s)
}

// set returns the set of the node at a depth.
func (s *search) set(depth int) []uint64 {
	end := (depth + 1) * s.words
	for len(s.sets) < end {
		s.sets = append(s.sets, 0)
	}
	return s.sets[end-s.words : end]
}

// node searches the subtree of the node that ref refers to. The set at depth is
// the one before the node's prefix.
func (s *search) node(ref uint32, depth int, st state) error {
	n, err := s.Index.node(ref)
	if err != nil {
		return err
	}
	if s.left -= n.size; s.left < 0 {
		return &FormatError{int(ref & offsetMask), "nodes go in circles"}
	}
	if len(s.path)+len(n.prefix) > maxKey {
		return &FormatError{int(ref & offsetMask), "key too long"}
	}
	set := s.set(depth)
	for _, c := range n.prefix {
		s.path = append(s.path, c)
		if !s.step(set, set, &st, c) {
			return nil
		}
	}
	if n.values != 0 && s.matches(set, st) {
		size, err := s.eachValue(&n, s.take)
		if err != nil {
			return err
		}
		s.left -= size
	}
	if n.children == 0 {
		return nil
	}
	return s.children(&n, depth, st)
}

func (s *search) take(v Value) {
	if s.visit != nil {
		s.visit(s.path, v)
		return
	}
	s.found = append(s.found, v)
}

// children searches those children of a node that can lead to a match.
func (s *search) children(n *node, depth int, st state) error {
	set := s.set(depth)
	word := set[st.low]
	if st.bracket >= 0 || st.low != st.high || word&(word-1) != 0 {
		for c := int(n.first); c <= int(n.last); c++ {
			if err := s.child(n, depth, st, byte(c)); err != nil {
				return err
			}
		}
		return nil
	}
	// With one position left, all but the byte there is special.
	next := byte(0)
	if at := st.low*64 + bits.TrailingZeros64(word); at < len(s.name) {
		next = s.name[at]
		if err := s.child(n, depth, st, next); err != nil {
			return err
		}
	}
	if st.escaped {
		return nil
	}
	for _, c := range [...]byte{'*', '?', '[', '\\'} {
		if c == next {
			continue
		}
		if err := s.child(n, depth, st, c); err != nil {
			return err
		}
	}
	return nil
}

// child searches the child for c, if there is one that can lead to a match.
func (s *search) child(n *node, depth int, st state, c byte) error {
	ref := s.Index.child(n, c)
	if ref == 0 {
		return nil
	}
	length := len(s.path)
	s.path = append(s.path, c)
	to := s.set(depth + 1)
	var err error
	if s.step(to, s.set(depth), &st, c) {
		err = s.node(ref, depth+1, st)
	}
	s.path = s.path[:length]
	return err
}

// step reads one byte of a pattern, already at the end of path: from is the
// set before it, to becomes the one after it, and may be the same. It reports
// whether any match is left.
func (s *search) step(to, from []uint64, st *state, c byte) bool {
	switch {
	case st.bracket >= 0:
		return s.stepBracket(to, from, st, c)
	case st.escaped:
		st.escaped = false
	case c == '*':
		s.stepStar(to, from, st)
		return true
	case c == '?':
		return st.advance(to, from, s.any)
	case c == '[':
		st.bracket = len(s.path) - 1
		st.copy(to, from)
		return true
	case c == '\\':
		st.escaped = true
		st.copy(to, from)
		return true
	}
	if c >= 128 {
		return false
	}
	return st.advance(to, from, s.where[int(c)*s.words:])
}

// stepStar adds all positions behind the first.
func (s *search) stepStar(to, from []uint64, st *state) {
	first := from[st.low]
	to[st.low] = -(first & -first) // the lowest bit and all above it
	for i := st.low + 1; i < s.words; i++ {
		to[i] = ^uint64(0)
	}
	st.high = s.words - 1
	to[st.high] &= 2<<(len(s.name)%64) - 1
}

// stepBracket reads one byte within brackets. Only at the closing one is it
// known what they match.
func (s *search) stepBracket(to, from []uint64, st *state, c byte) bool {
	expr := s.path[st.bracket:]
	first := len(expr) == 2 || len(expr) == 3 && (expr[1] == '!' || expr[1] == '^')
	switch {
	case st.escaped:
		st.escaped = false
	case c == '\\':
		st.escaped = true
	case c == ']' && !first:
		set, _, _ := modalias.ParseSet(expr)
		st.bracket = -1
		s.keep(to, from, st, &set)
		return st.advance(to, to, s.any)
	}
	st.copy(to, from)
	return true
}

// keep keeps the positions at which name has a byte of set.
func (s *search) keep(to, from []uint64, st *state, set *modalias.Set) {
	for i := st.low; i <= st.high; i++ {
		kept := uint64(0)
		for word := from[i]; word != 0; word &= word - 1 {
			at := i*64 + bits.TrailingZeros64(word)
			if at < len(s.name) && set.Has(s.name[at]) {
				kept |= word & -word
			}
		}
		to[i] = kept
	}
}

func (st *state) copy(to, from []uint64) {
	copy(to[st.low:st.high+1], from[st.low:st.high+1])
}

// advance keeps the positions that are in mask and moves them on by one. It
// reports whether there are any, and narrows st to where they are.
func (st *state) advance(to, from, mask []uint64) bool {
	low, high, carry := -1, -1, uint64(0)
	for i := st.low; i <= st.high; i++ {
		kept := from[i] & mask[i]
		to[i] = kept<<1 | carry
		carry = kept >> 63
		if to[i] != 0 {
			if high = i; low < 0 {
				low = i
			}
		}
	}
	if carry != 0 {
		high = st.high + 1
		to[high] = 1
		if low < 0 {
			low = high
		}
	}
	st.low, st.high = low, high
	return low >= 0
}

// matches reports whether a pattern that ends here matches.
func (s *search) matches(set []uint64, st state) bool {
	switch end := len(s.name); {
	case st.bracket >= 0:
		return modalias.Match(string(s.path), s.name)
	case st.escaped || end/64 > st.high || end/64 < st.low:
		return false
	default:
		return set[end/64]>>(end%64)&1 != 0
	}
}
