package screen

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestATerminalIsGivenNoCommands(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"an escape sequence", "tbsvc:k\x1b[2J", `tbsvc:k\u001b[2J`},
		{"a bell, DEL and a line that is written over", "a\ab\x7fc\rd", `a\u0007b\u007fc\u000dd`},
		{"the one-character CSI, as UTF-8", "a\u009b2J", `a\u009b2J`},
		{"the one-character CSI, as a byte", "a\x9b2J", `a\x9b2J`},
		{"a change of direction", "a\u202eb", `a\u202eb`},
		{"one beyond 16 bits", "a\U000e0001b", `a\udb40\udc01b`},
		{"what people write", "größe\t→ 5 µs\n", "größe\t→ 5 µs\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := shown(t, tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := shown(t, strings.Split(tt.in, "")...); got != tt.want {
				t.Errorf("in pieces: got %q, want %q", got, tt.want)
			}
		})
	}
}

// shown is what a screen makes of some writes.
func shown(t interface{ Fatal(...any) }, writes ...string) string {
	var b strings.Builder
	s := New(&b)
	for _, w := range writes {
		if _, err := s.Write([]byte(w)); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestJSONOnAScreenMeansTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		raw, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		cut := rapid.IntRange(0, len(raw)).Draw(t, "cut")
		text := shown(t, string(raw[:cut]), string(raw[cut:]))
		if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q has a character that is not shown", text)
		}
		var got string
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s is read as %q, %v; want %q", text, got, err, want)
		}
	})
}
