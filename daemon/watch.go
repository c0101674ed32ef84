package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// A watch notices changes below directories that may not exist yet. Where one
// is missing, its nearest parent that exists is watched for it to appear.
type watch struct {
	dirs    []string          // the module directory first
	watcher *fsnotify.Watcher // nil where the kernel has no inotify, or none to give
	changes chan struct{}     // holds one token while a change was not taken
	log     *slog.Logger
}

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
	if w.watcher == nil {
		return
	}
	for want := w.wanted(); ; {
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
	var want []string
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
func existing(dir string) string {
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() || dir == "/" || dir == "." {
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
		select {
		case w.changes <- struct{}{}:
		default:
		}
	}
}

// matters tells whether an event is about a file that is read, or about one of
// the directories or what leads to them. Module files do not matter: what
// is installed is what the tables say.
func (w *watch) matters(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	if slices.Contains(w.dirs, filepath.Dir(e.Name)) {
		base := filepath.Base(e.Name)
		return strings.HasPrefix(base, "modules.") || strings.HasSuffix(base, ".conf")
	}
	return slices.ContainsFunc(w.dirs, func(dir string) bool {
		return dir == e.Name || strings.HasPrefix(dir, e.Name+"/")
	})
}
