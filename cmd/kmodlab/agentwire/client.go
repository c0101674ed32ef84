package agentwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// chunk is how much of a long input goes in one frame.
const chunk = 16 << 10

// A Client asks an agent. Its methods may be called concurrently.
type Client struct {
	conn  io.ReadWriteCloser
	ready chan struct{} // closed at the agent's first word
	done  chan struct{} // closed when the line has ended
	// sending holds what may be on the line unanswered to one long request
	// at a time.
	sending sync.Mutex

	// writing keeps frames whole on the line. It is held while the line is
	// full, so nothing else may depend on it.
	writing sync.Mutex

	// mu protects what follows.
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]call
	err     error // why the line ended; set before done is closed
}

// A call is a request that somebody waits for.
type call struct {
	answers chan answer
	gone    chan struct{} // closed when its caller has left
}

// An answer is one reply with its body.
type answer struct {
	Reply
	body []byte
}

// NewClient returns a client on a line and begins to read it. Close ends it.
func NewClient(conn io.ReadWriteCloser) *Client {
	c := &Client{
		conn:    conn,
		ready:   make(chan struct{}),
		done:    make(chan struct{}),
		waiting: make(map[uint64]call),
	}
	go c.read()
	return c
}

// Ready is closed when the agent has said that its guest is ready. A guest that
// was restored said so in an earlier life, so there nobody waits for it.
func (c *Client) Ready() <-chan struct{} { return c.ready }

// Done is closed when the line has ended: the guest is gone, or Close was
// called.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the line. Requests under way fail with os.ErrClosed.
func (c *Client) Close() error {
	c.end(os.ErrClosed)
	err := c.conn.Close()
	<-c.done
	return err
}

// read hands every reply to whoever waits for it.
func (c *Client) read() {
	defer close(c.done)
	line, err := skipNoise(c.conn)
	for err == nil {
		var a answer
		a.body, err = ReadFrame(line, &a.Reply)
		switch {
		case err != nil:
		case a.ID == Ready:
			c.sayReady()
		default:
			c.hand(a)
		}
	}
	c.end(fmt.Errorf("the line to the guest ended: %w", err))
}

// hand gives a reply to its caller, if that one still waits.
func (c *Client) hand(a answer) {
	c.mu.Lock()
	to, ok := c.waiting[a.ID]
	c.mu.Unlock()
	if !ok {
		return
	}
	select {
	case to.answers <- a:
	case <-to.gone:
	}
}

func (c *Client) sayReady() {
	select {
	case <-c.ready: // a guest that has restarted its agent
	default:
		close(c.ready)
	}
}

// end records why the line ended; the first reason counts.
func (c *Client) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = why
	}
}

// begin gives a request its number and a place for its answers.
func (c *Client) begin(r *Request) (call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return call{}, c.err
	}
	c.last++
	r.ID = c.last
	to := call{make(chan answer), make(chan struct{})}
	c.waiting[r.ID] = to
	return to, nil
}

// leave ends what begin began.
func (c *Client) leave(id uint64, to call) {
	c.mu.Lock()
	delete(c.waiting, id)
	c.mu.Unlock()
	close(to.gone)
}

func (c *Client) write(r Request, body []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return WriteFrame(c.conn, r, body)
}

// An Output gets what a request puts out, piece by piece, in order. It must not
// keep data.
type Output func(stream Stream, data []byte)

// Do sends a request, gives its output to out (nil drops it) and returns the
// last reply. The body must fit a frame. When ctx ends, the agent is told to
// end the request too. A reply with an Error is returned as an error.
func (c *Client) Do(ctx context.Context, r Request, body []byte, out Output) (Reply, error) {
	to, err := c.begin(&r)
	if err != nil {
		return Reply{}, err
	}
	defer c.leave(r.ID, to)
	if err := c.write(r, body); err != nil {
		return Reply{}, err
	}
	for {
		select {
		case a := <-to.answers:
			if a.Stream == None {
				return a.Reply, a.failure(r)
			}
			if out != nil {
				out(a.Stream, a.body)
			}
		case <-ctx.Done():
			return Reply{}, errors.Join(ctx.Err(), c.write(Request{Op: Cancel, Target: r.ID}, nil))
		case <-c.done:
			c.mu.Lock()
			defer c.mu.Unlock()
			return Reply{}, c.err
		}
	}
}

// failure is the error that a last reply carries.
func (a answer) failure(r Request) error {
	if a.Error == "" {
		return nil
	}
	return fmt.Errorf("guest: %s: %s", r.Op, a.Error)
}

// WriteFile writes a file of any length in the guest, whose permission bits
// become mode if it is new.
func (c *Client) WriteFile(ctx context.Context, path string, data []byte, mode os.FileMode) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	for offset := 0; offset == 0 || offset < len(data); offset += chunk {
		piece := data[offset:min(len(data), offset+chunk)]
		r := Request{Op: Write, Path: path, Mode: uint32(mode.Perm()), Offset: int64(offset)}
		if _, err := c.Do(ctx, r, piece, nil); err != nil {
			return err
		}
	}
	return nil
}

// ReadFile returns the content of a file in the guest.
func (c *Client) ReadFile(ctx context.Context, path string) ([]byte, error) {
	var content []byte
	_, err := c.Do(ctx, Request{Op: Read, Path: path}, nil, func(_ Stream, data []byte) {
		content = append(content, data...)
	})
	return content, err
}

// Follow gives the content of a file in the guest to out, and what is added to
// it later, until ctx ends, which is no error. The file may not be there yet.
func (c *Client) Follow(ctx context.Context, path string, out func(data []byte)) error {
	_, err := c.Do(ctx, Request{Op: Read, Path: path, Follow: true}, nil, func(_ Stream, data []byte) { out(data) })
	if ctx.Err() != nil {
		return nil
	}
	return err
}
