package index

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// An Entry is one key with one of its values.
type Entry struct {
	Key      string
	Priority uint32
	Text     string
}

// Write returns the index file that holds entries, the same for any order of
// them but for entries of equal key and priority, which stay in their order. An
// entry that the format can't hold (a byte above 127 in the key, a NUL, a key as
// long as a path may be) is an error.
func Write(entries []Entry) ([]byte, error) {
	for _, e := range entries {
		if err := e.Check(); err != nil {
			return nil, err
		}
	}
	entries = sorted(entries)
	w := writer{data: make([]byte, headerSize, 64*len(entries)+headerSize)}
	root := w.node(entries, 0, 0) // depmod's root has no prefix, whatever all keys share
	if len(w.data) > offsetMask {
		return nil, fmt.Errorf("module index: %d bytes are more than the format can address", len(w.data))
	}
	binary.BigEndian.PutUint32(w.data, magic)
	binary.BigEndian.PutUint32(w.data[4:], version)
	binary.BigEndian.PutUint32(w.data[8:], root)
	return w.data, nil
}

// sorted are entries in the order of their keys and priorities. For so many,
// places are sorted faster than the entries would be in a way that is stable.
func sorted(entries []Entry) []Entry {
	places := make([]int, len(entries))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(i, j int) int {
		a, b := &entries[i], &entries[j]
		return cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(a.Priority, b.Priority), cmp.Compare(i, j))
	})
	all := make([]Entry, len(entries))
	for to, from := range places {
		all[to] = entries[from]
	}
	return all
}

// Check says why the format can't hold an entry, nil if it can.
func (e *Entry) Check() error {
	for i := range len(e.Key) {
		if e.Key[i] >= 128 || e.Key[i] == 0 {
			return fmt.Errorf("module index: key %q holds byte %#x", e.Key, e.Key[i])
		}
	}
	if len(e.Key) > maxKey {
		return fmt.Errorf("module index: key %.40q… is longer than %d bytes", e.Key, maxKey)
	}
	if strings.IndexByte(e.Text, 0) >= 0 {
		return fmt.Errorf("module index: value %q of key %q holds a NUL", e.Text, e.Key)
	}
	return nil
}

type writer struct{ data []byte }

// node writes the subtree of the sorted entries, whose keys are the same before
// end, and returns its reference. The prefix of the node is what they have
// between depth and end. As depmod does, it writes children before their parent.
func (w *writer) node(entries []Entry, depth, end int) (ref uint32) {
	here := 0 // entries whose key ends in this node
	for here < len(entries) && len(entries[here].Key) == end {
		here++
	}
	first, children := w.childNodes(entries[here:], end)

	start := len(w.data)
	if end > depth {
		ref |= hasPrefix
		w.data = append(w.data, entries[0].Key[depth:end]...)
		w.data = append(w.data, 0)
	}
	if len(children) > 0 {
		ref |= hasChildren
		w.data = append(w.data, first, first+byte(len(children)-1))
		for _, child := range children {
			w.data = binary.BigEndian.AppendUint32(w.data, child)
		}
	}
	if here > 0 {
		ref |= hasValues
		w.values(entries[:here])
	}
	return ref | uint32(start)
}

// childNodes writes the children of a node whose key is end bytes long, and
// returns their references, from the child for first on.
func (w *writer) childNodes(entries []Entry, end int) (first byte, children []uint32) {
	for len(entries) > 0 {
		c := entries[0].Key[end]
		n := 1
		for n < len(entries) && entries[n].Key[end] == c {
			n++
		}
		if children == nil {
			first = c
		}
		for int(c-first) > len(children) {
			children = append(children, 0)
		}
		children = append(children, w.node(entries[:n], end+1, end+1+samePrefix(entries[:n], end+1)))
		entries = entries[n:]
	}
	return first, children
}

func (w *writer) values(entries []Entry) {
	w.data = binary.BigEndian.AppendUint32(w.data, uint32(len(entries)))
	for _, e := range entries {
		w.data = binary.BigEndian.AppendUint32(w.data, e.Priority)
		w.data = append(w.data, e.Text...)
		w.data = append(w.data, 0)
	}
}

// samePrefix returns how many bytes from depth on all keys of the sorted
// entries share: as many as the first and the last do.
func samePrefix(entries []Entry, depth int) int {
	a, b := entries[0].Key[depth:], entries[len(entries)-1].Key[depth:]
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
