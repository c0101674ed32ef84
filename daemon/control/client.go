package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// A Client asks the daemon. It serves one call at a time and must not be used
// from several goroutines at once.
type Client struct {
	address string
	conn    net.Conn
	frames  frames
}

// Dial connects to the daemon at a path, as a rule [Address].
func Dial(ctx context.Context, address string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", address)
	if err != nil {
		return nil, fmt.Errorf("kmodd does not answer on %s: %w%s", address, bare(err), dialCure(err))
	}
	return &Client{
		address: address,
		conn:    conn,
		frames:  frames{from: conn, limit: replyLimit},
	}, nil
}

// bare takes off what net says before the errno: the address, once more.
func bare(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func dialCure(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return "; start it with systemctl start kmodd, or kmodd"
	case errors.Is(err, unix.EAGAIN):
		return "; it is busy, try again"
	}
	return ""
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Call calls a method, with in as its parameters (nil for none), and puts what
// it returns into out (nil to ignore it). An error of the daemon's is an
// [*Error]. After any other error the connection is of no use.
func (c *Client) Call(ctx context.Context, method string, in, out any) error {
	defer c.obey(ctx)()
	if err := c.send(method, in, false); err != nil {
		return c.failed(ctx, method, err)
	}
	if _, err := c.receive(out); err != nil {
		return c.failed(ctx, method, err)
	}
	return nil
}

// Stream calls a method that answers more than once and yields every answer.
// It ends after the last one, after an error, or when the context ends, which
// is the error then. The client has to be closed afterwards.
func Stream[T any](ctx context.Context, c *Client, method string, in any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer c.obey(ctx)()
		err := c.send(method, in, true)
		for more := true; err == nil && more; {
			var value T
			if more, err = c.receive(&value); err == nil && !yield(value, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, c.failed(ctx, method, err))
		}
	}
}

// obey makes the connection fail when the context ends, until the function
// that it returns is called.
func (c *Client) obey(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// failed says which call an error is of, and prefers the context's reason.
func (c *Client) failed(ctx context.Context, method string, err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return err
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return fmt.Errorf("call %s on %s: %w", method, c.address, err)
}

func (c *Client) send(method string, in any, more bool) error {
	message := call{Method: method, More: more}
	if in != nil {
		var err error
		if message.Parameters, err = json.Marshal(in); err != nil {
			return err
		}
	}
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = c.conn.Write(append(b, 0))
	if errors.Is(err, unix.EPIPE) {
		return nil // the daemon has hung up, and receive may read why
	}
	return err
}

var errHungUp = errors.New("kmodd ended the connection; its log may say why (journalctl -u kmodd)")

// receive reads one reply, and says whether another one follows.
func (c *Client) receive(out any) (more bool, err error) {
	message, err := c.frames.next()
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
		return false, errHungUp
	}
	if err != nil {
		return false, err
	}
	var r struct {
		Parameters json.RawMessage `json:"parameters"`
		Continues  bool            `json:"continues"`
		Error      string          `json:"error"`
	}
	if err := json.Unmarshal(message, &r); err != nil {
		return false, fmt.Errorf("read the reply: %w", err)
	}
	if r.Error != "" {
		return false, remoteError(r.Error, r.Parameters)
	}
	if out == nil || r.Parameters == nil {
		return r.Continues, nil
	}
	if err := json.Unmarshal(r.Parameters, out); err != nil {
		return false, fmt.Errorf("read the reply: %w", err)
	}
	return r.Continues, nil
}

// remoteError keeps an error's name even if its parameters are not ours.
func remoteError(name string, parameters json.RawMessage) error {
	e := &Error{Name: name}
	_ = json.Unmarshal(parameters, &e.Detail)
	return e
}
