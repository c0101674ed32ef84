package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// mountsSettle is how long changes of mounts are collected before anybody hears
// of them: systems that start mount a dozen file systems in a row.
const mountsSettle = 100 * time.Millisecond

// A mountWatch notices that file systems were mounted, unmounted, moved or
// mounted otherwise in this process's mount namespace.
type mountWatch struct {
	file    string       // usually /proc/self/mountinfo
	changed func() error // called at the start and some time after each change; its error ends Run
	log     *slog.Logger
	ready   chan struct{}
}

func newMountWatch(file string, changed func() error, log *slog.Logger) *mountWatch {
	return &mountWatch{file: file, changed: changed, log: log, ready: make(chan struct{})}
}

// Ready is closed when changes are noticed.
func (m *mountWatch) Ready() <-chan struct{} { return m.ready }

// String names the task.
func (m *mountWatch) String() string { return "mounts" }

// Run waits for changes until the context ends. The kernel wakes up whoever
// polls the file (mounts_poll in fs/proc_namespace.c, proc_pid_mountinfo(5)),
// the runtime's poller among them. All the waiting is in one call of Read, for a
// wake-up that came between two would be lost.
func (m *mountWatch) Run(ctx context.Context) error {
	fd, err := unix.Open(m.file, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		m.log.Warn("mounts go unnoticed: kmodctl rescan and kmodctl reload look again", "file", m.file, "error", err)
		close(m.ready)
		<-ctx.Done()
		return nil
	}
	file := os.NewFile(uintptr(fd), m.file)
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch %s: %w", m.file, err)
	}
	long := time.Unix(1, 0) // ago: it ends the waiting
	defer context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(long) })()
	close(m.ready)
	var ended error
	err = raw.Read(func(uintptr) bool {
		select {
		case <-time.After(mountsSettle):
			ended = m.changed()
		case <-ctx.Done():
		}
		return ended != nil
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return errors.Join(err, ended)
}

// nudge leaves a token for whoever reads the channel, if there is none yet.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
