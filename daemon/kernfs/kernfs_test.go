package kernfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func path(s string) []byte { return append([]byte(s), 0) }

func TestADirectoryOfMoreEntriesThanTheBufferHolds(t *testing.T) {
	root := t.TempDir()
	var want []string
	for i := range 500 {
		name := fmt.Sprintf("a-name-of-some-length-%03d", i)
		want = append(want, name)
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var d Dir
	for range 2 { // the second time with a used buffer
		if err := d.Open(unix.AT_FDCWD, path(root)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, kind, ok := d.Next(); ok; name, kind, ok = d.Next() {
			if kind != unix.DT_DIR || name[len(name)-1] != 0 {
				t.Errorf("%q is of type %d", name, kind)
			}
			got = append(got, string(name[:len(name)-1]))
		}
		d.Close()
		slices.Sort(got)
		if !slices.Equal(got, want) || d.Err() != nil {
			t.Errorf("%d names of %d: %v", len(got), len(want), d.Err())
		}
	}
}

func TestFilesAndLinks(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": "file", "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	at, err := Openat(unix.AT_FDCWD, path(root), unix.O_DIRECTORY)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(at)
	var buf [16]byte
	if n, err := Readlinkat(at, path("link"), buf[:]); err != nil || string(buf[:n]) != "file" {
		t.Errorf("the link says %q: %v", buf[:n], err)
	}
	if b, err := Readat(at, path("link"), buf[:]); err != nil || string(b) != "text" {
		t.Errorf("the file says %q: %v", b, err)
	}
	if _, err := Readat(at, path("dangling"), buf[:]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for name, want := range map[string]bool{"file": true, "link": true, "dangling": false, "nowhere": false} {
		if Exists(at, path(name)) != want {
			t.Errorf("%s exists: %v", name, !want)
		}
	}
}
