package daemon

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A watch notices changes below directories that may not exist yet. Where one
// is missing, its nearest parent that exists is watched for it to appear.
//
// It reads inotify(7) itself: fsnotify keeps a buffer of 64 KiB on a stack, of
// which that makes 128, for as long as it lives.
type watch struct {
	dirs    []string
	changes chan struct{} // holds one token while a change was not taken
	log     *slog.Logger
	inotify *os.File // nil where the kernel has no inotify, or none to give
	fd      int      // of inotify

	// mu protects watched, which renew and listen use: the directories by watch
	// descriptor. Several names may be of one, where /lib is a link.
	mu      sync.Mutex
	watched map[int32][]string
}

// watchedFor is what inotify is to tell of a directory: all but who reads it, and
// changes of permissions.
const watchedFor = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// newWatch watches nothing yet: call renew.
func newWatch(dirs []string, log *slog.Logger) *watch {
	w := &watch{dirs: dirs, changes: make(chan struct{}, 1), log: log, watched: make(map[int32][]string)}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		log.Warn("changes of tables and configuration go unnoticed: use kmodctl reload", "error", os.NewSyscallError("inotify_init", err))
		return w
	}
	w.inotify, w.fd = os.NewFile(uintptr(fd), "inotify"), fd
	go w.listen()
	return w
}

// changed delivers when something has changed since it last delivered.
func (w *watch) changed() <-chan struct{} { return w.changes }

// close ends the watch.
func (w *watch) close() {
	if w.inotify != nil {
		_ = w.inotify.Close() // nothing is lost that anybody still wants
	}
}

// renew watches what is there now. A directory that was removed and made again
// is another one to inotify(7).
func (w *watch) renew() {
	if w.inotify == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := make(map[int32][]string)
	for _, missing := range w.dirs {
		dir := existing(missing)
		wd, err := unix.InotifyAddWatch(w.fd, dir, watchedFor)
		switch {
		case err == nil:
			now[int32(wd)] = append(now[int32(wd)], dir)
		case !errors.Is(err, fs.ErrNotExist):
			w.log.Warn("changes go unnoticed: use kmodctl reload", "below", dir, "error", os.NewSyscallError("inotify_add_watch", err))
		}
	}
	for wd := range w.watched {
		if _, ok := now[wd]; !ok {
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd)) // it may be gone, which is as good
		}
	}
	w.watched = now
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

// listen turns events into tokens until the watch is closed.
func (w *watch) listen() {
	buf := make([]byte, 4<<10) // the longest event has a name of 255 bytes
	for {
		n, err := w.inotify.Read(buf)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				w.log.Warn("changes of tables and configuration go unnoticed from now on: use kmodctl reload", "error", err)
			}
			return
		}
		if !w.anyMatters(buf[:n]) {
			continue
		}
		select {
		case w.changes <- struct{}{}:
		default:
		}
	}
}

// anyMatters reads events: struct inotify_event, of watch descriptor, mask,
// cookie and the length of the name, and the name, padded with NULs.
func (w *watch) anyMatters(events []byte) (matters bool) {
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(events))
		mask := binary.NativeEndian.Uint32(events[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		name, _, _ := bytes.Cut(events[unix.SizeofInotifyEvent:end], []byte{0})
		if w.matters(wd, mask, string(name)) {
			matters = true
		}
		events = events[end:]
	}
	return matters
}

// matters tells whether an event is about a file that is read, or about one of
// the directories or what leads to them. Module files do not matter: what
// is installed is what the tables say. An overflow of inotify's queue means that
// something has changed.
func (w *watch) matters(wd int32, mask uint32, name string) bool {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		return true
	}
	w.mu.Lock()
	dirs := w.watched[wd] // never changed, but for being replaced
	w.mu.Unlock()
	return mask&unix.IN_IGNORED == 0 && slices.ContainsFunc(dirs, func(dir string) bool { return w.isAbout(dir, name) })
}

// isAbout tells whether a name in a directory, or the directory itself if
// there is no name, is of interest.
func (w *watch) isAbout(dir, name string) bool {
	if name != "" && slices.Contains(w.dirs, dir) {
		return strings.HasPrefix(name, "modules.") || strings.HasSuffix(name, ".conf")
	}
	path := filepath.Join(dir, name)
	return slices.ContainsFunc(w.dirs, func(dir string) bool {
		return dir == path || strings.HasPrefix(dir, path+"/")
	})
}
