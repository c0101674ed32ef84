package depmod

import "io"

// A window is a file of which one part has been read already. All that is asked
// of a module but its .modinfo and its versions is at its end, so that a dozen
// reads become three.
type window struct {
	io.ReaderAt
	at   int64
	part []byte
}

// some is how much is read at once: small modules as a whole, and of most others
// the symbols and the table of sections.
const some = 48 << 10

// on puts the window on the end of a file of some size. What can't be read is not
// in it, and the error comes again when it is asked for.
func (w *window) on(f io.ReaderAt, size int64) {
	w.ReaderAt, w.at = f, max(0, size-some)
	if w.part == nil {
		w.part = make([]byte, some)
	}
	n, _ := f.ReadAt(w.part[:min(size, some)], w.at)
	w.part = w.part[:n]
}

func (w *window) ReadAt(b []byte, at int64) (int, error) {
	if at >= w.at && at+int64(len(b)) <= w.at+int64(len(w.part)) {
		return copy(b, w.part[at-w.at:]), nil
	}
	return w.ReaderAt.ReadAt(b, at)
}
