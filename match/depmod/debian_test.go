package depmod_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match/depmod"
)

// BenchmarkDebian makes the tables of all of Debian's modules, and has them on the
// disk. That they are right, cmd/kmodctl/depmod tests.
func BenchmarkDebian(b *testing.B) {
	kernel, err := debian.LoadKernel(b.Context(), os.Stderr)
	if err != nil {
		b.Fatal(err)
	}
	tree := depmod.Tree{Root: depmod.Disk{}, Dir: filepath.Join(kernel.Root, "lib/modules", kernel.Version)}
	out := b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		tables, err := depmod.Build(tree, depmod.Listener{})
		if err != nil {
			b.Fatal(err)
		}
		if err := tables.Write(out); err != nil {
			b.Fatal(err)
		}
	}
}
