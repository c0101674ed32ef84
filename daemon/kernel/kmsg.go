package kernel

import (
	"strings"

	"github.com/kmodd/kmodd/daemon/kmsg"
)

// lastSaid is what followed the prefix in the last line of the kernel's log
// that began with it, without control characters, "" if there is none or the
// log may not be read.
func (s System) lastSaid(prefix string) (rest string) {
	_ = kmsg.All(s.dev("kmsg"), func(r kmsg.Record) {
		if after, ok := strings.CutPrefix(string(r.Text), prefix); ok {
			rest = after
		}
	})
	return printable(rest)
}

// printable keeps a foreign text to one line without control characters.
func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text))
}
