package match

import (
	"bufio"
	"io"

	"github.com/kmodd/kmodd/match/index"
)

// DumpAliases writes the aliases of modules, and then the symbols, as lines of
// the form "alias PATTERN MODULE" in the order of the indexes: the second half
// of what modprobe -c prints. It returns the first error of w.
func (t *Tables) DumpAliases(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	for _, b := range []*table{t.aliases, t.symbols} {
		b.look(func(x *index.Index) error {
			return x.Each(func(pattern []byte, v index.Value) {
				out.WriteString("alias ")
				out.Write(pattern)
				out.WriteByte(' ')
				out.Write(v.Text)
				out.WriteByte('\n')
			})
		})
	}
	return out.Flush()
}
