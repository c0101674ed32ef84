// Package agentwire is the language between the bench and its agent in the
// guest: frames on a serial line, requests one way, replies the other.
//
// # Frames
//
// A serial line is a stream of bytes that nobody cuts into messages, so every
// message is a frame: a magic number, the lengths of two parts, a header in
// JSON, and a body of any bytes.
//
//	4 bytes  magic "kmL1"
//	4 bytes  length of the header, big-endian
//	4 bytes  length of the body, big-endian
//	         header
//	         body
//
// The line loses nothing as long as the guest keeps up: its UART holds 16 bytes
// and QEMU waits for room there, but the tty layer behind the UART drops what
// exceeds some 64 KiB (drivers/tty/tty_buffer.c). So a [Client] keeps what it
// has sent and not yet seen answered below that: long inputs go in pieces, one
// at a time.
//
// A driver that finds out what its port can do writes into it, and QEMU's mini
// UART of a Raspberry Pi sends that. So a Client ignores what comes before the
// first frame. Later on, bytes that are no frame are an error.
//
// # Requests and replies
//
// A request carries a number, and every reply to it carries that number: many
// can be under way at once, and replies may come in any order. A request is
// answered by any number of pieces of output and then one last reply with its
// result.
package agentwire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Limits of a frame, in bytes. They bound what a damaged length can cost.
const (
	MaxHeader = 64 << 10
	MaxBody   = 32 << 10
)

// ErrFrame is wrapped by the errors about bytes that are no frame.
var ErrFrame = errors.New("damaged frame")

const (
	magic  = "kmL1"
	prefix = len(magic) + 4 + 4
)

// WriteFrame writes one frame in a single Write. Concurrent callers must take
// turns.
func WriteFrame(w io.Writer, header any, body []byte) error {
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	if len(text) > MaxHeader || len(body) > MaxBody {
		return fmt.Errorf("write frame of %d+%d bytes: more than %d+%d", len(text), len(body), MaxHeader, MaxBody)
	}
	frame := make([]byte, 0, prefix+len(text)+len(body))
	frame = append(frame, magic...)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(text)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(body)))
	frame = append(append(frame, text...), body...)
	_, err = w.Write(frame)
	return err
}

// skipNoise reads up to the first frame and returns the line from there on.
func skipNoise(line io.Reader) (io.Reader, error) {
	start := make([]byte, len(magic))
	_, err := io.ReadFull(line, start)
	for err == nil && string(start) != magic {
		copy(start, start[1:])
		_, err = io.ReadFull(line, start[len(start)-1:])
	}
	return io.MultiReader(bytes.NewReader(start), line), err
}

// ReadFrame reads one frame. It returns io.EOF at a clean end, and an error
// that wraps ErrFrame for bytes that are no frame.
func ReadFrame(r io.Reader, header any) (body []byte, err error) {
	var start [prefix]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, err
	}
	if string(start[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it begins with %q", ErrFrame, start[:len(magic)])
	}
	lenHeader := binary.BigEndian.Uint32(start[len(magic):])
	lenBody := binary.BigEndian.Uint32(start[len(magic)+4:])
	if lenHeader > MaxHeader || lenBody > MaxBody {
		return nil, fmt.Errorf("%w: its parts are %d and %d bytes long", ErrFrame, lenHeader, lenBody)
	}
	both := make([]byte, lenHeader+lenBody)
	if _, err := io.ReadFull(r, both); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if err := json.Unmarshal(both[:lenHeader], header); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return both[lenHeader:], nil
}
