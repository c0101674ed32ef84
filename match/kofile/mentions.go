package kofile

import (
	"bytes"
	"io"
)

// window is how much of the symbols' names is looked at in one go.
const window = 32 << 10

// Mentions tells whether the name of any symbol in a module's file, be it one that
// it defines or one that it needs, has any of some texts in it; a NUL in a text
// stands for the end of a name. It says yes too often rather than too seldom: names
// may share their ends, and it is not looked where one begins. Memory is
// taken for 32 kB of the file, whatever its size.
func (f *File) Mentions(texts ...string) (bool, error) {
	if f.strtab.kind == noBits {
		return false, nil
	}
	longest := 0
	for _, text := range texts {
		longest = max(longest, len(text))
	}
	names := io.NewSectionReader(f.r, int64(f.strtab.at), int64(f.strtab.bytes))
	buf := make([]byte, min(window, f.strtab.bytes)+uint64(longest))
	for kept := 0; ; {
		n, err := names.Read(buf[kept:])
		for _, text := range texts {
			if bytes.Contains(buf[:kept+n], []byte(text)) {
				return true, nil
			}
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, &Error{Offset: int64(f.strtab.at), Says: "the names of its symbols can't be read", Err: err}
		}
		// What is found across the border of two windows ends in the second one.
		tail := min(kept+n, max(longest-1, 0))
		copy(buf, buf[kept+n-tail:kept+n])
		kept = tail
	}
}
