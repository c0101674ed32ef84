package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/varlink/go/varlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be another process too: a daemon to be
// killed, or a client of another user.
func TestMain(m *testing.M) {
	address := os.Getenv("CONTROL_TEST_ADDRESS")
	switch os.Getenv("CONTROL_TEST_CHILD") {
	case "listen":
		_, err := Listen(address)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("listening")
		select {}
	case "reload":
		fmt.Println(callOnce(address, MethodStatus))
		fmt.Println(callOnce(address, MethodReload))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func callOnce(address, method string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := Dial(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(ctx, method, nil, nil)
}

// answers is a daemon that knows its answers.
type answers map[Request]any

func (a answers) Ask(ctx context.Context, r Request) (any, error) {
	switch answer := a[r].(type) {
	case error:
		return nil, answer
	case func(context.Context) error:
		return nil, answer(ctx)
	default:
		return answer, nil
	}
}

func newServer(t *testing.T, h Handler) *Server {
	t.Helper()
	address := filepath.Join(shortDir(t), "io.kmodd")
	return &Server{
		Address:  address,
		Listener: mustListen(t, address),
		Version:  "1.2.3",
		Handler:  h,
		Notes:    new(Notes),
		Log:      slog.New(slog.DiscardHandler),
	}
}

// serve runs a server for as long as the test, and returns its address too.
func serve(t *testing.T, h Handler) (*Server, string) {
	t.Helper()
	s := newServer(t, h)
	run(t, s)
	return s, s.Address
}

// run runs a server for as long as the test.
func run(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	<-s.Ready()
}

func dial(t *testing.T, address string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// raw is a client that keeps no rules.
func raw(t *testing.T, address string) *net.UnixConn {
	t.Helper()
	conn, err := net.Dial("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UnixConn)
}

func TestServerRefuses(t *testing.T) {
	_, address := serve(t, answers{
		WhyRequest{"zork"}:   NotFound("zork"),
		WhyRequest{"later"}:  fmt.Errorf("why: %w", errors.ErrUnsupported),
		WhyRequest{"broken"}: errors.New("no tables"),
	})
	tests := []struct {
		name, call string
		error      string
		detail     Detail
	}{
		{"no method", `{}`, NameInterfaceNotFound, Detail{}},
		{"an unknown interface", `{"method":"com.example.Do"}`, NameInterfaceNotFound, Detail{Interface: "com.example"}},
		{"an unknown method", `{"method":"io.kmodd.Explode"}`, NameMethodNotFound, Detail{Method: "io.kmodd.Explode"}},
		{"an unknown method of the service", `{"method":"org.varlink.service.Explode"}`, NameMethodNotFound, Detail{Method: "org.varlink.service.Explode"}},
		{"parameters that are no object", `{"method":"io.kmodd.Status","parameters":[1]}`, NameInvalidParameter, Detail{Parameter: "parameters"}},
		{"a parameter that the method does not have", `{"method":"io.kmodd.Status","parameters":{"b":1,"a":2}}`, NameInvalidParameter, Detail{Parameter: "a"}},
		{"a parameter that is missing", `{"method":"io.kmodd.Why"}`, NameInvalidParameter, Detail{Parameter: "subject"}},
		{"a parameter that is empty", `{"method":"io.kmodd.Why","parameters":{"subject":""}}`, NameInvalidParameter, Detail{Parameter: "subject"}},
		{"a parameter of another type", `{"method":"io.kmodd.Why","parameters":{"subject":7}}`, NameInvalidParameter, Detail{Parameter: "subject"}},
		{"an upgrade", `{"method":"io.kmodd.Status","upgrade":true}`, NameInvalidParameter, Detail{Parameter: "upgrade"}},
		{"to monitor without more", `{"method":"io.kmodd.Monitor"}`, NameExpectedMore, Detail{Method: "io.kmodd.Monitor"}},
		{"to monitor with parameters", `{"method":"io.kmodd.Monitor","more":true,"parameters":{"a":2}}`, NameInvalidParameter, Detail{Parameter: "a"}},
		{"an unknown interface's description", `{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"x.y"}}`, NameInterfaceNotFound, Detail{Interface: "x.y"}},
		{"what the daemon does not find", `{"method":"io.kmodd.Why","parameters":{"subject":"zork"}}`, NameNotFound, Detail{Subject: "zork"}},
		{"what the daemon does not do", `{"method":"io.kmodd.Why","parameters":{"subject":"later"}}`, NameMethodNotImplemented, Detail{Method: "io.kmodd.Why"}},
		{"what the daemon can't do, in its words", `{"method":"io.kmodd.Why","parameters":{"subject":"broken"}}`, NameFailed, Detail{Reason: "no tables"}},
	}
	conn := raw(t, address) // one for all: none of these ends it
	replies := &frames{from: conn, limit: replyLimit}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := io.WriteString(conn, tt.call+"\x00"); err != nil {
				t.Fatal(err)
			}
			got := readError(t, replies)
			if diff := cmp.Diff(&Error{Name: tt.error, Detail: tt.detail}, got); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
		})
	}
}

func readError(t *testing.T, replies *frames) *Error {
	t.Helper()
	message, err := replies.next()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Error      string
		Parameters Detail
	}
	if err := json.Unmarshal(message, &got); err != nil {
		t.Fatalf("reply %q: %v", message, err)
	}
	return &Error{Name: got.Error, Detail: got.Parameters}
}

func TestServerHangsUpOn(t *testing.T) {
	_, address := serve(t, answers{StatusRequest{}: Status{PID: 7}})
	tests := []struct {
		name string
		sent []byte
		says string
	}{
		{"a message over 64 KiB", append(bytes.Repeat([]byte(" "), requestLimit+1), 0), "longer than 64 KiB"},
		{"a message without end", bytes.Repeat([]byte("x"), 1<<20), "longer than 64 KiB"},
		{"a message without its NUL", []byte(`{"method":"io.kmodd.Status"}`), "ends without a NUL byte"},
		{"an empty message", []byte{0}, "not a call"},
		{"what is no object", []byte("[1,2]\x00"), "not a call"},
		{"binary", []byte("\x7fELF\x02\x01\x01\xff\xfe\x00"), "not a call"},
		{"a method that is no text", []byte(`{"method":5}` + "\x00"), "not a call"},
		{"nesting without end", append(bytes.Repeat([]byte("["), requestLimit), 0), "not a call"},
		{"nesting inside the parameters", []byte(`{"method":"io.kmodd.Why","parameters":` + strings.Repeat(`{"a":`, 12000) + "\x00"), "not a call"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := raw(t, address)
			_, err := conn.Write(tt.sent)
			if err != nil && !errors.Is(err, unix.EPIPE) {
				t.Fatal(err)
			}
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			replies := &frames{from: conn, limit: replyLimit}
			got := readError(t, replies)
			if got.Name != NameInvalidParameter || !strings.Contains(got.Detail.Reason, tt.says) {
				t.Errorf("reply %+v, want one that says %q", got, tt.says)
			}
			if m, err := replies.next(); err == nil {
				t.Errorf("the connection went on with %q", m)
			}
			if err := callOnce(address, MethodStatus); err != nil {
				t.Errorf("the next client was told %v", err)
			}
		})
	}
}

func TestServerHangsUpOnASlowSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		s := newSession(&Server{Handler: answers{}}, server, &unix.Ucred{})
		go func() {
			defer server.Close()
			s.converse(t.Context())
		}()
		began := time.Now()
		if _, err := io.WriteString(client, `{"method":`); err != nil {
			t.Fatal(err)
		}
		got := readError(t, &frames{from: client, limit: replyLimit})
		if !strings.Contains(got.Detail.Reason, "not complete within 5s") {
			t.Errorf("reply %+v", got)
		}
		if waited := time.Since(began); waited != sendTime {
			t.Errorf("it waited %v, want %v", waited, sendTime)
		}
	})
}

func TestServerHangsUpOnWhoTakesNoReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		s := newSession(&Server{Handler: answers{}}, server, &unix.Ucred{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer server.Close()
			s.converse(t.Context())
		}()
		began := time.Now()
		if _, err := io.WriteString(client, `{"method":"io.kmodd.Status"}`+"\x00"); err != nil {
			t.Fatal(err)
		}
		<-ended
		if waited := time.Since(began); waited != takeTime {
			t.Errorf("it waited %v, want %v", waited, takeTime)
		}
	})
}

func TestServerGivesUpOnADaemonThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Handler: answers{StatusRequest{}: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}}
		_, err := s.ask(t.Context(), call{Method: MethodStatus}, &unix.Ucred{})
		if err == nil || !strings.Contains(err.Error(), "found no time to answer within 20s") {
			t.Errorf("the client is told %v", err)
		}
	})
}

