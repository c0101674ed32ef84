package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
)

// writeFile writes one piece of a file. The first piece empties it; folders
// above it are made.
func writeFile(r agentwire.Request, data []byte) error {
	flags := os.O_WRONLY | os.O_CREATE
	if r.Offset == 0 {
		flags |= os.O_TRUNC
	}
	if err := os.MkdirAll(filepath.Dir(r.Path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(r.Path, flags, os.FileMode(r.Mode).Perm())
	if err != nil {
		return err
	}
	// Not WriteAt: files of /sys and /proc take writes at 0 only, whatever
	// the offset.
	if _, err = f.Seek(r.Offset, io.SeekStart); err == nil {
		_, err = f.Write(data)
	}
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	return err
}

// followPause is how often a file that is followed is looked at.
const followPause = 20 * time.Millisecond

// readFile streams a file. With follow it waits for the file and for more of
// it, until ctx ends.
func readFile(ctx context.Context, w io.Writer, path string, follow bool) error {
	f, err := os.Open(path)
	for follow && errors.Is(err, fs.ErrNotExist) && pause(ctx) {
		f, err = os.Open(path)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if _, err := io.Copy(w, f); err != nil || !follow || !pause(ctx) {
			return err
		}
	}
}

// pause waits a little, and says whether to go on.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(followPause):
		return true
	case <-ctx.Done():
		return false
	}
}
