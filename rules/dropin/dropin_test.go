package dropin

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

func TestTheFirstDirectoryCountsAndNamesMakeTheOrder(t *testing.T) {
	root := t.TempDir()
	err := txtar.Write(txtar.Parse([]byte(`
-- etc/x.d/b.conf --
-- etc/x.d/.hidden.conf --
-- etc/x.d/readme --
-- etc/x.d/dir.conf/file --
-- run/x.d/a.conf --
-- usr/lib/x.d/b.conf --
-- usr/lib/x.d/c.conf --
-- lib/x.d/0.conf --
`)), root)
	if err != nil {
		t.Fatal(err)
	}
	files := Files(Directories(root, "x.d"), ".conf", func(dir string, err error) { t.Errorf("%s: %v", dir, err) })
	for i := range files {
		files[i] = strings.TrimPrefix(files[i], root)
	}
	want := []string{"/lib/x.d/0.conf", "/run/x.d/a.conf", "/etc/x.d/b.conf", "/usr/lib/x.d/c.conf"}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Error(diff)
	}
}

func TestADirectoryThatIsNoneIsWarnedOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.d")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var warned string
	if files := Files([]string{file}, ".conf", func(dir string, err error) { warned = dir + ": " + err.Error() }); len(files) != 0 {
		t.Errorf("files of a file: %q", files)
	}
	if want := file + ": not a directory"; warned != want {
		t.Errorf("warned of %q, want %q", warned, want)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"masked": "/dev/null", "zero": "/dev/zero"} {
		if err := os.Symlink(target, path(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path("file"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, want, says string }{
		{"missing", "", "no such file or directory"},
		{"fifo", "", "not a regular file"},
		{"zero", "", "not a regular file"},
		{"masked", "", ""},
		{"file", "text", ""},
	} {
		got, err := Read(path(tt.name))
		says := ""
		if err != nil {
			says = Bare(err).Error()
		}
		if got != tt.want || says != tt.says {
			t.Errorf("%s: %q and %q, want %q and %q", tt.name, got, says, tt.want, tt.says)
		}
	}
}