func TestServerAnswersAnIndependentClient(t *testing.T) {
	want := Status{Version: "1.2.3", PID: 7, Devices: map[Result]int{NoModule: 3}, Modules: map[State]int{}}
	story := Story{Subject: "e1000e", Modules: []ModuleWhy{{Module: Module{Name: "e1000e", State: Live}}}}
	_, address := serve(t, answers{
		StatusRequest{}:      want,
		WhyRequest{"e1000e"}: story,
		WhyRequest{"zork"}:   NotFound("zork"),
	})
	ctx := t.Context()
	c, err := varlink.NewConnection(ctx, "unix:"+address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	var status Status
	if err := c.Call(ctx, MethodStatus, nil, &status); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	var got Story
	if err := c.Call(ctx, MethodWhy, WhyRequest{"e1000e"}, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(story, got); diff != "" {
		t.Errorf("story (-want +got):\n%s", diff)
	}
	err = c.Call(ctx, MethodWhy, WhyRequest{"zork"}, &got)
	if err == nil || err.Error() != NameNotFound {
		t.Errorf("an unknown subject gave %v", err)
	}
}

func TestServerNamesEveryList(t *testing.T) {
	_, address := serve(t, answers{
		DevicesRequest{}: []Device(nil),
		ModulesRequest{}: []Module{{Name: "e1000e", State: Live}},
	})
	for method, want := range map[string]string{
		MethodDevices: `{"devices":[]}`,
		MethodModules: `{"modules":[{"name":"e1000e","state":"live","ours":false}]}`,
	} {
		var got json.RawMessage
		if err := dial(t, address).Call(t.Context(), method, nil, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", method, diff)
		}
	}
}

func TestServerIntroducesItself(t *testing.T) {
	_, address := serve(t, answers{})
	ctx := t.Context()
	c, err := varlink.NewConnection(ctx, "unix:"+address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var product, version string
	var interfaces []string
	if err := c.GetInfo(ctx, nil, &product, &version, nil, &interfaces); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{service, Interface}, interfaces); diff != "" || product != "kmodd" || version != "1.2.3" {
		t.Errorf("%s %s with (-want +got):\n%s", product, version, diff)
	}
	for _, name := range interfaces {
		text, err := c.GetInterfaceDescription(ctx, name)
		if err != nil || !strings.Contains(text, "\ninterface "+name+"\n") {
			t.Errorf("%s is described as %q, %v", name, text, err)
		}
	}
}

func TestServerAnswersOnewayCallsWithNothing(t *testing.T) {
	_, address := serve(t, answers{StatusRequest{}: Status{PID: 7}})
	conn := raw(t, address)
	for _, message := range []string{
		`{"method":"io.kmodd.Status","oneway":true}`,
		`{"method":"io.kmodd.Explode","oneway":true}`,
		`{"method":"io.kmodd.Status"}`,
	} {
		if _, err := io.WriteString(conn, message+"\x00"); err != nil {
			t.Fatal(err)
		}
	}
	reply, err := (&frames{from: conn, limit: replyLimit}).next()
	if err != nil || !bytes.Contains(reply, []byte(`"pid":7`)) {
		t.Errorf("the first reply is %q, %v", reply, err)
	}
}

// Changing is for root. Running as root, another user is tried as well.
func TestServerLetsOnlyRootChange(t *testing.T) {
	_, address := serve(t, answers{StatusRequest{}: Status{}})
	for method, want := range map[string]bool{MethodStatus: true, MethodReload: false, MethodRescan: false} {
		allowed := want || os.Getuid() == 0
		err := callOnce(address, method)
		if allowed != (err == nil) || !allowed && !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s by uid %d gave %v", method, os.Getuid(), err)
		}
	}
	if os.Getuid() != 0 {
		return
	}
	// The folders above the socket may be closed to another user.
	dir, err := os.Open(filepath.Dir(address))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	child := exec.Command("/proc/self/exe")
	child.Dir = "/"
	child.ExtraFiles = []*os.File{dir} // descriptor 3
	child.Env = append(os.Environ(), "CONTROL_TEST_CHILD=reload", "CONTROL_TEST_ADDRESS=/proc/self/fd/3/"+filepath.Base(address))
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := child.Output()
	if err != nil {
		t.Fatalf("client of another user: %v: %s", err, out)
	}
	want := "<nil>\npermission denied; this is for root\n"
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("another user was told (-want +got):\n%s", diff)
	}
}

