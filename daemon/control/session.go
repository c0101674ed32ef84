package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sendTime   = 5 * time.Second  // for a client to send the whole of a message
	takeTime   = 10 * time.Second // for a client to take the whole of a reply
	answerTime = 20 * time.Second // for the daemon to answer
)

// A session is the server's side of one connection. Its calls are answered one
// after the other, by one goroutine.
type session struct {
	server *Server
	conn   net.Conn
	peer   *unix.Ucred
	frames frames
}

func newSession(s *Server, conn net.Conn, peer *unix.Ucred) *session {
	return &session{
		server: s,
		conn:   conn,
		peer:   peer,
		frames: frames{from: conn, limit: requestLimit, patience: sendTime},
	}
}

// A reply is a message to a client.
type reply struct {
	Parameters any    `json:"parameters"`
	Continues  bool   `json:"continues,omitempty"`
	Error      string `json:"error,omitempty"`
}

// errEnded ends a connection of which nothing more is to be said.
var errEnded = errors.New("connection ended")

// converse answers calls until the client has left or has lost its right to
// be heard.
func (s *session) converse(ctx context.Context) {
	for {
		message, err := s.frames.next()
		if err != nil {
			s.complain(err)
			return
		}
		var c call
		if err := json.Unmarshal(message, &c); err != nil {
			s.refuse("not a call: " + err.Error())
			return
		}
		if err := s.answer(ctx, c); err != nil {
			return
		}
	}
}

// complain tells the client why its connection ends, if that is its own fault.
func (s *session) complain(err error) {
	switch {
	case errors.Is(err, errTooLong):
		s.refuse("longer than 64 KiB")
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.refuse("not complete within " + sendTime.String())
	case errors.Is(err, io.ErrUnexpectedEOF):
		s.refuse("ends without a NUL byte")
	}
}

func (s *session) refuse(reason string) {
	// The connection ends either way.
	_ = s.fail(&Error{Name: NameInvalidParameter, Detail: Detail{Parameter: "message", Reason: reason}})
}

// answer serves one call. Its error ends the connection.
func (s *session) answer(ctx context.Context, c call) error {
	switch {
	case c.Method == MethodMonitor && c.More:
		return s.monitor(ctx, c)
	case c.Method == MethodSettle:
		return s.settle(ctx, c)
	}
	value, err := s.value(ctx, c)
	switch {
	case c.Oneway:
		return nil
	case err != nil:
		return s.fail(replyError(c.Method, err))
	}
	return s.send(reply{Parameters: value}, takeTime)
}

// value is what a call is answered with.
func (s *session) value(ctx context.Context, c call) (any, error) {
	switch {
	case c.Upgrade:
		return nil, invalidParameter("upgrade")
	case c.Method == MethodMonitor:
		return nil, &Error{Name: NameExpectedMore, Detail: Detail{Method: c.Method}}
	case strings.HasPrefix(c.Method, service+"."):
		return introspect(c, s.server.Version)
	case strings.HasPrefix(c.Method, Interface+"."):
		return s.server.ask(ctx, c, s.peer)
	}
	name := c.Method[:max(0, strings.LastIndexByte(c.Method, '.'))]
	return nil, &Error{Name: NameInterfaceNotFound, Detail: Detail{Interface: name}}
}

// monitor streams notes for as long as the client listens. Nothing else is
// served on its connection any more.
func (s *session) monitor(ctx context.Context, c call) error {
	if err := c.takes(); err != nil {
		return s.fail(replyError(c.Method, err))
	}
	notes := s.server.Notes.Subscribe()
	defer notes.Close()
	ctx, done := s.whileThere(ctx)
	defer done()
	if err := s.note(Note{At: sinceStart(), What: Listening}); err != nil {
		return err
	}
	return s.stream(ctx, notes)
}

// settle answers when nothing is pending, however long that takes. It is the
// last call of its connection.
func (s *session) settle(ctx context.Context, c call) error {
	if err := c.takes(); err != nil {
		return s.fail(replyError(c.Method, err))
	}
	ctx, done := s.whileThere(ctx)
	defer done()
	answer, err := s.server.Handler.Ask(ctx, SettleRequest{})
	if err != nil {
		err = s.fail(replyError(c.Method, err))
	} else {
		err = s.send(reply{Parameters: named(answer)}, takeTime)
	}
	return errors.Join(errEnded, err)
}

// whileThere returns a context that ends when the client leaves, which nothing
// else would notice as long as there is nothing to write, or when it asks for
// anything more. done ends the connection.
func (s *session) whileThere(ctx context.Context) (there context.Context, done func()) {
	there, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		_, _ = s.frames.next()
		cancel()
	})
	return there, func() {
		s.conn.Close()
		watch.Wait()
	}
}

// sinceStart reads the clock of notes, CLOCK_MONOTONIC, as clock_gettime(2)
// has it: the time since the kernel's start, without that spent suspended.
func sinceStart() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

func (s *session) stream(ctx context.Context, notes *Subscription) error {
	for {
		batch, err := notes.Next(ctx)
		if err != nil {
			return errEnded
		}
		for _, note := range batch {
			if err := s.note(note); err != nil {
				return err
			}
		}
	}
}

// note sends one, without a time limit: whoever stops the terminal with Ctrl-S
// goes on where it was.
func (s *session) note(n Note) error {
	return s.send(reply{Parameters: n, Continues: true}, 0)
}

func (s *session) fail(e *Error) error {
	return s.send(reply{Parameters: e.Detail, Error: e.Name}, takeTime)
}

// send writes a message that the client has to take within the given time, 0
// for no limit.
func (s *session) send(r reply, within time.Duration) error {
	message, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var deadline time.Time
	if within > 0 {
		deadline = time.Now().Add(within)
	}
	if err := s.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err = s.conn.Write(append(message, 0))
	return err
}
