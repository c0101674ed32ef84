package depmod_test

import (
	"os"
	"testing"

	"github.com/kmodd/kmodd/match/depmod"
)

func BenchmarkDebian(b *testing.B) {
	dir := os.Getenv("TRY_DIR")
	for b.Loop() {
		tables, err := depmod.Build(depmod.Tree{Root: depmod.Disk{}, Dir: dir}, depmod.Listener{})
		if err != nil {
			b.Fatal(err)
		}
		if err := tables.Write(b.TempDir()); err != nil {
			b.Fatal(err)
		}
	}
}
