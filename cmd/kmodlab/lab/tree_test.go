package lab

import (
	"encoding/binary"
	"strings"
	"testing"
)

// flattened is a device tree of one node in another, with a property and what comes
// after it.
func flattened(property, value string, after ...uint32) []byte {
	var words []byte
	put := func(n ...uint32) {
		for _, n := range n {
			words = binary.BigEndian.AppendUint32(words, n)
		}
	}
	text := func(s string) { words = append(words, s+strings.Repeat("\x00", padded(len(s))-len(s))...) }
	put(beginNode)
	text("\x00")
	put(beginNode)
	text("serial@1\x00")
	put(3, uint32(len(value)), 0)
	text(value)
	put(after...)
	put(endNode, endNode, 9)
	tree := make([]byte, 40, 200)
	binary.BigEndian.PutUint32(tree, 0xd00dfeed)
	binary.BigEndian.PutUint32(tree[8:], 40)
	binary.BigEndian.PutUint32(tree[12:], uint32(40+len(words)))
	return append(append(tree, words...), property+"\x00"...)
}

func TestANodeThatIsDisabledIsEnabledAndNoOther(t *testing.T) {
	tree := flattened("status", "disabled\x00")
	want := flattened("status", "okay\x00", noOp) // for what is left over of the longer word
	if err := enable(tree, "/serial@1"); err != nil || string(tree) != string(want) {
		t.Errorf("%v\n%q\n%q", err, tree, want)
	}
	for name, tt := range map[string]struct {
		tree []byte
		node string
	}{
		"nothing":          {nil, "/serial@1"},
		"no tree":          {make([]byte, 100), "/serial@1"},
		"another node":     {flattened("status", "disabled\x00"), "/serial@2"},
		"another property": {flattened("state", "disabled\x00"), "/serial@1"},
		"one in use":       {flattened("status", "okay\x00"), "/serial@1"},
		"half a tree":      {flattened("status", "disabled\x00")[:60], "/serial@1"},
	} {
		if err := enable(tt.tree, tt.node); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
