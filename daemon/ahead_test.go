package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// opened watches a directory and returns what waits until n files were opened in it, and
// names them.
func opened(t *testing.T, dir string) (await func(n int) []string) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	return func(n int) (names []string) {
		buf := make([]byte, 4096)
		for len(names) < n {
			got, err := unix.Read(fd, buf)
			if err != nil {
				t.Fatal(err)
			}
			for b := buf[:got]; len(b) > 0; {
				event := (*unix.InotifyEvent)(unsafe.Pointer(&b[0]))
				name := b[unix.SizeofInotifyEvent:][:event.Len]
				names = append(names, string(bytes.TrimRight(name, "\x00")))
				b = b[unix.SizeofInotifyEvent+int(event.Len):]
			}
		}
		return names
	}
}

func TestFilesAreReadAheadInOrderWhateverIsWrongWithOne(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"b.ko", "a.ko", "c.ko"} {
		if err := os.WriteFile(path(name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(path("fifo.ko"), 0o600); err != nil {
		t.Fatal(err)
	}
	await := opened(t, dir)
	var a ahead
	a.read([]string{path("b.ko"), path("gone.ko"), path("fifo.ko")})
	a.read([]string{path("a.ko")})
	want := []string{"b.ko", "fifo.ko", "a.ko"}
	if got := await(len(want)); !slices.Equal(got, want) {
		t.Errorf("opened %v, want %v", got, want)
	}
	a.read([]string{path("c.ko")}) // after the end of the first crowd, or not
	if got := await(1); !slices.Equal(got, []string{"c.ko"}) {
		t.Errorf("opened %v after a pause", got)
	}
}
