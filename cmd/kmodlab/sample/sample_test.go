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
	if !strings.HasPrefix(magic, kernel.Version+" ") || hello.Arch() != "x86_64" || hello.Signed || hello.Field("parmtype") != "n:int" {
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
	if got := slices.Collect(sample("probe_wants_firmware").Fields("firmware")); !slices.Equal(got, []string{"kmodlab/edu.bin"}) {
		t.Errorf("probe_wants_firmware names %q", got)
	}
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