func TestServerHasSoManyConnections(t *testing.T) {
	_, address := serve(t, answers{StatusRequest{}: Status{}})
	share := userSeats
	if os.Getuid() == 0 {
		share = allSeats
	}
	var clients []*Client
	for range share {
		c := dial(t, address)
		if err := c.Call(t.Context(), MethodStatus, nil, nil); err != nil {
			t.Fatalf("after %d clients: %v", len(clients), err)
		}
		clients = append(clients, c)
	}
	var refused *Error
	if err := callOnce(address, MethodStatus); !errors.As(err, &refused) || refused.Name != NameBusy {
		t.Errorf("one too many was told %v", err)
	}
	clients[0].Close()
	// The server notices in its own time.
	for err := error(refused); err != nil; err = callOnce(address, MethodStatus) {
		if t.Context().Err() != nil {
			t.Fatal("a seat was not given back")
		}
	}
}

// The reader sleeps while 20,000 notes are published: more than its queue and
// the socket's buffer hold.
func TestMonitorTellsASlowReaderWhatItLost(t *testing.T) {
	const burst = 20000
	s, address := serve(t, answers{})
	next, stop := iter.Pull2(Stream[Note](t.Context(), dial(t, address), MethodMonitor, nil))
	defer stop()
	if first, err, _ := next(); err != nil || first.What != Listening || first.At == 0 {
		t.Fatalf("the stream begins with %+v, %v", first, err)
	}
	for range burst {
		s.Notes.Publish(Note{What: "x"})
	}
	s.Notes.Publish(Note{What: "last"})

	seen, lost := 0, 0
	for note, err, _ := next(); note.What != "last"; note, err, _ = next() {
		if err != nil {
			t.Fatal(err)
		}
		seen, lost = seen+1, lost+int(note.Missed)
	}
	if lost == 0 || seen+lost != burst {
		t.Errorf("%d notes seen and %d lost of %d", seen, lost, burst)
	}
}

func TestMonitorEndsWhenItsClientLeaves(t *testing.T) {
	s, address := serve(t, answers{})
	for note, err := range Stream[Note](t.Context(), dial(t, address), MethodMonitor, nil) {
		if err != nil || note.What != Listening {
			t.Fatalf("the stream begins with %+v, %v", note, err)
		}
		break
	}
	subscribed := func() int {
		s.Notes.mu.Lock()
		defer s.Notes.mu.Unlock()
		return len(s.Notes.subscribers)
	}
	if n := subscribed(); n != 1 {
		t.Fatalf("%d subscribers, want 1", n)
	}
	c := dial(t, address)
	if _, err := io.WriteString(c.conn, `{"method":"io.kmodd.Monitor","more":true}`+"\x00"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.frames.next(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	for subscribed() != 1 { // the server notices in its own time
		if t.Context().Err() != nil {
			t.Fatal("the subscription stays")
		}
		runtime.Gosched()
	}
}

func TestSettleEndsWithItsClient(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan struct{})
	_, address := serve(t, answers{SettleRequest{}: func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		close(gone)
		return ctx.Err()
	}})
	c := dial(t, address)
	if err := c.send(MethodSettle, nil, false); err != nil {
		t.Fatal(err)
	}
	<-asked
	c.Close()
	<-gone
}

func TestSettleIsAnsweredOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer any
		in     any
		want   string // of the error, "" for none
	}{
		{"with a parameter", nil, map[string]int{"timeout": 1}, NameInvalidParameter},
		{"by a daemon that can't", errors.New("no"), nil, NameFailed},
		{"settled", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, address := serve(t, answers{SettleRequest{}: tt.answer})
			c := dial(t, address)
			err := c.Call(t.Context(), MethodSettle, tt.in, nil)
			var e *Error
			if errors.As(err, &e) != (tt.want != "") || e != nil && e.Name != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestServerEndsWithItsContext(t *testing.T) {
	s := newServer(t, answers{})
	address := s.Listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	s.Farewell = func() {
		if _, err := Listen(address); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("the address is free before the farewell: %v", err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()

	raw(t, address) // says nothing
	if _, err := io.WriteString(raw(t, address), "begun"); err != nil {
		t.Fatal(err)
	}
	next, stop := iter.Pull2(Stream[Note](t.Context(), dial(t, address), MethodMonitor, nil))
	defer stop()
	if _, err, _ := next(); err != nil {
		t.Fatal(err)
	}

	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run gave %v", err)
	}
	if _, err, _ := next(); !errors.Is(err, errHungUp) {
		t.Errorf("the monitor was told %v", err)
	}
	if _, err := os.Stat(address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestServerSaysWhenItsListenerIsLost(t *testing.T) {
	s := newServer(t, answers{})
	s.Listener.Close()
	if err := s.Run(t.Context()); !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "control socket /") {
		t.Errorf("Run gave %v", err)
	}
}

// moved tells a server that file systems were mounted, and waits until it answers
// at its address.
func moved(t *testing.T, s *Server, mounted chan<- struct{}) {
	t.Helper()
	mounted <- struct{}{}
	mounted <- struct{}{} // taken when the first one has been seen to
	if err := callOnce(s.Address, MethodStatus); err != nil {
		t.Errorf("nobody answers at the address: %v", err)
	}
}

// As when a tmpfs is mounted over /run.
func TestServerMovesWithItsAddress(t *testing.T) {
	s := newServer(t, answers{StatusRequest{}: Status{}})
	mounted := make(chan struct{})
	s.Mounted = mounted
	run(t, s)
	before := dial(t, s.Address)
	moved(t, s, mounted) // something else was mounted: nothing changes
	dir := filepath.Dir(s.Address)
	if err := os.Rename(dir, dir+"-hidden"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir + "-hidden") })
	moved(t, s, mounted)
	if err := before.Call(t.Context(), MethodStatus, nil, nil); err != nil {
		t.Errorf("who was connected has lost the connection: %v", err)
	}
}

func TestServerTakesItsAddressWhenItCan(t *testing.T) {
	s := newServer(t, answers{StatusRequest{}: Status{}})
	s.Listener.Close()
	dir := filepath.Dir(s.Address)
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := Listen(s.Address)
	if !Later(err) {
		t.Fatalf("Listen below a file: %v", err)
	}
	mounted := make(chan struct{})
	s.Listener, s.Mounted = nil, mounted
	run(t, s)
	mounted <- struct{}{} // there is still no directory
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	moved(t, s, mounted)
}

// While it takes its address a file system is mounted there or taken away: where
// nothing was to be seen, something stands in the way then. A link to nowhere
// looks the same.
func TestServerOutlivesAnAddressThatChangesUnderItsHands(t *testing.T) {
	s := newServer(t, answers{StatusRequest{}: Status{}})
	s.Listener.Close()
	if err := errors.Join(os.Remove(s.Address), os.Symlink("/nowhere/at/all", s.Address)); err != nil {
		t.Fatal(err)
	}
	mounted := make(chan struct{})
	s.Listener, s.Mounted = nil, mounted
	run(t, s)
	mounted <- struct{}{}
	mounted <- struct{}{} // it is still there
	if err := os.Remove(s.Address); err != nil {
		t.Fatal(err)
	}
	moved(t, s, mounted)
}

func TestServerEndsWhereAnotherOneAnswers(t *testing.T) {
	s := newServer(t, answers{})
	first := s.Listener
	mounted := make(chan struct{})
	s.Listener, s.Mounted = nil, mounted
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	mounted <- struct{}{}
	if err := <-done; !errors.Is(err, unix.EADDRINUSE) || Later(err) {
		t.Errorf("beside another one Run gave %v", err)
	}
	first.Close()
}
