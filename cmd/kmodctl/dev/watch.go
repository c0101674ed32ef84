package dev

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is for how long nothing must have happened to a file.
const quiet = 150 * time.Millisecond

// A watch tells of builds and of sources that have changed, each when it has become quiet.
type watch struct {
	watcher *fsnotify.Watcher
	names   []string      // of the module's file, with and without links
	built   chan struct{} // holds a token while a change was not taken
	sources chan struct{} // likewise
}

// newWatch watches a file, which may not be there yet, and the sources beside it. Its
// folder must be there.
func newWatch(file string) (*watch, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", file, err)
	}
	w := &watch{watcher: watcher, names: []string{file}, built: make(chan struct{}, 1), sources: make(chan struct{}, 1)}
	if target, err := filepath.EvalSymlinks(file); err == nil && target != file {
		w.names = append(w.names, target)
	}
	for _, name := range w.names {
		if err := watcher.Add(filepath.Dir(name)); err != nil {
			_ = watcher.Close()
			return nil, fmt.Errorf("watch the folder %s: %w", filepath.Dir(name), err)
		}
	}
	go w.listen()
	return w, nil
}

func (w *watch) close() { _ = w.watcher.Close() }

// listen turns events into tokens until the watcher is closed.
func (w *watch) listen() {
	built, sources := time.NewTimer(0), time.NewTimer(0)
	defer built.Stop()
	defer sources.Stop()
	built.Stop()
	sources.Stop()
	for {
		select {
		case e, ok := <-w.watcher.Events:
			switch {
			case !ok:
				return
			case e.Op == fsnotify.Chmod:
			case slices.Contains(w.names, e.Name):
				built.Reset(quiet)
			case isSource(filepath.Base(e.Name)):
				sources.Reset(quiet)
			}
		case _, ok := <-w.watcher.Errors:
			if !ok {
				return
			}
			built.Reset(quiet) // of an overflow: anything may have changed
			sources.Reset(quiet)
		case <-built.C:
			nudge(w.built)
		case <-sources.C:
			nudge(w.sources)
		}
	}
}

func nudge(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// isSource says whether a file is one that somebody writes. The build makes *.mod.c.
func isSource(name string) bool {
	switch {
	case strings.HasPrefix(name, "."), strings.HasSuffix(name, ".mod.c"):
		return false
	case name == "Makefile", name == "Kbuild":
		return true
	}
	return strings.HasSuffix(name, ".c") || strings.HasSuffix(name, ".h")
}
