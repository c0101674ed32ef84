package control

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"
)

const (
	// requestLimit is the size of a request, in bytes, without its NUL.
	requestLimit = 64 << 10
	// replyLimit is what a client takes from a daemon: some hundred thousand
	// devices.
	replyLimit = 64 << 20
	// firstRead is the size that a connection's buffer begins with and goes
	// back to: most requests are shorter.
	firstRead = 512
)

var errTooLong = errors.New("message too long")

// A source is the side of a [net.Conn] that frames reads.
type source interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// frames cuts what comes over a connection into messages. Its buffer grows
// with the message, for 64 silent connections must not cost 4 MiB.
type frames struct {
	from     source
	limit    int           // of a message, in bytes
	patience time.Duration // from a message's first byte to its last, 0 for ever

	buf     []byte
	handed  int  // bytes at the front of buf that next has returned already
	scanned int  // bytes of buf that are known to hold no NUL
	hurried bool // a deadline is set
}

// next returns the next message without its NUL. It is valid until next is
// called again. The end of the connection is [io.EOF] between two messages
// and [io.ErrUnexpectedEOF] within one.
func (f *frames) next() ([]byte, error) {
	f.discard()
	for {
		end := bytes.IndexByte(f.buf[f.scanned:], 0)
		if end >= 0 && f.scanned+end <= f.limit {
			f.handed = f.scanned + end + 1
			return f.buf[:f.handed-1], f.hurry(false)
		}
		f.scanned = len(f.buf)
		if len(f.buf) > f.limit {
			return nil, errTooLong
		}
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
}

// discard forgets the message that was returned last.
func (f *frames) discard() {
	rest := f.buf[f.handed:]
	if len(rest) == 0 && cap(f.buf) > firstRead {
		f.buf = nil
	}
	f.buf = append(f.buf[:0], rest...)
	f.handed, f.scanned = 0, 0
}

// fill reads once, whatever comes.
func (f *frames) fill() error {
	if err := f.hurry(len(f.buf) > 0); err != nil {
		return err
	}
	if len(f.buf) == cap(f.buf) {
		f.buf = slices.Grow(f.buf, max(firstRead, len(f.buf)))
	}
	n, err := f.from.Read(f.buf[len(f.buf):cap(f.buf)])
	f.buf = f.buf[:len(f.buf)+n]
	if n > 0 {
		return nil // an error comes again
	}
	if err == io.EOF && len(f.buf) > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// hurry sets the deadline when a message has begun, and takes it away when the
// message is complete.
func (f *frames) hurry(begun bool) error {
	if begun == f.hurried || f.patience == 0 {
		return nil
	}
	f.hurried = begun
	if begun {
		return f.from.SetReadDeadline(time.Now().Add(f.patience))
	}
	return f.from.SetReadDeadline(time.Time{})
}
