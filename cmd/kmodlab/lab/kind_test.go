package lab

import (
	"slices"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
)

func TestAKindIsOfExactlyOneFamily(t *testing.T) {
	for _, board := range qemu.Boards {
		k := kind{board, Plain}
		if of := slices.IndexFunc(families, func(f family) bool { return slices.Contains(f.kinds(), k) }); of < 0 || families[of] != k.family() {
			t.Errorf("%s is of family %d, want %v", board.Name, of, k.family())
		}
	}
	folders := map[string]bool{}
	for _, f := range families {
		if folders[f.folder()] {
			t.Errorf("two families have the folder %s", f.folder())
		}
		folders[f.folder()] = true
	}
}

func TestWhatABoardCannotBeIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options Options
		want    string // in the error
	}{
		{"a board that is none", Options{Board: "c64"}, "no board is called c64; there are pc, pc-rt, virt, rpi3, sabrelite, orangepi-pc, buses"},
		{"a busy Pi", Options{Board: "rpi3", Busy: true}, "boot a Raspberry Pi 3: only a PC"},
		{"systemd on virt", Options{Board: "virt", Root: Debian}, "boot QEMU's virt: only a PC"},
		{"a PC with systemd", Options{Board: "pc", Root: Debian}, ""},
		{"a PC by default", Options{Busy: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.options.kind()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestBoardsOfOneArchitectureStartFromOneImage holds the promise of one image
// for several boards.
func TestBoardsOfOneArchitectureStartFromOneImage(t *testing.T) {
	b := newBuild(plainPC, nil, nil)
	b.siblings = siblings()
	arm := kind{qemu.Virt, Plain}.family()
	b.siblings[arm].once.Do(func() { b.siblings[arm].build = newBuild(arm, nil, nil) })
	virt, errVirt := b.of(t.Context(), kind{qemu.Virt, Plain}.family())
	pi, errPi := b.of(t.Context(), kind{qemu.RPi3, Plain}.family())
	if errVirt != nil || errPi != nil || virt != pi || virt == b {
		t.Errorf("virt starts from %p (%v), the Pi from %p (%v), the PC from %p; want one for the boards", virt, errVirt, pi, errPi, b)
	}
}
