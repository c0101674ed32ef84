package agentwire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agent answers requests as its function says, until the line ends.
func agent(t *testing.T, answer func(w io.Writer, r Request, body []byte)) *Client {
	t.Helper()
	ours, theirs := net.Pipe()
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			var r Request
			body, err := ReadFrame(theirs, &r)
			if err != nil {
				return
			}
			answer(theirs, r, body)
		}
	})
	c := NewClient(ours)
	t.Cleanup(func() {
		c.Close()
		theirs.Close()
		ended.Wait()
	})
	return c
}

// reply writes a reply; a line that has ended is none of its business.
func reply(w io.Writer, r Reply, body string) { _ = WriteFrame(w, r, []byte(body)) }

func TestOutputComesInOrderAndThenTheResult(t *testing.T) {
	c := agent(t, func(w io.Writer, r Request, _ []byte) {
		reply(w, Reply{ID: r.ID, Stream: Stdout}, "one ")
		reply(w, Reply{ID: r.ID, Stream: Stderr}, "oh")
		reply(w, Reply{ID: r.ID, Stream: Stdout}, "two")
		reply(w, Reply{ID: r.ID, Exit: 3}, "")
	})
	out := map[Stream]string{}
	last, err := c.Do(t.Context(), Request{Op: Run}, nil, func(s Stream, data []byte) { out[s] += string(data) })
	if err != nil || last.Exit != 3 || out[Stdout] != "one two" || out[Stderr] != "oh" {
		t.Errorf("got %v, exit code %d, %v; want nil, 3, both outputs", err, last.Exit, out)
	}
}

func TestNoiseBeforeTheFirstFrameIsIgnored(t *testing.T) {
	for _, noise := range []string{"", "X\xb2", "kkmL", "kmL0kmL", "a word of the firmware\r\n"} {
		t.Run(noise, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			c := NewClient(ours)
			defer c.Close()
			if _, err := io.WriteString(theirs, noise); err != nil {
				t.Fatal(err)
			}
			reply(theirs, Reply{ID: Ready}, "")
			select {
			case <-c.Ready():
			case <-c.Done():
				t.Error("the line ended")
			}
		})
	}
}

func TestWhatTheAgentCouldNotDoIsAnError(t *testing.T) {
	c := agent(t, func(w io.Writer, r Request, _ []byte) {
		reply(w, Reply{ID: r.ID, Error: "no such file"}, "")
	})
	_, err := c.ReadFile(t.Context(), "/nowhere")
	if err == nil || !strings.Contains(err.Error(), "read: no such file") {
		t.Errorf("error %v, want the agent's words", err)
	}
}

func TestRequestsAtTheSameTimeGetTheirOwnReplies(t *testing.T) {
	var mu sync.Mutex
	var held []Request
	c := agent(t, func(w io.Writer, r Request, _ []byte) {
		mu.Lock()
		defer mu.Unlock()
		if held = append(held, r); len(held) < 5 {
			return
		}
		for i := len(held) - 1; i >= 0; i-- { // in the other order
			reply(w, Reply{ID: held[i].ID, Stream: Stdout}, held[i].Path)
			reply(w, Reply{ID: held[i].ID}, "")
		}
	})
	var all sync.WaitGroup
	for _, path := range []string{"/a", "/b", "/c", "/d", "/e"} {
		all.Go(func() {
			if got, err := c.ReadFile(t.Context(), path); err != nil || string(got) != path {
				t.Errorf("read %s: %q, %v", path, got, err)
			}
		})
	}
	all.Wait()
}

func TestAContextThatEndsCancelsTheRequestInTheGuest(t *testing.T) {
	begun, cancelled := make(chan uint64, 1), make(chan uint64, 1)
	c := agent(t, func(_ io.Writer, r Request, _ []byte) {
		if r.Op == Cancel {
			cancelled <- r.Target
			return
		}
		begun <- r.ID
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { begun <- <-begun; cancel() }()
	if _, err := c.Do(ctx, Request{Op: Run}, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if want, got := <-begun, <-cancelled; got != want {
		t.Errorf("request %d was cancelled, want %d", got, want)
	}
}

func TestALineThatEndsFailsWhatIsUnderWay(t *testing.T) {
	ours, theirs := net.Pipe()
	c := NewClient(ours)
	go func() {
		_, _ = ReadFrame(theirs, new(Request))
		theirs.Close()
	}()
	if _, err := c.Do(t.Context(), Request{Op: Run}, nil, nil); !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want %v", err, io.EOF)
	}
	<-c.Done()
	if _, err := c.Do(t.Context(), Request{Op: Run}, nil, nil); !errors.Is(err, io.EOF) {
		t.Errorf("error %v afterwards, want %v", err, io.EOF)
	}
	c.Close()
}

func TestCloseFailsWhatIsUnderWay(t *testing.T) {
	begun := make(chan struct{}, 1)
	c := agent(t, func(io.Writer, Request, []byte) { begun <- struct{}{} })
	failed := make(chan error)
	go func() {
		_, err := c.Do(t.Context(), Request{Op: Run}, nil, nil)
		failed <- err
	}()
	<-begun
	c.Close()
	if err := <-failed; !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v, want %v", err, os.ErrClosed)
	}
}

func TestALongFileGoesInPiecesThatFitTheGuestsBuffers(t *testing.T) {
	var got bytes.Buffer
	var longest int
	c := agent(t, func(w io.Writer, r Request, body []byte) {
		if r.Offset != int64(got.Len()) {
			t.Errorf("a piece for offset %d, want %d", r.Offset, got.Len())
		}
		got.Write(body)
		longest = max(longest, len(body))
		reply(w, Reply{ID: r.ID}, "")
	})
	want := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	if err := c.WriteFile(t.Context(), "/f", want, 0o644); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got.Bytes()) || longest > 32<<10 {
		t.Errorf("%d bytes in pieces of up to %d; want %d unchanged, in pieces of at most 32 KiB", got.Len(), longest, len(want))
	}
}

func TestAnEmptyFileIsWrittenToo(t *testing.T) {
	pieces := 0
	c := agent(t, func(w io.Writer, r Request, _ []byte) {
		pieces++
		reply(w, Reply{ID: r.ID}, "")
	})
	if err := c.WriteFile(t.Context(), "/f", nil, 0o644); err != nil || pieces != 1 {
		t.Errorf("error %v, %d pieces; want nil and one", err, pieces)
	}
}

func TestTheAgentsFirstWordIsReady(t *testing.T) {
	ours, theirs := net.Pipe()
	c := NewClient(ours)
	select {
	case <-c.Ready():
		t.Error("ready before the agent said so")
	default:
	}
	for range 2 { // an agent that begins again says it again
		reply(theirs, Reply{ID: Ready}, "")
	}
	<-c.Ready()
	c.Close()
	theirs.Close()
}
