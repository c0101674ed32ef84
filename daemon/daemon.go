package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kmsg"
	"github.com/kmodd/kmodd/daemon/uevent"
	"github.com/kmodd/kmodd/daemon/worker"
)

// Config is what the daemon is told at its start.
type Config struct {
	Version string
	Socket  string // where people ask, as a rule control.Address
	Limits  core.Limits
	// CommandTime is for how long an install command of modprobe.d may run
	// before it is killed, 0 for a minute.
	CommandTime time.Duration
	Log         *slog.Logger
	// Reload makes it read tables and configuration again, as SIGHUP does.
	Reload <-chan struct{}
}

// spare is how many loads more than there are processors may be under way while these
// have no time left: some always sleep.
const spare = 2

// Run is the daemon's life. It ends without an error when the context ends, and
// when the system moves to another root file system.
// An error of [kernel.System.Check] comes back as it is: this kernel, or this
// process, can't load modules.
func Run(ctx context.Context, c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	release, err := kernelRelease()
	if err != nil {
		return err
	}
	pool, err := worker.NewPool(worker.Config{})
	if err != nil {
		return err
	}
	defer closePool(pool)
	listener, err := listen(c.Socket)
	switch {
	case control.Later(err):
		c.Log.Warn("nobody can ask yet: the socket comes when file systems are mounted", "error", err)
	case err != nil:
		return err
	}
	c.Limits.Few = min(cmp.Or(c.Limits.Few, runtime.NumCPU()+spare), c.Limits.Slots)
	c.Limits.KeepNames = unix.Access(udevControl, unix.F_OK) != nil
	c.Limits.KeepUnused = c.Limits.KeepUnused || kernel.System{}.Realtime()
	l := newLoop(c, release, pool)
	if l.kmsg, err = kmsg.Open(kmsg.File); err != nil {
		c.Log.Warn("the kernel's own words will be missing", "error", err)
	}
	defer l.kmsg.Close()
	err = runTasks(ctx, c.Log, l.tasks(c, listener)...)
	if errors.Is(err, errRootMoved) {
		c.Log.Info("this daemon was left behind and ends; start kmodd from the new root", "reason", errRootMoved)
		return nil
	}
	return err
}

// udevControl is there while a udevd runs, which gives devices names that do not depend
// on the order of probes.
const udevControl = "/run/udev/control"

// check tells whether this process can do the daemon's work.
func (c Config) check() error {
	system := kernel.System{}
	if err := system.Check(); err != nil {
		return err
	}
	if kind := system.Container(); kind != "" {
		c.Log.Warn("in a container that may load modules: they go into the host's kernel", "container", kind)
	}
	return nil
}

// tasks makes everything that works beside the loop, and takes over from the
// daemon before this one. listener may be nil, for now.
func (l *loop) tasks(c Config, listener *net.UnixListener) []Task {
	source := uevent.NewSource("/sys", sink{l}, c.Log)
	l.source = source
	l.book = newRulebook(l.release, l.rules, c.Reload, c.Log)
	l.book.duties = dutiesBelow("")
	succession := newSuccession(filepath.Dir(c.Socket), c.Log)
	l.boot, l.forecast = succession.boot, ForecastFile
	l.persist, l.helper = succession.persist, succession.helper
	l.first = succession.first(l.started)
	l.step(succession.take()) // the loop does not run yet
	mounted := make(chan struct{}, 1)
	server := &control.Server{
		Address: c.Socket, Listener: listener, Mounted: mounted,
		Version: c.Version, Handler: l, Notes: &l.notes, Log: c.Log,
		Farewell: func() {
			<-l.done
			succession.leave(l.ours())
		},
	}
	mounts := newMountWatch("/proc/self/mountinfo", func() error {
		if succession.moved() {
			return errRootMoved
		}
		if !succession.noted {
			succession.first(l.started)
		}
		source.Retry()
		nudge(l.book.mounted)
		nudge(l.firmware.mounted)
		nudge(l.paths.mounted)
		nudge(mounted)
		return nil
	}, c.Log)
	return []Task{source, l.book, l, server, mounts}
}

// closePool ends idle workers. One that is in the kernel can't be ended and is
// not waited for.
func closePool(pool *worker.Pool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = pool.Close(ctx) // the time limit is its only error
}

// runTasks runs tasks until the first error or the end of the context, and
// tells the service manager when all of them are ready.
func runTasks(ctx context.Context, log *slog.Logger, tasks ...Task) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range tasks {
		group.Go(func() error {
			if err := t.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("%v: %w", t, err)
			}
			return nil
		})
	}
	group.Go(func() error {
		for _, t := range tasks {
			select {
			case <-t.Ready():
			case <-ctx.Done():
				return nil
			}
		}
		tell(log, daemon.SdNotifyReady)
		<-ctx.Done()
		tell(log, daemon.SdNotifyStopping)
		return nil
	})
	return group.Wait()
}

// tell passes a state on to the service manager, if there is one.
func tell(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("can't tell the service manager", "state", state, "error", err)
	}
}

func kernelRelease() (string, error) {
	release, err := kernel.Release()
	if err != nil {
		return "", fmt.Errorf("ask the kernel for its release: %w", err)
	}
	return release, nil
}

// suspended is for how long the machine was suspended since its start: what
// CLOCK_BOOTTIME has counted more than CLOCK_MONOTONIC.
func suspended() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano()) - sinceBoot()
}

func sinceBoot() time.Duration { return kernel.SinceBoot() }
