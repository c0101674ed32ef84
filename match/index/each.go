package index

// Each calls visit with every value of every key, in the order of the keys. The
// bytes of the key are its own only until visit returns.
func (x *Index) Each(visit func(key []byte, v Value)) error {
	w := each{Index: x, visit: visit, left: len(x.data)}
	return w.node(x.root)
}

// An each is one walk over everything.
type each struct {
	*Index
	visit func(key []byte, v Value)
	path  []byte
	left  int // bytes that a sound file can still have for us
}

func (w *each) node(ref uint32) error {
	n, err := w.Index.node(ref)
	if err != nil {
		return err
	}
	if w.left -= n.size; w.left < 0 {
		return &FormatError{int(ref & offsetMask), "nodes go in circles"}
	}
	length := len(w.path)
	w.path = append(w.path, n.prefix...)
	if len(w.path) > maxKey {
		return &FormatError{int(ref & offsetMask), "key too long"}
	}
	size, err := w.eachValue(&n, func(v Value) { w.visit(w.path, v) })
	if err != nil {
		return err
	}
	w.left -= size
	if n.children != 0 {
		err = w.children(&n)
	}
	w.path = w.path[:length]
	return err
}

func (w *each) children(n *node) error {
	for c := int(n.first); c <= int(n.last); c++ {
		ref := w.Index.child(n, byte(c))
		if ref == 0 {
			continue
		}
		w.path = append(w.path, byte(c))
		if err := w.node(ref); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	return nil
}
