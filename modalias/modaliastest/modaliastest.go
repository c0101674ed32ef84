// Package modaliastest makes names for tests of what matches them.
package modaliastest

import (
	"math/rand/v2"
	"strings"

	"github.com/kmodd/kmodd/modalias"
)

// filler is what stands for a "*" or a "?": bytes that occur in device ids and
// that a pattern may go on with, so that a matcher is tempted to stop early.
const filler = "0123456789ABCDEFabcdefpvscd:_/"

// Concrete returns a name that pattern matches, chosen by r.
func Concrete(pattern string, r *rand.Rand) string {
	var b strings.Builder
	for pattern != "" {
		size := 1
		switch c := pattern[0]; c {
		case '*':
			for range r.IntN(5) {
				b.WriteByte(filler[r.IntN(len(filler))])
			}
		case '?':
			b.WriteByte(filler[r.IntN(len(filler))])
		case '[':
			set, n, ok := modalias.ParseSet(pattern)
			if !ok {
				b.WriteByte(c)
				break
			}
			size = n
			b.WriteByte(member(&set, r))
		case '\\':
			size = min(2, len(pattern))
			b.WriteString(pattern[1:size])
		default:
			b.WriteByte(c)
		}
		pattern = pattern[size:]
	}
	return b.String()
}

// member returns a printable member of a set, "!" if it has none.
func member(set *modalias.Set, r *rand.Rand) byte {
	var members []byte
	for c := byte('!'); c <= '~'; c++ {
		if set.Has(c) {
			members = append(members, c)
		}
	}
	if members == nil {
		return '!'
	}
	return members[r.IntN(len(members))]
}
