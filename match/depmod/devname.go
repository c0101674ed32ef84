package depmod

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A node is a device node that leads to a module.
type node struct {
	path  string // below /dev, "" for none
	kind  string // "c" or "b", "" for none
	major uint32
	minor uint32
}

// devname writes modules.devname: of each module the first node that it has
// both name and number of among its aliases.
func (t *Tables) devname(b *bytes.Buffer, l Listener) {
	for _, m := range t.modules {
		n := m.node()
		switch {
		case n.path == "":
			continue
		case n.kind == "":
			l.say(Error, "module %s has the node %s, but no number for it: it gets none", m.name, n.path)
			continue
		}
		if b.Len() == 0 {
			b.WriteString("# Device nodes to trigger on-demand module loading.\n")
		}
		fmt.Fprintf(b, "%s %s %s%d:%d\n", m.name, n.path, n.kind, n.major, n.minor)
	}
}

// node finds the node among a module's aliases, which are devname:PATH,
// char-major-MAJOR-MINOR and block-major-MAJOR-MINOR.
func (m *module) node() (n node) {
	for alias := range m.each("alias") {
		if path, ok := strings.CutPrefix(alias, "devname:"); ok {
			n.path = path
		} else if number, ok := strings.CutPrefix(alias, "char-major-"); ok {
			n.number("c", number)
		} else if number, ok := strings.CutPrefix(alias, "block-major-"); ok {
			n.number("b", number)
		}
		if n.path != "" && n.kind != "" {
			break
		}
	}
	return n
}

// number takes MAJOR-MINOR, whatever follows it. Ranges of numbers end in "*", and
// are no number.
func (n *node) number(kind, text string) {
	major, rest := leadingNumber(text)
	minor, ok := strings.CutPrefix(rest, "-")
	if rest == text || !ok {
		return
	}
	if number, after := leadingNumber(minor); after != minor {
		n.kind, n.major, n.minor = kind, major, number
	}
}

// leadingNumber is the number that a text begins with, and what comes after it.
func leadingNumber(text string) (uint32, string) {
	end := len(text) - len(strings.TrimLeft(text, "0123456789"))
	n, _ := strconv.ParseUint(text[:end], 10, 64)
	return uint32(n), text[end:]
}
