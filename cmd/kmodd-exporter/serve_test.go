package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are in this process, so that a test can
// run their time limits down.
type pipes struct {
	ends   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ net.Listener = (*pipes)(nil)

func newPipes() *pipes { return &pipes{ends: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case end := <-p.ends:
		return end, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.ends <- theirs
	return ours
}

// serving serves a handler over pipes until stop is called, which returns what
// serve did.
func serving(h http.Handler) (p *pipes, stop func() error) {
	p = newPipes()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, h, []net.Listener{p}, slog.New(slog.DiscardHandler)) }()
	return p, func() error {
		cancel()
		return <-ended
	}
}

func TestAClientThatDoesNotEndItsRequestIsLetGo(t *testing.T) {
	for _, tt := range []struct{ name, sends string }{
		{"nothing", ""},
		{"half of it", "GET /metrics HTTP/1.1\r\nHost: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				p, stop := serving(http.NotFoundHandler())
				client := p.dial()
				defer client.Close()
				if _, err := io.WriteString(client, tt.sends); err != nil {
					t.Fatal(err)
				}
				_, err := client.Read(make([]byte, 1))
				if took := time.Since(start); !errors.Is(err, io.EOF) || took != requestTime {
					t.Errorf("let go after %v with %v, want %v after %v", took, err, io.EOF, requestTime)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAClientThatDoesNotTakeItsAnswerIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		let := make(chan time.Duration)
		p, stop := serving(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.Copy(w, endless{}); err != nil {
				let <- time.Since(start)
			}
		}))
		client := p.dial()
		defer client.Close()
		if _, err := io.WriteString(client, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if took := <-let; took != replyTime {
			t.Errorf("let go after %v, want %v", took, replyTime)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// endless is read from for ever.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestItEndsAfterTheScrapesThatAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := time.Second
		p, stop := serving(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(took)
			fmt.Fprint(w, "all of it")
		}))
		client := p.dial()
		if _, err := io.WriteString(client, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the scrape is under way
		ended := make(chan error, 1)
		go func() { ended <- stop() }()
		reply, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(reply.Body); err != nil || string(body) != "all of it" {
			t.Errorf("the client is told %q, %v", body, err)
		}
		client.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAListenerThatBreaksEndsIt(t *testing.T) {
	broken, whole := &failing{newPipes()}, newPipes()
	err := serve(t.Context(), http.NotFoundHandler(), []net.Listener{whole, broken}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, errBroken) {
		t.Errorf("serve: %v, want %v", err, errBroken)
	}
}

var errBroken = errors.New("broken")

// failing is a listener that can't accept.
type failing struct{ *pipes }

func (failing) Accept() (net.Conn, error) { return nil, errBroken }
