package debian

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// grow makes a tree that holds one file, for shelf.fill.
func grow(t *testing.T, made *int) func(string) (string, string, error) {
	return func(scratch string) (string, string, error) {
		*made++
		tree := filepath.Join(scratch, "tree")
		if err := os.Mkdir(tree, 0o755); err != nil {
			t.Error(err)
		}
		return "v1", tree, os.WriteFile(filepath.Join(tree, "file"), nil, 0o644)
	}
}

func TestAFailedFetchLeavesNothingBehind(t *testing.T) {
	s := shelf{t.TempDir(), "current"}
	broken := errors.New("no network")
	_, err := s.fill(t.Context(), io.Discard, func(scratch string) (string, string, error) {
		if err := os.WriteFile(filepath.Join(scratch, "half"), nil, 0o644); err != nil {
			t.Error(err)
		}
		return "", "", broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "lock" {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestManyWhoAskAtOnceFetchOnce(t *testing.T) {
	s := shelf{t.TempDir(), "current"}
	made := 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			tree, err := s.fill(t.Context(), io.Discard, grow(t, &made))
			if err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(tree, "file")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made != 1 {
		t.Errorf("fetched %d times, want once", made)
	}
}

func TestWaitingForALockEndsWithItsContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Lock(ctx, file, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	unlock()
	unlock, err = Lock(t.Context(), file, nil) // the one who gave up must not keep it
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
