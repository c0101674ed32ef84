package modalias_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/modalias/modaliastest"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name, pattern, in string
		want              bool
	}{
		{"an escape at the end matches nothing", `a\`, `a\`, false},
		{"an escape at the end matches not even nothing", `a\`, `a`, false},
		{"an unclosed bracket is itself", "a[b", "a[b", true},
		{"an unclosed bracket is no set", "a[b", "ab", false},
		{"a range that runs backwards is empty", "[z-a]", "m", false},
		{"an inverted set needs a byte", "a[!b]", "a", false},
		{"case matters", "PCI", "pci", false},
		{"the whole name has to match", "usb:v1", "usb:v12", false},
		{"and the whole pattern", "usb:v12", "usb:v1", false},
		{"a question mark needs a byte", "a?", "a", false},

		{"nothing matches nothing", "", "", true},
		{"a star matches nothing", "*", "", true},
		{"a star matches slashes", "dmi:*:bd*", "dmi:bvn:bd04/17/2019:", true},
		{"a question mark matches a slash", "a?b", "a/b", true},
		{"a star gives back what it took too much", "*ab*b", "aabab", true},
		{"a range has both its ends", "[a-c][a-c]", "ac", true},
		{"! inverts", "[!a-c]", "d", true},
		{"^ inverts", "[^a-c]", "b", false},
		{"an inverted set has bytes above 127", "[!a]", "\xff", true},
		{"] is a member at the start", "[]a]", "]", true},
		{"] is a member after the inversion", "[!]]", "]", false},
		{"- is a member at the start", "[-a]", "-", true},
		{"- is a member at the end", "[a-]", "-", true},
		{"an escape is taken as it is", `\*`, "*", true},
		{"an escape is no star", `\*`, "a", false},
		{"an escape in brackets", `[\]]`, "]", true},
		{"an escaped end of a range", `[a-\c]`, "b", true},
		{"a star in brackets is a member", "[*]", "*", true},
		{"a PCI table entry", "pci:v00008086d000010D3sv*sd*bc*sc*i*",
			"pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", true},
		{"a PCI table entry of another device", "pci:v00008086d000010D4sv*sd*bc*sc*i*",
			"pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", false},
		{"a USB version range", "usb:v0BDAp8153d00[0-2]*dc*", "usb:v0BDAp8153d0020dcEF", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := modalias.Match(tt.pattern, tt.in); got != tt.want {
				t.Errorf("Match(%q, %q) = %v", tt.pattern, tt.in, got)
			}
		})
	}
}

// A matcher that tries all ways to share a name among many stars would not come
// back from these.
func TestMatchDoesNotExplode(t *testing.T) {
	for _, tt := range []struct{ pattern, byte string }{
		{strings.Repeat("*a", 2000) + "b", "a"},
		{strings.Repeat("*", 4000) + "b", "a"},
		{strings.Repeat("*[!b]", 500) + "b", "a"},
		{"*" + strings.Repeat("[", 3000) + "b", "["},
	} {
		if modalias.Match(tt.pattern, strings.Repeat(tt.byte, 4000)) {
			t.Errorf("%.20q… matches a name without its last byte", tt.pattern)
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	pattern, name := "usb:v*p*d00[0-2]*dc*dsc*dp*ic*isc*ip*in*", "usb:v0BDAp8153d0020dc00dsc00dp00icFFisc00ip00in00"
	if n := testing.AllocsPerRun(100, func() { modalias.Match(pattern, name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A translation into a regular expression is slow and obviously right.
func TestMatchIsARegularExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := patterns.Draw(t, "pattern")
		name := names.Draw(t, "name")
		if got, want := modalias.Match(pattern, name), asRegexp(pattern).MatchString(name); got != want {
			t.Fatalf("Match(%q, %q) = %v, by regular expression %v", pattern, name, got, want)
		}
	})
}

func TestMatchFindsWhatThePatternWasMadeFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := patterns.Draw(t, "pattern")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		if name := modaliastest.Concrete(pattern, r); !modalias.Match(pattern, name) {
			t.Fatalf("Match(%q, %q) = false", pattern, name)
		}
	})
}

var (
	elements = []string{"a", "b", "-", "/", ":", "*", "?", `\*`, `\a`, "[ab]", "[!ab]", "[a-c]", "[^-]", "[]-]", "[!]a]", `[\]b]`}
	patterns = rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(elements), 0, 8).Draw(t, "elements"), "")
	})
	names = rapid.StringOfN(rapid.RuneFrom([]rune("aabbc-/:*]")), 0, 10, -1)
)

// asRegexp translates a pattern whose brackets are all closed.
func asRegexp(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("(?s)^")
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		case '\\':
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case '[':
			b.WriteByte('[')
			if i++; pattern[i] == '!' || pattern[i] == '^' {
				b.WriteByte('^')
				i++
			}
			for start := i; pattern[i] != ']' || i == start; i++ {
				if pattern[i] == '\\' {
					i++
				}
				b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
			}
			b.WriteByte(']')
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String())
}

// FuzzMatch looks for panics, and for patterns that treat a name differently
// when a star is written twice.
func FuzzMatch(f *testing.F) {
	f.Add("pci:v*d[0-9]*", "pci:v1d2")
	f.Add(`[a\]-]?*\`, "]x")
	f.Add("[[[[", "[[[[")
	f.Add("[!", "")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.ContainsAny(pattern, `[\`) {
			modalias.Match(pattern, name)
			return
		}
		twice := strings.ReplaceAll(pattern, "*", "**")
		if a, b := modalias.Match(pattern, name), modalias.Match(twice, name); a != b {
			t.Errorf("%q: %v by %q, %v by %q", name, a, pattern, b, twice)
		}
	})
}
