package dev

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAFIFOIsNoBuildAndIsNotWaitedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hello.ko")
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readBuild(file); err == nil || unfinished(err) {
		t.Errorf("%v, want an error that does not pass by itself", err)
	}
}
