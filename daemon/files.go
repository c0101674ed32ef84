package daemon

import (
	"context"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
)

// filesSettle is how long a directory of firmware must have been left alone
// before its files are looked at: one that is half written is of no use.
// They are looked at after filesAtLatest in any case: where the directory itself
// is missing, what changes may be something else that never ends.
const (
	filesSettle   = 500 * time.Millisecond
	filesAtLatest = 3 * time.Second
)

// A fileKind is a kind of files that may come later.
type fileKind struct {
	dirs      func() []string // below which they are looked for
	files     func(dirs []string, name string) iter.Seq[string]
	found     func(name string, changed bool) core.Event
	unnoticed string // what to say if they can't be looked out for
}

// firmwareOf are firmware files that drivers have missed.
func firmwareOf(system kernel.System) fileKind {
	return fileKind{
		dirs:      system.FirmwareDirs,
		files:     kernel.FirmwareFiles,
		found:     func(name string, changed bool) core.Event { return core.FirmwareFound{Name: name, Changed: changed} },
		unnoticed: "firmware that is installed later goes unnoticed: use kmodctl rescan then",
	}
}

// triggers are the files that deferred modules wait for, named by their paths.
var triggers = fileKind{
	dirs:      func() []string { return []string{""} },
	files:     func(_ []string, name string) iter.Seq[string] { return slices.Values([]string{name}) },
	found:     func(name string, _ bool) core.Event { return core.PathThere{Path: name} },
	unnoticed: "a file that deferred modules wait for goes unnoticed: use kmodctl release then",
}

// A fileWatch looks out for files of a kind. It costs nothing while there are none to
// look out for. Its methods must be called by one goroutine at a time.
type fileWatch struct {
	fileKind
	post  func(core.Event)
	log   *slog.Logger
	stop  context.CancelFunc // ends the search before; nil for none
	ended <-chan struct{}    // when that search has ended; nil for none
	// mounted holds a token when file systems were mounted or unmounted.
	mounted chan struct{}
}

func newFileWatch(k fileKind, post func(core.Event), log *slog.Logger) fileWatch {
	return fileWatch{fileKind: k, post: post, log: log, mounted: make(chan struct{}, 1)}
}

// await looks out for these files and no others.
func (w *fileWatch) await(names []string) {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
	if len(names) == 0 {
		return
	}
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	s := &fileSearch{
		fileKind: w.fileKind, names: names, below: w.dirs(), seen: make(map[string]foundFile),
		mounted: w.mounted, post: w.post, log: w.log,
	}
	ended := make(chan struct{})
	go s.runAfter(ctx, w.ended, ended)
	w.ended = ended
}

// A fileSearch is a watch for one list of names.
type fileSearch struct {
	fileKind
	names, below []string
	seen         map[string]foundFile // by name, as last looked at
	mounted      <-chan struct{}
	post         func(core.Event)
	log          *slog.Logger
}

// runAfter runs the search when the one before it has ended: the list may change
// hundreds of times in a moment, and a user has 128 instances of inotify by default
// (fs.inotify.max_user_instances), which root's programs share.
func (s *fileSearch) runAfter(ctx context.Context, before <-chan struct{}, ended chan<- struct{}) {
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
func (s *fileSearch) run(ctx context.Context, anew bool) (again bool) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn(s.unnoticed, "error", err)
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
		settled.Reset(min(filesSettle, time.Until(changed.Add(filesAtLatest))))
	}
}

// watch watches the directories in which the files may appear, or the nearest
// parents of those that are missing. It returns which these were just before.
func (s *fileSearch) watch(watcher *fsnotify.Watcher) []place {
	known := placesOf(s.places())
	for again := true; again; {
		again = false
		for _, dir := range s.places() {
			if slices.Contains(watcher.WatchList(), dir) {
				continue
			}
			if err := watcher.Add(dir); err != nil {
				s.log.Warn(s.unnoticed, "in", dir, "error", err)
				return known
			}
			again = true // what appeared below it before it was watched
		}
	}
	return known
}

func (s *fileSearch) places() (dirs []string) {
	for _, name := range s.names {
		for _, dir := range s.below {
			if place := existing(filepath.Dir(filepath.Join(dir, name))); !slices.Contains(dirs, place) {
				dirs = append(dirs, place)
			}
		}
	}
	return dirs
}

// report tells which files are there that were not, or have changed.
func (s *fileSearch) report(ctx context.Context, changed bool) {
	for _, name := range s.names {
		is := s.find(name)
		if is.path != "" && is != s.seen[name] && ctx.Err() == nil {
			s.post(s.found(name, changed))
		}
		s.seen[name] = is
	}
}

// A foundFile tells a file from what was there before.
type foundFile struct {
	path     string // "" for none
	ino      uint64
	size     int64
	modified unix.Timespec
}

func (s *fileSearch) find(name string) foundFile {
	for path := range s.files(s.below, name) {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil {
			return foundFile{path, st.Ino, st.Size, st.Mtim}
		}
	}
	return foundFile{}
}
