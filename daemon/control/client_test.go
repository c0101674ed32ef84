package control

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDialNamesTheCure(t *testing.T) {
	dir := shortDir(t)
	stale := filepath.Join(dir, "stale")
	l := mustListen(t, stale)
	l.SetUnlinkOnClose(false)
	l.Close()
	tests := []struct {
		name, address string
		is            error
		want          string
	}{
		{"no socket", filepath.Join(dir, "none"), os.ErrNotExist,
			"kmodd does not answer on " + dir + "/none: no such file or directory; start it with systemctl start kmodd, or kmodd"},
		{"a socket that a killed daemon left", stale, unix.ECONNREFUSED,
			"kmodd does not answer on " + stale + ": connection refused; start it with systemctl start kmodd, or kmodd"},
		{"a path below a file", "/etc/passwd/io.kmodd", unix.ENOTDIR,
			"kmodd does not answer on /etc/passwd/io.kmodd: not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Dial(t.Context(), tt.address)
			if !errors.Is(err, tt.is) || err.Error() != tt.want {
				t.Errorf("Dial gave %q (%v), want %q", err, errors.Is(err, tt.is), tt.want)
			}
		})
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	hungUp := errors.New("the user has gone")
	_, address := serve(t, answers{StatusRequest{}: func(ctx context.Context) error {
		cancel(hungUp)
		<-ctx.Done()
		return ctx.Err()
	}})
	err := dial(t, address).Call(ctx, MethodStatus, nil, nil)
	if !errors.Is(err, hungUp) {
		t.Errorf("Call gave %v, want %v", err, hungUp)
	}
}

func TestStreamEndsWithItsContext(t *testing.T) {
	_, address := serve(t, answers{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for note, err := range Stream[Note](ctx, dial(t, address), MethodMonitor, nil) {
		switch {
		case err == nil && note.What == Listening:
			cancel()
		case !errors.Is(err, context.Canceled):
			t.Errorf("the stream gave %+v and %v, want %v", note, err, context.Canceled)
		}
	}
	if ctx.Err() == nil {
		t.Error("the stream ended by itself")
	}
}

func TestStreamYieldsTheErrorOfTheDaemon(t *testing.T) {
	_, address := serve(t, answers{})
	var got error
	for _, err := range Stream[Note](t.Context(), dial(t, address), "io.kmodd.Explode", nil) {
		got = err
	}
	want := `there is no method "io.kmodd.Explode"; is the daemon older than this program?`
	if got == nil || got.Error() != want {
		t.Errorf("the stream gave %v, want %q", got, want)
	}
}

func TestClientRefuses(t *testing.T) {
	tests := []struct{ name, reply, want string }{
		{"a daemon that hangs up", "", "kmodd ended the connection"},
		{"half a reply", `{"par`, "unexpected EOF"},
		{"what is no reply", "[]\x00", "read the reply: json:"},
		{"a reply of other types", `{"parameters":{"pid":"x"}}` + "\x00", "read the reply: json:"},
		{"an error that it does not know", `{"error":"io.kmodd.New","parameters":7}` + "\x00", "io.kmodd.New"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			go func() {
				defer server.Close()
				_, _ = (&frames{from: server, limit: requestLimit}).next()
				_, _ = io.WriteString(server, tt.reply)
			}()
			c := &Client{address: "here", conn: client, frames: frames{from: client, limit: replyLimit}}
			var s Status
			if err := c.Call(t.Context(), MethodStatus, nil, &s); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Call gave %v, want %q", err, tt.want)
			}
		})
	}
}
