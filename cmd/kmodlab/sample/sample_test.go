package sample

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match/kofile"
)

func TestSamplesAreWhatTheirNamesSay(t *testing.T) {
	kernel, err := debian.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := Load(t.Context(), os.Stderr, kernel)
	if err != nil {
		t.Fatal(err)
	}
	sample := func(name string) *kofile.File {
		b, err := os.ReadFile(filepath.Join(dir, name+".ko"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := kofile.New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	hello := sample("hello")
	magic := hello.Field("vermagic")
	if !strings.HasPrefix(magic, kernel.Version+" ") || hello.Arch() != "x86_64" || hello.Signed || !slices.Contains(slices.Collect(hello.Fields("parmtype")), "n:int") {
		t.Errorf("hello: %+v", hello)
	}
	if !sample("signed").Signed {
		t.Error("signed is not")
	}
	if sample("othermagic").Field("vermagic") == magic {
		t.Error("othermagic has the same version magic as hello")
	}
	if sample("needs").Field("depends") != "gives" {
		t.Error("needs does not need gives")
	}
	if sample("needs_gpl").Field("license") != "GPL" || sample("proprietary").GPL() {
		t.Error("proprietary is under the GPL, or needs_gpl is not")
	}
	if sample("needs_apart").Field("import_ns") != "KMODLAB" || sample("noimport").Field("import_ns") != "" {
		t.Error("needs_apart does not import its namespace, or noimport does")
	}
	if of(t, sample("needs"), "kmodlab_given") == of(t, sample("othercrc"), "kmodlab_given") {
		t.Error("othercrc has the version that needs has")
	}
	if got := slices.Collect(sample("usb_table").Fields("alias")); len(got) != 2 || got[1] != "usb:v1209p0001d*dc*dsc*dp*ic*isc*ip*in*" {
		t.Errorf("usb_table has %q", got)
	}
	if got := slices.Collect(sample("of_table").Fields("alias")); len(got) != 4 || got[0] != "of:N*T*Ckmodlab,sensor-v2C*" {
		t.Errorf("of_table has %q", got)
	}
	if got := len(sample("takes").Parameters()); got < 16 {
		t.Errorf("takes has %d parameters", got)
	}
	if got := slices.Collect(sample("probe_wants_firmware").Fields("firmware")); !slices.Equal(got, []string{"kmodlab/edu.bin"}) {
		t.Errorf("probe_wants_firmware names %q", got)
	}
}

// of is the version of a symbol that a module needs.
func of(t *testing.T, f *kofile.File, symbol string) uint64 {
	t.Helper()
	versions, err := f.Versions()
	i := slices.IndexFunc(versions, func(v kofile.Version) bool { return v.Name == symbol })
	if err != nil || i < 0 {
		t.Fatalf("no version of %s: %v", symbol, err)
	}
	return versions[i].CRC
}

func TestAnotherSourceIsAnotherBuild(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.c")
	write := func(content string) string {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := digest([]string{name}, "kernel")
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	if write("one") == write("two") {
		t.Error("the same name for both")
	}
	if _, err := digest([]string{name + "x"}, "kernel"); err == nil {
		t.Error("a file that is not there has a digest")
	}
}
