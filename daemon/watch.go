package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// A watch notices changes below directories that may not exist yet. Where one
// is missing, its nearest parent that exists is watched for it to appear.
type watch struct {
	dirs    []string          // the module directory first
	watcher *fsnotify.Watcher // nil where the kernel has no inotify, or none to give
	changes chan struct{}     // holds one token while a change was not taken
	log     *slog.Logger
	known   []place // the directories that were watched last
}

// A place is a directory that is somewhere: with a file system mounted over it,
// its path leads to another one.
type place struct {
	path     string
	dev, ino uint64
}

// placesOf says where paths lead.
func placesOf(paths []string) []place {
	places := make([]place, len(paths))
	for i, path := range paths {
		var stat unix.Stat_t
		_ = unix.Stat(path, &stat) // what is not there has no number
		places[i] = place{path, uint64(stat.Dev), stat.Ino}
	}
	return places
}

// covered tells whether anything was mounted over a directory that is watched,
// or taken away from it, since renew: inotify(7) does not tell.
func (w *watch) covered() bool { return !slices.Equal(placesOf(w.wanted()), w.known) }

// newWatch watches nothing yet: call renew.
func newWatch(dirs []string, log *slog.Logger) *watch {
	w := &watch{dirs: dirs, changes: make(chan struct{}, 1), log: log}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("changes of tables and configuration go unnoticed: use kmodctl reload", "error", err)
		return w
	}
	w.watcher = watcher
	go w.listen()
	return w
}

// changed delivers when something has changed since it last delivered.
func (w *watch) changed() <-chan struct{} { return w.changes }

// close ends the watch.
func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close() // nothing is lost that anybody still wants
	}
}

// renew watches what is there now, and the two folders above the first
// directory: /lib/modules may be moved away and back. A directory that was
// removed and made again is another one to inotify(7).
func (w *watch) renew() {
	want := w.wanted()
	w.known = placesOf(want)
	for w.watcher != nil {
		w.only(want)
		// What appeared before its parent was watched went unnoticed.
		now := w.wanted()
		if slices.Equal(now, want) {
			return
		}
		want = now
	}
}

// wanted lists the directories to watch: of those that are missing the nearest
// parent that exists.
func (w *watch) wanted() []string {
	want := make([]string, 0, len(w.dirs)+2)
	for _, dir := range w.dirs {
		want = append(want, existing(dir))
	}
	modules := filepath.Dir(w.dirs[0])
	return append(want, existing(modules), existing(filepath.Dir(modules)))
}

// only watches these directories and no others.
func (w *watch) only(want []string) {
	for _, dir := range w.watcher.WatchList() {
		if !slices.Contains(want, dir) {
			_ = w.watcher.Remove(dir) // it may be gone, which is as good
		}
	}
	for _, dir := range want {
		if err := w.watcher.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.log.Warn("changes go unnoticed: use kmodctl reload", "below", dir, "error", err)
		}
	}
}

// existing returns the nearest directory that is there: dir or a parent of it.
// It is asked often, so unlike os.Stat it leaves no garbage.
func existing(dir string) string {
	for {
		var stat unix.Stat_t
		if unix.Stat(dir, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR || dir == "/" || dir == "." {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// listen turns events into tokens until the watcher is closed.
func (w *watch) listen() {
	for {
		select {
		case e, ok := <-w.watcher.Events:
			if !ok {
				return
			}
			if !w.matters(e) {
				continue
			}
		case err, ok := <-w.watcher.Errors:
			if !ok {
				return
			}
			// An overflow of inotify's queue: something has changed.
			w.log.Warn("watching tables and configuration", "error", err)
		}
		nudge(w.changes)
	}
}

// matters tells whether an event is about a file that is read, or about one of
// the directories or what leads to them. Module files do not matter: what
// is installed is what the tables say.
func (w *watch) matters(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	base := filepath.Base(e.Name)
	isRead := strings.HasPrefix(base, "modules.") || strings.HasSuffix(base, ".conf") || strings.HasSuffix(base, ".toml")
	return slices.ContainsFunc(w.dirs, func(dir string) bool {
		return isRead && same(dir, filepath.Dir(e.Name)) || leads(e.Name, dir)
	})
}

// leads tells whether a path is a directory or leads to it, under whatever
// name: of a directory of two names (/lib is usr/lib) events come with the one
// that was watched first.
func leads(path, dir string) bool {
	for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if filepath.Base(dir) == filepath.Base(path) && same(filepath.Dir(dir), filepath.Dir(path)) {
			return true
		}
	}
	return false
}

// same tells whether two paths lead to one directory.
func same(a, b string) bool { return a == b || resolved(a) == resolved(b) }

// resolved is a path without links, or the path itself where nothing is.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}
