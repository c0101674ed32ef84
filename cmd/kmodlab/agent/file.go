package main

import (
	"io"
	"os"
	"path/filepath"

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
	// Not WriteAt: files of /sys and /proc take writes at 0 only, whatever the offset.
	if _, err = f.Seek(r.Offset, io.SeekStart); err == nil {
		_, err = f.Write(data)
	}
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	return err
}

// readFile streams a file.
func readFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
