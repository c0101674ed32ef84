package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// A fiftieth of the names that the bench compares in full.
func TestLookUpsAreThoseOfLibkmod(t *testing.T) {
	kernel, err := debian.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(kernel.Root, "lib/modules", kernel.Version)
	peer, err := buildLibkmod(t.Context(), os.Stderr, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.remove()
	tables, err := openTables(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tables.tables.Close()
	names, err := tables.names()
	if err != nil {
		t.Fatal(err)
	}
	sample := append(names[:len(names)/50], "usb_storage", "usb-storage", "e1000", "ext4", "fs-ext4", "no such name", "symbol:usb_register_driver", "pci:v[", "")
	if err := tables.compare(t.Context(), peer, sample); err != nil {
		t.Error(err)
	}
}
