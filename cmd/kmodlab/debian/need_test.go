package debian

import (
	"io"
	"strings"
	"testing"
)

func TestWhatIsMissingIsSaidWithItsCure(t *testing.T) {
	for _, tt := range []struct {
		name      string
		root, apt bool
		want      string
	}{
		{"no apt", true, false, "and so is apt-get to install it: install your system's package of it (Debian calls it qemu-system-x86)"},
		{"neither", false, false, "Debian calls it qemu-system-x86"},
		{"no root", false, true, "type sudo apt-get install -y --no-install-recommends qemu-system-x86"},
		{"both", true, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := mayInstall("qemu-system-x86_64", "qemu-system-x86", tt.root, tt.apt)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "qemu-system-x86_64 is missing")):
				t.Errorf("error %v, want one that ends with %q", err, tt.want)
			}
		})
	}
}

func TestAProgramThatIsThereNeedsNothing(t *testing.T) {
	path, err := Need(t.Context(), io.Discard, "sh", "dash")
	if err != nil || !strings.HasSuffix(path, "/sh") {
		t.Errorf("got %q, %v; want the path of sh", path, err)
	}
}
