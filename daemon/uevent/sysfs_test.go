package uevent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// sysfs unpacks an archive of testdata into a directory. Its file named links
// has a line PATH -> TARGET for each symbolic link.
func sysfs(t testing.TB, archive string) (root string) {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", archive))
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	for _, f := range a.Files {
		if f.Name != "links" {
			write(t, filepath.Join(root, f.Name), string(f.Data))
			continue
		}
		for line := range strings.Lines(string(f.Data)) {
			path, target, _ := strings.Cut(strings.TrimSpace(line), " -> ")
			link(t, target, filepath.Join(root, path))
		}
	}
	return root
}

func write(t testing.TB, path, content string) {
	t.Helper()
	mkdirFor(t, path)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, target, path string) {
	t.Helper()
	mkdirFor(t, path)
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func mkdirFor(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
}
