package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
)

// findPort reads from the kernel command line which port is the line to the
// bench: boards differ in that.
func findPort() (string, error) {
	words, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", err
	}
	for word := range strings.FieldsSeq(string(words)) {
		if name, ok := strings.CutPrefix(word, "lab.port="); ok {
			return "/dev/" + name, nil
		}
	}
	return "", fmt.Errorf("the kernel command line names no lab.port: %s", words)
}

// servePort answers the bench on its serial port.
func servePort(ctx context.Context) error {
	port, err := findPort()
	if err != nil {
		return err
	}
	line, err := os.OpenFile(port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer line.Close()
	if err := makeRaw(int(line.Fd())); err != nil {
		return fmt.Errorf("make %s raw: %w", port, err)
	}
	if err := superviseWitness(ctx); err != nil {
		return err
	}
	return newServer(line).serve(ctx)
}

// makeRaw has the tty pass bytes as they are, both ways (termios(3),
// cfmakeraw).
func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag = 0
	t.Oflag = 0
	t.Lflag = 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// A server does what requests ask for, each in its own goroutine.
type server struct {
	line io.ReadWriter

	writing sync.Mutex // keeps frames whole on the line

	mu         sync.Mutex // protects what follows
	underWay   map[uint64]context.CancelFunc
	background map[string]*background
}

func newServer(line io.ReadWriter) *server {
	return &server{
		line:       line,
		underWay:   make(map[uint64]context.CancelFunc),
		background: make(map[string]*background),
	}
}

// serve says that the guest is ready and answers requests until the line ends.
func (s *server) serve(ctx context.Context) error {
	if err := s.send(agentwire.Reply{ID: agentwire.Ready}, nil); err != nil {
		return err
	}
	for {
		var r agentwire.Request
		body, err := agentwire.ReadFrame(s.line, &r)
		if err != nil {
			return err
		}
		if r.Op == agentwire.Cancel {
			s.cancel(r.Target)
			continue
		}
		ctx, cancel := context.WithCancel(ctx)
		s.mu.Lock()
		s.underWay[r.ID] = cancel
		s.mu.Unlock()
		go s.answer(ctx, r, body)
	}
}

// cancel ends a request, if it is still under way.
func (s *server) cancel(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, ok := s.underWay[id]; ok {
		cancel()
	}
}

// answer does what one request asks for, and sends its last reply.
func (s *server) answer(ctx context.Context, r agentwire.Request, body []byte) {
	reply, err := s.do(ctx, r, body)
	s.mu.Lock()
	s.underWay[r.ID]()
	delete(s.underWay, r.ID)
	s.mu.Unlock()
	reply.ID = r.ID
	if err != nil {
		reply.Error = err.Error()
	}
	if err := s.send(reply, nil); err != nil {
		fmt.Fprintln(os.Stderr, "agent: answer:", err)
	}
}

func (s *server) do(ctx context.Context, r agentwire.Request, body []byte) (reply agentwire.Reply, err error) {
	switch r.Op {
	case agentwire.Run:
		reply.Exit, err = s.run(ctx, r, body)
	case agentwire.Until:
		reply.Exit, err = s.until(ctx, r)
	case agentwire.Start:
		reply.PID, err = s.start(r)
	case agentwire.Signal:
		err = s.signal(r)
	case agentwire.Wait:
		reply.Exit, err = s.wait(ctx, r.Name)
	case agentwire.Write:
		err = writeFile(r, body)
	case agentwire.Read:
		err = readFile(ctx, s.stream(r.ID, agentwire.Stdout), r.Path, r.Follow)
	case agentwire.Kmsg:
		err = kmsg(ctx, s.stream(r.ID, agentwire.Stdout), r.Follow)
	case agentwire.Clock:
		err = setClock(r.Time)
	case agentwire.SwitchRoot:
		err = switchRoot(ctx)
	case agentwire.PowerOff:
		unix.Sync()
		err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	default:
		err = fmt.Errorf("%q: %w", r.Op, errors.ErrUnsupported)
	}
	return reply, err
}

func (s *server) send(r agentwire.Reply, body []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return agentwire.WriteFrame(s.line, r, body)
}

// stream is a writer whose data goes to the bench as output of a request.
func (s *server) stream(id uint64, which agentwire.Stream) io.Writer {
	return streamWriter{s, agentwire.Reply{ID: id, Stream: which}}
}

type streamWriter struct {
	server *server
	header agentwire.Reply
}

func (w streamWriter) Write(data []byte) (int, error) {
	for sent := 0; sent < len(data); {
		piece := data[sent:min(len(data), sent+agentwire.MaxBody)]
		if err := w.server.send(w.header, piece); err != nil {
			return sent, err
		}
		sent += len(piece)
	}
	return len(data), nil
}

// setClock sets the wall clock, which in a restored guest stands where the
// template was made.
func setClock(t time.Time) error {
	now := unix.NsecToTimeval(t.UnixNano())
	return unix.Settimeofday(&now)
}
