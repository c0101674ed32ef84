package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// pipe is a file that wakes up whoever polls it when something is written.
func pipe(t *testing.T) (name string, wake func()) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "mountinfo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return name, func() {
		if _, err := w.WriteString("x"); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryChangeOfMountsIsFollowedByALook(t *testing.T) {
	name, wake := pipe(t)
	looks := make(chan struct{})
	m := newMountWatch(name, func() error { looks <- struct{}{}; return nil }, silent)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	<-m.Ready()
	<-looks // at the start: what changed before it listened
	for range 3 {
		wake()
		<-looks
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the end of the context is no error: %v", err)
	}
}

func TestALookCanEndTheWatch(t *testing.T) {
	name, _ := pipe(t)
	enough := errors.New("enough")
	if err := newMountWatch(name, func() error { return enough }, silent).Run(t.Context()); !errors.Is(err, enough) {
		t.Errorf("Run gave %v", err)
	}
}

func TestWithoutProcMountsGoUnnoticed(t *testing.T) {
	m := newMountWatch(filepath.Join(t.TempDir(), "missing"), nil, silent)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	<-m.Ready()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run gave %v", err)
	}
}
