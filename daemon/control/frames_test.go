package control

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inert is a source that has no deadlines.
type inert struct{ io.Reader }

func (inert) SetReadDeadline(time.Time) error { return nil }

// drain reads messages until there are no more, and says why.
func drain(f *frames) (messages []string, err error) {
	for {
		m, err := f.next()
		if err != nil {
			return messages, err
		}
		messages = append(messages, string(m))
	}
}

func TestFrames(t *testing.T) {
	tests := []struct {
		name, stream string
		want         []string
		end          error
	}{
		{"nothing is the end", "", nil, io.EOF},
		{"a message without its NUL is cut short", "abc", nil, io.ErrUnexpectedEOF},
		{"so is a second one", "abc\x00d", []string{"abc"}, io.ErrUnexpectedEOF},
		{"a message over the limit is refused", "123456789\x00", nil, errTooLong},
		{"one that has no end is refused as soon", strings.Repeat("x", 100), nil, errTooLong},
		{"what came before it is heard", "ok\x00123456789\x00", []string{"ok"}, errTooLong},
		{"a message may be as long as the limit", "12345678\x00", []string{"12345678"}, io.EOF},
		{"an empty message is a message", "\x00\x00", []string{"", ""}, io.EOF},
		{"several messages may come at once", "a\x00bc\x00d\x00", []string{"a", "bc", "d"}, io.EOF},
	}
	readers := map[string]func(io.Reader) io.Reader{
		"whole":             func(r io.Reader) io.Reader { return r },
		"byte by byte":      iotest.OneByteReader,
		"error with data":   iotest.DataErrReader,
		"half of each read": iotest.HalfReader,
	}
	for _, tt := range tests {
		for how, wrap := range readers {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				f := &frames{from: inert{wrap(strings.NewReader(tt.stream))}, limit: 8}
				got, err := drain(f)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("messages (-want +got):\n%s", diff)
				}
				if !errors.Is(err, tt.end) {
					t.Errorf("ended with %v, want %v", err, tt.end)
				}
			})
		}
	}
}

func TestFramesHurriesOnlyAMessageThatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		f := &frames{from: server, limit: 100, patience: 5 * time.Second}
		var writer sync.WaitGroup
		defer writer.Wait()
		defer server.Close()
		writer.Go(func() {
			time.Sleep(time.Hour) // silence is nobody's fault
			client.Write([]byte("a"))
			time.Sleep(4 * time.Second)
			client.Write([]byte("b\x00"))
			time.Sleep(time.Hour)
			for range 6 { // never silent for long, and never done
				client.Write([]byte("c"))
				time.Sleep(time.Second)
			}
		})
		got, err := drain(f)
		if diff := cmp.Diff([]string{"ab"}, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended with %v, want a deadline", err)
		}
	})
}

func TestFramesGivesALargeBufferBack(t *testing.T) {
	stream := strings.Repeat("x", requestLimit) + "\x00"
	f := &frames{from: inert{strings.NewReader(stream)}, limit: requestLimit}
	if got, err := drain(f); len(got) != 1 || err != io.EOF {
		t.Fatalf("read %d messages and %v", len(got), err)
	}
	if cap(f.buf) > 2*firstRead {
		t.Errorf("the buffer keeps %d bytes", cap(f.buf))
	}
}

// FuzzFrames compares with the whole stream cut at its NULs.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(`{"method":"io.kmodd.Status"}`+"\x00"), 64, uint8(3))
	f.Add([]byte("a\x00\x00b"), 1, uint8(1))
	f.Add(bytes.Repeat([]byte("x"), 2000), 1000, uint8(200))
	f.Fuzz(func(t *testing.T, stream []byte, limit int, step uint8) {
		if limit < 0 || limit > requestLimit {
			t.Skip()
		}
		fr := &frames{from: inert{&stepReader{stream, int(step)%64 + 1}}, limit: limit}
		got, err := drain(fr)
		want, end := reference(stream, limit)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		if err != end {
			t.Errorf("ended with %v, want %v", err, end)
		}
	})
}

// reference is frames on a stream that is there as a whole.
func reference(stream []byte, limit int) (messages []string, end error) {
	for {
		m, rest, found := bytes.Cut(stream, []byte{0})
		switch {
		case len(m) > limit:
			return messages, errTooLong
		case !found && len(m) > 0:
			return messages, io.ErrUnexpectedEOF
		case !found:
			return messages, io.EOF
		}
		messages = append(messages, string(m))
		stream = rest
	}
}

// stepReader gives a few bytes at a time.
type stepReader struct {
	rest []byte
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest[:min(r.step, len(r.rest))])
	r.rest = r.rest[n:]
	return n, nil
}
