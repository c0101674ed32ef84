package daemon

import (
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/core"
)

// An openWatch is told once when somebody opens or closes a node, and then not any
// more until that is asked for again: some programs do that all the time. It costs
// nothing before it is asked for the first time. fsnotify, which watches all else,
// knows neither of opening nor of closing for reading.
type openWatch struct {
	dev  string // "" for /dev
	post func(core.Event)
	log  *slog.Logger

	mu      sync.Mutex
	file    *os.File         // inotify(7); nil before it is asked for, and if there is none
	modules map[int32]string // by watch
}

// touches are what is told of.
const touches = unix.IN_OPEN | unix.IN_CLOSE_WRITE | unix.IN_CLOSE_NOWRITE | unix.IN_ONESHOT

// watch looks out for the nodes of a module's devices.
func (w *openWatch) watch(e core.WatchNodes) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil && !w.start() {
		return
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		for _, name := range e.Names {
			// A node that has gone is opened by nobody.
			if id, err := unix.InotifyAddWatch(int(fd), filepath.Join(w.dev, name), touches); err == nil {
				w.modules[int32(id)] = e.Module
			}
		}
	})
}

func (w *openWatch) start() bool {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		w.log.Warn("when a device was used last is known less exactly", "error", err)
		return false
	}
	w.file, w.modules = os.NewFile(uintptr(fd), "inotify"), make(map[int32]string)
	go w.read(w.file)
	return true
}

// close ends it.
func (w *openWatch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file != nil {
		w.file.Close()
	}
}

// read passes on what the kernel tells, until the file is closed.
func (w *openWatch) read(file *os.File) {
	buf := make([]byte, 16*unix.SizeofInotifyEvent) // names come of directories only
	for {
		n, err := file.Read(buf)
		if err != nil {
			return
		}
		for event := buf[:n]; len(event) >= unix.SizeofInotifyEvent; event = event[unix.SizeofInotifyEvent:] {
			id, mask := int32(binary.NativeEndian.Uint32(event)), binary.NativeEndian.Uint32(event[4:])
			if module := w.told(id, mask); module != "" {
				w.post(core.NodeUsed{Module: module})
			}
		}
	}
}

// told says which module's node was opened or closed, "" for none.
func (w *openWatch) told(id int32, mask uint32) (module string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if mask&unix.IN_IGNORED != 0 { // it was told, or the node has gone
		delete(w.modules, id)
		return ""
	}
	return w.modules[id]
}
