package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A Monitor is a client of QEMU's machine protocol (docs/interop/qmp-spec.txt
// in QEMU's sources). Its methods may be called concurrently.
type Monitor struct {
	conn *net.UnixConn

	writing sync.Mutex // keeps commands whole on the line

	mu      sync.Mutex // protects what follows
	last    int
	waiting map[int]chan message
	events  []Event
	changed chan struct{} // closed and replaced when an event or the end has come
	err     error         // why the line ended
}

// An Event is something that QEMU says unasked.
type Event struct {
	Name string
	Data map[string]any
}

// A message is anything that QEMU says: its greeting, which has none of these,
// an event, or the return of a command.
type message struct {
	ID     *int            `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *Error          `json:"error"`
	Event  string          `json:"event"`
	Data   map[string]any  `json:"data"`
}

// An Error is QEMU's refusal of a command.
type Error struct {
	Command string `json:"-"`
	Class   string `json:"class"`
	Desc    string `json:"desc"`
}

var _ error = (*Error)(nil)

func (e *Error) Error() string { return fmt.Sprintf("qemu: %s: %s", e.Command, e.Desc) }

// newMonitor greets QEMU and begins to listen.
func newMonitor(ctx context.Context, conn *net.UnixConn) (*Monitor, error) {
	m := &Monitor{conn: conn, waiting: make(map[int]chan message), changed: make(chan struct{})}
	go m.listen()
	return m, m.Do(ctx, "qmp_capabilities", nil, nil)
}

// listen sorts what QEMU says until the line ends.
func (m *Monitor) listen() {
	for in := json.NewDecoder(m.conn); ; {
		var msg message
		if err := in.Decode(&msg); err != nil {
			m.end(err)
			return
		}
		m.mu.Lock()
		switch {
		case msg.Event != "":
			m.events = append(m.events, Event{msg.Event, msg.Data})
			m.wake()
		case msg.ID != nil:
			if to, ok := m.waiting[*msg.ID]; ok {
				to <- msg // holds one
				delete(m.waiting, *msg.ID)
			}
		}
		m.mu.Unlock()
	}
}

// wake tells everybody who waits that something has come. mu is held.
func (m *Monitor) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Monitor) end(why error) {
	if errors.Is(why, io.EOF) {
		why = errors.New("qemu has ended")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = why
	for _, to := range m.waiting {
		close(to)
	}
	m.wake()
}

// Do sends a command and decodes what it returns into result, nil for nothing.
// QEMU's refusal is an *Error.
func (m *Monitor) Do(ctx context.Context, command string, args map[string]any, result any) error {
	return m.do(ctx, command, args, nil, result)
}

// Hand gives QEMU a copy of a descriptor, which it knows by name from then on
// (getfd).
func (m *Monitor) Hand(ctx context.Context, name string, f *os.File) error {
	return m.do(ctx, "getfd", map[string]any{"fdname": name}, unix.UnixRights(int(f.Fd())), nil)
}

func (m *Monitor) do(ctx context.Context, command string, args map[string]any, rights []byte, result any) error {
	id, to, err := m.begin()
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if err := m.send(id, command, args, rights); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	select {
	case msg, ok := <-to:
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", command, m.ended())
		case msg.Error != nil:
			msg.Error.Command = command
			return msg.Error
		case result == nil:
			return nil
		}
		return json.Unmarshal(msg.Return, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", command, ctx.Err())
	}
}

func (m *Monitor) begin() (id int, to chan message, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	to = make(chan message, 1)
	m.waiting[m.last] = to
	return m.last, to, m.err
}

func (m *Monitor) ended() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *Monitor) send(id int, command string, args map[string]any, rights []byte) error {
	if args == nil {
		args = map[string]any{}
	}
	line, err := json.Marshal(map[string]any{"execute": command, "arguments": args, "id": id})
	if err != nil {
		return err
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	_, _, err = m.conn.WriteMsgUnix(append(line, '\n'), rights, nil)
	return err
}

// Now is a mark for Await: the number of events so far.
func (m *Monitor) Now() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.events)
}

// Await waits for an event that is wanted, among those that came or come after
// the mark since.
func (m *Monitor) Await(ctx context.Context, since int, wanted func(Event) bool) error {
	for {
		m.mu.Lock()
		events, changed, err := m.events[since:], m.changed, m.err
		since += len(events)
		m.mu.Unlock()
		for _, e := range events {
			if wanted(e) {
				return nil
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
