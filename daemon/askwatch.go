package daemon

import (
	"log/slog"
	"os"

	"github.com/fsnotify/fsnotify"
)

// An askWatch notices that somebody sets whom the kernel asks for modules, as
// "sysctl -p" does, while it is to ask the daemon's helper: what sleeps could not be
// woken from then on. The kernel tells of a write to a file of /proc/sys as of any
// other (vfs_write in fs/read_write.c).
type askWatch struct {
	file    string // the kernel's
	log     *slog.Logger
	changed chan struct{} // holds one token while a write was not taken

	watcher *fsnotify.Watcher // nil while it is not watched
	open    *os.File          // so that whoever opens it has the file that is watched
}

func newAskWatch(file string, log *slog.Logger) askWatch {
	return askWatch{file: file, log: log, changed: make(chan struct{}, 1)}
}

// watch begins to look out, or ends it.
func (w *askWatch) watch(on bool) {
	if on == (w.watcher != nil) {
		return
	}
	if !on {
		_ = w.watcher.Close()
		w.open.Close()
		w.watcher, w.open = nil, nil
		return
	}
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		if err = watcher.Add(w.file); err != nil {
			watcher.Close()
		}
	}
	if err != nil {
		w.log.Warn("it goes unnoticed when somebody else sets whom the kernel asks for modules", "file", w.file, "error", err)
		return
	}
	w.watcher = watcher
	w.open, _ = os.Open(w.file)
	go w.listen(watcher)
}

// listen passes on that somebody has written, until the watcher is closed. Whether
// that has changed anything is for whoever takes it to see.
func (w *askWatch) listen(watcher *fsnotify.Watcher) {
	for {
		select {
		case _, ok := <-watcher.Events:
			if !ok {
				return
			}
		case <-watcher.Errors:
		}
		nudge(w.changed)
	}
}
