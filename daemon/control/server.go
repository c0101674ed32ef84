package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// A Server answers clients. All of its fields have to be set before Run.
type Server struct {
	Address  string
	Listener *net.UnixListener // from [Listen]; nil if the address can't be taken yet, see [Later]
	// Mounted delivers when file systems were mounted or unmounted, so that the
	// address may lead elsewhere, or may be taken at last. It may be nil.
	Mounted <-chan struct{}
	// Farewell is called when the context has ended, while the address is still
	// taken: whoever takes it next finds done what Farewell does. It may be nil.
	Farewell func()
	Version  string // of the daemon
	Handler  Handler
	Notes    *Notes // what Monitor streams
	Log      *slog.Logger

	once  sync.Once
	ready chan struct{}
	seats seats
}

// Ready is closed once clients are answered, or will be as soon as the address
// can be taken.
func (s *Server) Ready() <-chan struct{} {
	s.once.Do(func() { s.ready = make(chan struct{}) })
	return s.ready
}

// String names the server as a task.
func (s *Server) String() string {
	return "control socket " + s.Address
}

// Run answers clients until the context ends, then closes the socket and every
// connection, and returns nil when all of them are gone. When the address leads
// elsewhere it moves there; those who are connected already stay so.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()

	var d *door
	defer func() { d.close() }()
	if s.Listener != nil {
		d = s.open(ctx, s.Listener, &clients)
	}
	s.Ready()
	close(s.ready)
	for {
		select {
		case <-ctx.Done():
			if s.Farewell != nil {
				s.Farewell()
			}
			return nil
		case err := <-d.failure():
			return err
		case <-s.Mounted:
		}
		if d.leads() {
			continue
		}
		d.close()
		l, err := s.listenAgain()
		if err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
		if d = nil; l != nil {
			d = s.open(ctx, l, &clients)
		}
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
