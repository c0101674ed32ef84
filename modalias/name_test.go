package modalias_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/modalias"
)

func TestNormalizeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		offset   int
	}{
		{"a bracket that nothing closes", "usb:v[0-9", 5},
		{"a bracket that nothing closes after one that is closed", "a[b]c[", 5},
		{"a bracket that nothing opened", "usb]", 3},
		{"a second closing bracket, so no named classes", "[[:digit:]]", 10},
		{"a closing bracket as the first member", "[]a]", 3},
		{"a name as long as a path can't be", strings.Repeat("a", 4096), 4095},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := modalias.Normalize(tt.in)
			var bad *modalias.NameError
			if !errors.As(err, &bad) {
				t.Fatalf("Normalize(%q) = %q, %v; want a *NameError", tt.in, got, err)
			}
			if bad.Name != tt.in || bad.Offset != tt.offset {
				t.Errorf("error is about byte %d of %q, want byte %d of %q", bad.Offset, bad.Name, tt.offset, tt.in)
			}
			if len(err.Error()) > 300 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestNormalize(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing stays nothing", "", ""},
		{"the longest name", strings.Repeat("a", 4095), strings.Repeat("a", 4095)},
		{"dashes become underscores", "snd-hda-intel", "snd_hda_intel"},
		{"a range keeps its dash", "usb:v0-1d[0-9a-f]-*", "usb:v0_1d[0-9a-f]_*"},
		{"dots and capitals stay", "of:Nuart-A.b", "of:Nuart_A.b"},
		{"a bracket opened twice is closed once", "[[-]", "[[-]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := modalias.Normalize(tt.in); err != nil || got != tt.want {
				t.Errorf("Normalize(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestModuleName(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"an extension goes", "e1000e.ko", "e1000e"},
		{"all extensions go", "snd-hda-intel.ko.xz", "snd_hda_intel"},
		{"a name alone stays", "snd_hda_intel", "snd_hda_intel"},
		{"brackets mean nothing", "a[b-c].ko", "a[b_c]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := modalias.ModuleName(tt.in); got != tt.want {
				t.Errorf("ModuleName(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// What is normal stays as it is, so names may be normalized more than once.
func TestNormalizeTwiceIsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringOfN(rapid.RuneFrom([]rune("a-_[].*")), 0, 12, -1).Draw(t, "name")
		once, err := modalias.Normalize(in)
		if err != nil {
			return
		}
		if twice, err := modalias.Normalize(once); err != nil || twice != once {
			t.Fatalf("Normalize(%q) = %q, %v", once, twice, err)
		}
	})
}
