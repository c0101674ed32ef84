package regular_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/regular"
)

func TestContentIsReadWhateverItsSizeIsSaidToBe(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{0, 1, 511, 512, 513, 100_000} {
		name, want := filepath.Join(dir, "file"), strings.Repeat("x", size)
		if err := os.WriteFile(name, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, _, err := regular.Read(name); text != want || err != nil {
			t.Errorf("%d bytes: %d, %v", size, len(text), err)
		}
		if data, err := regular.Map(name); string(data) != want || (err == nil) != (size > 0) {
			t.Errorf("%d bytes are mapped: %d, %v", size, len(data), err)
		}
	}
	want, err := os.ReadFile("/proc/self/cgroup") // whose size is said to be 0
	if text, _, err2 := regular.Read("/proc/self/cgroup"); text != string(want) || err != nil || err2 != nil {
		t.Errorf("of /proc: %q, %v", text, errors.Join(err, err2))
	}
}

func TestWhatIsNoRegularFileHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{fifo: regular.ErrNot, dir: regular.ErrNot, "/dev/null": regular.ErrNot, filepath.Join(dir, "none"): fs.ErrNotExist} {
		if _, _, err := regular.Read(name); !errors.Is(err, want) {
			t.Errorf("read %s: %v", name, err)
		}
		if _, err := regular.Map(name); !errors.Is(err, want) {
			t.Errorf("map %s: %v", name, err)
		}
	}
}
