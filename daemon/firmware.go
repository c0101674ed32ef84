package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
)

// firmwareSettles is how long a directory of firmware must have been left alone
// before its files are looked at: one that is half written is of no use.
// They are looked at after firmwareAtLatest in any case: where the directory itself
// is missing, what changes may be something else that never ends.
const (
	firmwareSettles  = 500 * time.Millisecond
	firmwareAtLatest = 3 * time.Second
)

// A firmwareWatch looks out for firmware files that drivers have missed, or for files
// that deferred modules wait for. It costs nothing while there are none. Its methods must be called by one goroutine at a
// time.
type firmwareWatch struct {
	system kernel.System
	paths  bool // it looks for files by their paths, and not for firmware
	post   func(core.Event)
	log    *slog.Logger
	stop   context.CancelFunc // ends the search before; nil for none
	ended  <-chan struct{}    // when that search has ended; nil for none
	// mounted holds a token when file systems were mounted or unmounted.
	mounted chan struct{}
}

// await looks out for these files and no others.
func (w *firmwareWatch) await(names []string) {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
	if len(names) == 0 {
		return
	}
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	s := &firmwareSearch{
		names: names, paths: w.paths, dirs: []string{""}, seen: make(map[string]firmwareFile),
		mounted: w.mounted, post: w.post, log: w.log,
	}
	if !w.paths {
		s.dirs = w.system.FirmwareDirs()
	}
	ended := make(chan struct{})
	go s.runAfter(ctx, w.ended, ended)
	w.ended = ended
}

// A firmwareSearch is a watch for one list of names.
type firmwareSearch struct {
	names, dirs []string
	paths       bool
	seen        map[string]firmwareFile // by name, as last looked at
	mounted     <-chan struct{}
	post        func(core.Event)
	log         *slog.Logger
}

// runAfter runs the search when the one before it has ended: the list may change
// hundreds of times in a moment, and a user has 128 instances of inotify by default
// (fs.inotify.max_user_instances), which root's programs share.
func (s *firmwareSearch) runAfter(ctx context.Context, before <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	if before != nil {
		<-before
	}
	for anew := false; ctx.Err() == nil; anew = true {
		if !s.run(ctx, anew) {
			return
		}
	}
}

// run reports what is there, then what comes or changes, until ctx ends. It tells
// whether it is to be run anew instead: a file system was mounted where it looks,
// or taken away from there, of which inotify(7) does not tell.
func (s *firmwareSearch) run(ctx context.Context, anew bool) (again bool) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn(s.unnoticed(), "error", err)
		s.report(ctx, anew)
		return false
	}
	defer watcher.Close()
	known := s.watch(watcher)
	s.report(ctx, anew)
	settled := time.NewTimer(0)
	settled.Stop()
	defer settled.Stop()
	var changed time.Time // since when, zero for nothing
	for {
		select {
		case <-watcher.Events:
		case <-watcher.Errors: // of an overflow: something has changed
		case <-settled.C:
			known = s.watch(watcher)
			s.report(ctx, true)
			changed = time.Time{}
			continue
		case <-s.mounted:
			if slices.Equal(placesOf(s.places()), known) {
				continue
			}
			return true
		case <-ctx.Done():
			return false
		}
		if changed.IsZero() {
			changed = time.Now()
		}
		settled.Reset(min(firmwareSettles, time.Until(changed.Add(firmwareAtLatest))))
	}
}

// watch watches the directories in which the files may appear, or the nearest
// parents of those that are missing. It returns which these were just before.
func (s *firmwareSearch) watch(watcher *fsnotify.Watcher) []place {
	known := placesOf(s.places())
	for again := true; again; {
		again = false
		for _, dir := range s.places() {
			if slices.Contains(watcher.WatchList(), dir) {
				continue
			}
			if err := watcher.Add(dir); err != nil {
				s.log.Warn(s.unnoticed(), "in", dir, "error", err)
				return known
			}
			again = true // what appeared below it before it was watched
		}
	}
	return known
}

func (s *firmwareSearch) places() (dirs []string) {
	for _, name := range s.names {
		for _, dir := range s.dirs {
			if place := existing(filepath.Dir(filepath.Join(dir, name))); !slices.Contains(dirs, place) {
				dirs = append(dirs, place)
			}
		}
	}
	return dirs
}

// report tells which files are there that were not, or have changed.
func (s *firmwareSearch) report(ctx context.Context, changed bool) {
	for _, name := range s.names {
		is := s.find(name)
		switch {
		case is.path == "" || is == s.seen[name] || ctx.Err() != nil:
		case s.paths:
			s.post(core.PathThere{Path: name})
		default:
			s.post(core.FirmwareFound{Name: name, Changed: changed})
		}
		s.seen[name] = is
	}
}

// A firmwareFile tells a file from what was there before.
type firmwareFile struct {
	path     string // "" for none
	ino      uint64
	size     int64
	modified unix.Timespec
}

func (s *firmwareSearch) unnoticed() string {
	if s.paths {
		return "a file that deferred modules wait for goes unnoticed: use kmodctl release then"
	}
	return "firmware that is installed later goes unnoticed: use kmodctl rescan then"
}

func (s *firmwareSearch) find(name string) firmwareFile {
	files := kernel.FirmwareFiles(s.dirs, name)
	if s.paths {
		files = slices.Values([]string{name})
	}
	for path := range files {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil {
			return firmwareFile{path, st.Ino, st.Size, st.Mtim}
		}
	}
	return firmwareFile{}
}
