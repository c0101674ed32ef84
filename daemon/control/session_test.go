package control

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// transcript is a connection on which everything has been said already.
type transcript struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *transcript) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *transcript) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *transcript) SetReadDeadline(time.Time) error  { return nil }
func (c *transcript) SetWriteDeadline(time.Time) error { return nil }
func (c *transcript) Close() error                     { return nil }

type everything struct{}

func (everything) Ask(_ context.Context, r Request) (any, error) {
	if w, ok := r.(WhyRequest); ok {
		return nil, NotFound(w.Subject)
	}
	return Status{}, nil
}

// FuzzConverse: whatever a client says, each answer is a reply, and there are
// no more of them than there were messages, and one for the end.
func FuzzConverse(f *testing.F) {
	f.Add([]byte(`{"method":"io.kmodd.Status"}` + "\x00" + `{"method":"io.kmodd.Why","parameters":{"subject":"x"}}` + "\x00"))
	f.Add([]byte(`{"method":"io.kmodd.Monitor","more":true}` + "\x00"))
	f.Add([]byte(`{"method":"org.varlink.service.GetInfo","parameters":{}}` + "\x00" + `{"method":"io.kmodd.Reload","oneway":true}` + "\x00"))
	f.Add([]byte(strings.Repeat("[", 200) + "\x00"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, said []byte) {
		conn := &transcript{in: bytes.NewReader(said)}
		server := &Server{Handler: everything{}, Notes: new(Notes)}
		newSession(server, conn, &unix.Ucred{Uid: 1000}).converse(t.Context())

		replies := bytes.SplitAfter(conn.out.Bytes(), []byte{0})
		if last := replies[len(replies)-1]; len(last) > 0 {
			t.Errorf("the last reply %q has no NUL", last)
		}
		if said := bytes.Count(said, []byte{0}); len(replies)-1 > said+1 {
			t.Errorf("%d replies to %d messages", len(replies)-1, said)
		}
		for _, r := range replies[:len(replies)-1] {
			var got struct{ Parameters map[string]any }
			if err := json.Unmarshal(r[:len(r)-1], &got); err != nil || got.Parameters == nil {
				t.Errorf("reply %q: %v", r, err)
			}
		}
	})
}
