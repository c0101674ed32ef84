package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	magic   = 0xB007F457
	version = 0x00020001

	hasPrefix   = 0x80000000
	hasValues   = 0x40000000
	hasChildren = 0x20000000
	offsetMask  = 0x0FFFFFFF

	headerSize = 12

	// maxKey is longer than any key that depmod writes: it refuses aliases of
	// PATH_MAX.
	maxKey = 4096
)

// A FormatError says why a file is not an index, or not a sound one.
type FormatError struct {
	Offset int // where in the file
	Says   string
}

var _ error = (*FormatError)(nil)

func (e *FormatError) Error() string {
	return fmt.Sprintf("module index, offset %d: %s", e.Offset, e.Says)
}

// An Index is one index file. It is immutable and safe for concurrent use.
type Index struct {
	data []byte
	root uint32
}

// A Value is one of the values of a key. Text is part of the file: copy what
// must outlive it.
type Value struct {
	Priority uint32 // lower comes first: the module's rank in modules.order
	Text     []byte
}

// New returns the index in data, which must not change as long as the index is
// used. It looks at the header only; what is wrong farther in is found by the
// look-up that comes by.
func New(data []byte) (*Index, error) {
	if len(data) < headerSize {
		return nil, &FormatError{len(data), "file ends within the header"}
	}
	if got := binary.BigEndian.Uint32(data); got != magic {
		return nil, &FormatError{0, fmt.Sprintf("magic number %#x, not %#x", got, uint32(magic))}
	}
	if got := binary.BigEndian.Uint32(data[4:]); got>>16 != version>>16 {
		return nil, &FormatError{4, fmt.Sprintf("version %d.%d, not %d", got>>16, got&0xFFFF, version>>16)}
	}
	x := &Index{data: data, root: binary.BigEndian.Uint32(data[8:])}
	// The root is at the end of what depmod writes: a file that was cut short
	// is refused here, and not by some look-up later.
	if _, err := x.node(x.root); err != nil {
		return nil, err
	}
	return x, nil
}

// A node is where the parts of one node of the tree are.
type node struct {
	prefix      []byte
	first, last byte
	children    int // offset of the first child's reference, 0 for none
	values      int // offset of the count, 0 for none
	size        int // bytes of the node, but for its values
}

// node reads the node that ref refers to.
func (x *Index) node(ref uint32) (n node, err error) {
	start := int(ref & offsetMask)
	if start < headerSize || start > len(x.data) {
		return n, &FormatError{start, "node outside the file"}
	}
	at := start
	if ref&hasPrefix != 0 {
		if n.prefix, err = x.text(at); err != nil {
			return n, err
		}
		at += len(n.prefix) + 1
	}
	if ref&hasChildren != 0 {
		if len(x.data)-at < 2 {
			return n, &FormatError{at, "file ends within a node"}
		}
		n.first, n.last = x.data[at], x.data[at+1]
		n.children = at + 2
		if n.first > n.last || n.last >= 128 {
			return n, &FormatError{at, fmt.Sprintf("children from byte %d to %d", n.first, n.last)}
		}
		at = n.children + 4*(int(n.last-n.first)+1)
	}
	if ref&hasValues != 0 {
		n.values = at
		at += 4
	}
	if at > len(x.data) {
		return n, &FormatError{start, "file ends within a node"}
	}
	n.size = at - start
	return n, nil
}

// text returns the NUL-terminated bytes at an offset, without the NUL.
func (x *Index) text(at int) ([]byte, error) {
	if at >= len(x.data) {
		return nil, &FormatError{at, "text outside the file"}
	}
	end := bytes.IndexByte(x.data[at:], 0)
	if end < 0 {
		return nil, &FormatError{at, "text without an end"}
	}
	return x.data[at : at+end], nil
}

// child returns the reference of the child for c, 0 if there is none.
func (x *Index) child(n *node, c byte) uint32 {
	if n.children == 0 || c < n.first || c > n.last {
		return 0
	}
	return binary.BigEndian.Uint32(x.data[n.children+4*int(c-n.first):])
}

// eachValue calls visit with the values of a node, in the order of the file,
// and returns how many bytes they take.
func (x *Index) eachValue(n *node, visit func(Value)) (size int, err error) {
	if n.values == 0 {
		return 0, nil
	}
	at := n.values + 4
	for range binary.BigEndian.Uint32(x.data[n.values:]) {
		if len(x.data)-at < 5 {
			return 0, &FormatError{at, "value outside the file"}
		}
		text, err := x.text(at + 4)
		if err != nil {
			return 0, err
		}
		visit(Value{binary.BigEndian.Uint32(x.data[at:]), text})
		at += 4 + len(text) + 1
	}
	return at - n.values - 4, nil
}

// Lookup appends to dst the values of exactly this key.
func (x *Index) Lookup(dst []Value, key string) ([]Value, error) {
	ref := x.root
	for {
		n, err := x.node(ref)
		if err != nil {
			return dst, err
		}
		if len(key) < len(n.prefix) || key[:len(n.prefix)] != string(n.prefix) {
			return dst, nil
		}
		if key = key[len(n.prefix):]; key == "" {
			_, err = x.eachValue(&n, func(v Value) { dst = append(dst, v) })
			return dst, err
		}
		if ref = x.child(&n, key[0]); ref == 0 {
			return dst, nil
		}
		key = key[1:]
	}
}
