package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// acceptPause is how long the server waits after accept(2) has failed, as it
// does while the process is out of descriptors.
const acceptPause = time.Second

// Later tells whether an error of [Listen] may go away when file systems are
// mounted: /run may not be there yet, or be read-only. It does not where another
// daemon answers, or where the address can't be one.
func Later(err error) bool {
	return err != nil && !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EINVAL)
}

// A door is the socket that clients come in by. A nil one is none.
type door struct {
	listener *net.UnixListener
	address  string
	own      os.FileInfo // of the socket, nil if somebody has removed it already
	failed   chan error  // why nobody can come in any more
}

// open lets clients in by a listener.
func (s *Server) open(ctx context.Context, l *net.UnixListener, clients *sync.WaitGroup) *door {
	d := &door{listener: l, address: l.Addr().String(), failed: make(chan error, 1)}
	d.own, _ = os.Stat(d.address)
	clients.Go(func() { s.admit(ctx, d, clients) })
	return d
}

// leads tells whether the address still leads to this door. It does not when a
// file system was mounted over the directory, or taken away from it.
func (d *door) leads() bool {
	if d == nil {
		return false
	}
	now, err := os.Stat(d.address)
	return err == nil && d.own != nil && os.SameFile(d.own, now)
}

// close lets nobody in any more, and removes the socket if it is in sight.
func (d *door) close() {
	if d != nil {
		removeOwn(d.address, d.own)
		d.listener.Close()
	}
}

// failure delivers why nobody can come in any more.
func (d *door) failure() <-chan error {
	if d == nil {
		return nil
	}
	return d.failed
}

// admit lets clients in until the door is closed.
func (s *Server) admit(ctx context.Context, d *door, clients *sync.WaitGroup) {
	for {
		conn, err := d.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			d.failed <- fmt.Errorf("%v: %w", s, err)
			return
		case err != nil:
			s.Log.Warn("can't accept a client", "socket", d.address, "error", err)
			pause(ctx, acceptPause)
		default:
			clients.Go(func() { s.serve(ctx, conn) })
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// listenAgain takes the address where it leads now. If that can't be done yet,
// there is no listener; an error says that it never can.
func (s *Server) listenAgain() (*net.UnixListener, error) {
	l, err := Listen(s.Address)
	switch {
	case Later(err):
		s.Log.Debug("nobody can connect yet", "error", err)
		return nil, nil
	case err == nil:
		s.Log.Info("listening where the address leads now", "socket", s.Address)
	}
	return l, err
}
