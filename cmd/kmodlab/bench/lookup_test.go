package bench

import (
	"os"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// A fiftieth of the names that the bench compares in full.
func TestLookUpsAreThoseOfLibkmod(t *testing.T) {
	peer, err := buildLibkmod(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.remove()
	for _, arch := range []debian.Architecture{debian.AMD64, debian.ARM64} {
		t.Run(string(arch), func(t *testing.T) { compareSample(t, peer, arch) })
	}
}

func compareSample(t *testing.T, peer libkmod, arch debian.Architecture) {
	tables, err := debianTable(t.Context(), os.Stderr, arch)
	if err != nil {
		t.Fatal(err)
	}
	defer tables.tables.Close()
	families, err := tables.families()
	if err != nil {
		t.Fatal(err)
	}
	names := mix(families)
	names = append(names[:len(names)/50], "usb_storage", "usb-storage", "e1000", "ext4", "fs-ext4", "no such name", "symbol:usb_register_driver", "pci:v[", "")
	run, err := peer.start(t.Context(), tables.tables.Dir(), nil, names)
	if err != nil {
		t.Fatal(err)
	}
	modules, err := run.modules()
	if err != nil {
		t.Fatal(err)
	}
	if err := tables.compare(names, modules[1]); err != nil {
		t.Error(err)
	}
	if took, err := run.turn(); err != nil || len(took) != 2 || took[1] <= 0 {
		t.Errorf("a turn took %v: %v", took, err)
	}
	if err := run.stop(); err != nil {
		t.Error(err)
	}
}
