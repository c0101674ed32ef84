package kofile

import (
	"bytes"
	"io"
)

// The beginnings of compressed files: RFC 1952, the .xz file format 1.2.1 and
// RFC 8878.
var magics = []struct{ method, magic string }{
	{"gzip", "\x1f\x8b"},
	{"xz", "\xfd7zXZ\x00"},
	{"zstd", "\x28\xb5\x2f\xfd"},
}

// Packing says how a module file is compressed: "gzip", "xz", "zstd", or "" for
// not at all (or not in a way that anybody uses for modules). It looks at the
// file's first bytes, as libkmod and the kernel do, not at its name.
func Packing(f io.ReaderAt) string {
	var head [6]byte
	n, _ := f.ReadAt(head[:], 0)
	for _, m := range magics {
		if bytes.HasPrefix(head[:n], []byte(m.magic)) {
			return m.method
		}
	}
	return ""
}
