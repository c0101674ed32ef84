package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// acceptPause is how long the server waits after accept(2) has failed, as it
// does while the process is out of descriptors.
const acceptPause = time.Second

// A Server answers clients. All of its fields have to be set before Run.
type Server struct {
	Listener *net.UnixListener // from [Listen]
	Version  string            // of the daemon
	Handler  Handler
	Notes    *Notes // what Monitor streams
	Log      *slog.Logger

	once  sync.Once
	ready chan struct{}
	seats seats
}

// Ready is closed once clients are answered.
func (s *Server) Ready() <-chan struct{} {
	s.once.Do(func() { s.ready = make(chan struct{}) })
	return s.ready
}

// String names the server as a task.
func (s *Server) String() string {
	return "control socket " + s.Listener.Addr().String()
}

// Run answers clients until the context ends, then closes the listener and
// every connection, and returns nil when all of them are gone.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var connections sync.WaitGroup
	defer connections.Wait()
	defer cancel()

	address := s.Listener.Addr().String()
	own, _ := os.Stat(address) // nil if somebody has removed it already
	defer removeOwn(address, own)
	stop := context.AfterFunc(ctx, func() { s.Listener.Close() })
	defer stop()
	s.Ready()
	close(s.ready)
	for {
		conn, err := s.Listener.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("%v: %w", s, err)
		case err != nil:
			s.Log.Warn("can't accept a client", "socket", s.Listener.Addr(), "error", err)
			pause(ctx, acceptPause)
		default:
			connections.Go(func() { s.serve(ctx, conn) })
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

// serve has one client from its first call to its last.
func (s *Server) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	peer, err := peerOf(conn)
	if err != nil {
		return
	}
	c := newSession(s, conn, peer)
	if !s.seats.take(peer.Uid) {
		c.fail(&Error{Name: NameBusy})
		return
	}
	defer s.seats.leave(peer.Uid)
	c.converse(ctx)
}

// ask hands a request to the daemon, if this client may ask it.
func (s *Server) ask(ctx context.Context, c call, peer *unix.Ucred) (any, error) {
	r, err := request(c)
	if err != nil {
		return nil, err
	}
	if r.changes() {
		if peer.Uid != 0 {
			return nil, &Error{Name: NamePermissionDenied}
		}
		s.Log.Info("asked over the control socket", "method", c.Method, "uid", peer.Uid, "pid", peer.Pid)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answer, err := s.Handler.Ask(ctx, r)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("the daemon found no time to answer within %v", answerTime)
	}
	return named(answer), err
}

// named makes an object of every answer: parameters are nothing else in
// Varlink, and never null.
func named(answer any) any {
	switch list := answer.(type) {
	case []Device:
		return DeviceList{present(list)}
	case []Module:
		return ModuleList{present(list)}
	case nil:
		return struct{}{}
	}
	return answer
}

// present makes "[]" of a list without members, which JSON would call null.
func present[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
