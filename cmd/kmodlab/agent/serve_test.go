package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving starts a server and returns a client of it.
func serving(t *testing.T) *agentwire.Client {
	t.Helper()
	theirs, ours := net.Pipe()
	c := agentwire.NewClient(ours)
	ended := make(chan error)
	go func() { ended <- newServer(theirs).serve(context.Background()) }()
	t.Cleanup(func() {
		c.Close()
		<-ended
	})
	<-c.Ready()
	return c
}

// ask returns the output of a request.
func ask(t *testing.T, c *agentwire.Client, r agentwire.Request, body string) (stdout, stderr string, last agentwire.Reply, err error) {
	t.Helper()
	last, err = c.Do(t.Context(), r, []byte(body), func(s agentwire.Stream, data []byte) {
		if s == agentwire.Stdout {
			stdout += string(data)
		} else {
			stderr += string(data)
		}
	})
	return stdout, stderr, last, err
}

func sh(script string) agentwire.Request {
	return agentwire.Request{Op: agentwire.Run, Argv: []string{"sh", "-c", script}}
}

func TestRun(t *testing.T) {
	c := serving(t)
	for _, tt := range []struct {
		name                  string
		request               agentwire.Request
		stdin, stdout, stderr string
		exit                  int
	}{
		{name: "a command that is not there is 127, as in a shell", request: agentwire.Request{Op: agentwire.Run, Argv: []string{"/no/such"}},
			stderr: "fork/exec /no/such: no such file or directory\n", exit: 127},
		{name: "a file that is no program is 126", request: agentwire.Request{Op: agentwire.Run, Argv: []string{"/etc/passwd"}},
			stderr: "fork/exec /etc/passwd: permission denied\n", exit: 126},
		{name: "a signal is 128 and its number", request: sh("kill -KILL 0"), exit: 137},
		{name: "an exit code and both outputs", request: sh("echo out; echo err >&2; exit 3"), stdout: "out\n", stderr: "err\n", exit: 3},
		{name: "its input is the body", request: sh("cat; cat"), stdin: "a\x00b\xff", stdout: "a\x00b\xff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, last, err := ask(t, c, tt.request, tt.stdin)
			if err != nil {
				t.Fatal(err)
			}
			if stdout != tt.stdout || stderr != tt.stderr || last.Exit != tt.exit {
				t.Errorf("got %q, %q, %d; want %q, %q, %d", stdout, stderr, last.Exit, tt.stdout, tt.stderr, tt.exit)
			}
		})
	}
}

func TestProcessesThatWriteAtOnceLoseNothing(t *testing.T) {
	c := serving(t)
	stdout, _, _, err := ask(t, c, sh("for i in 1 2 3 4 5 6 7 8; do { for j in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do echo line; done; } & done; wait"), "")
	if n := strings.Count(stdout, "line\n"); n != 200 || err != nil {
		t.Errorf("%d of 200 lines, error %v", n, err)
	}
}

func TestWhatACommandLeavesBehindDoesNotHoldItUp(t *testing.T) {
	c := serving(t)
	file := filepath.Join(t.TempDir(), "fifo")
	stdout, _, _, err := ask(t, c, sh("mkfifo "+file+"; cat "+file+" & echo left"), "")
	if err != nil || stdout != "left\n" {
		t.Errorf("output %q, %v; want what came before its end", stdout, err)
	}
	pipe, err := os.OpenFile(file, os.O_WRONLY, 0) // waits for the one left behind, and ends it
	if err != nil {
		t.Fatal(err)
	}
	pipe.Close()
}

func TestLongOutputComesWhole(t *testing.T) {
	c := serving(t)
	stdout, _, _, err := ask(t, c, sh("seq 100000"), "")
	if err != nil || len(stdout) != 588895 {
		t.Errorf("%d bytes, %v; want 588895", len(stdout), err)
	}
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	c := serving(t)
	for _, tt := range []struct {
		name    string
		request agentwire.Request
		want    string
	}{
		{"an operation of another version", agentwire.Request{Op: "fly"}, `"fly": unsupported operation`},
		{"no command", agentwire.Request{Op: agentwire.Run}, "no command"},
		{"a signal to nobody", agentwire.Request{Op: agentwire.Signal, Name: "x", Signal: 15}, "no background command was started as x"},
		{"waiting for nobody", agentwire.Request{Op: agentwire.Wait, Name: "x"}, "no background command was started as x"},
		{"a file that is not there", agentwire.Request{Op: agentwire.Read, Path: "/no/such"}, "open /no/such: no such file or directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, _, err := ask(t, c, tt.request, ""); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestUntilRunsACommandUntilItSucceeds(t *testing.T) {
	c := serving(t)
	file := filepath.Join(t.TempDir(), "count")
	r := sh("echo x >> " + file + "; wc -l < " + file + "; test $(wc -l < " + file + ") -ge 3")
	r.Op, r.Timeout = agentwire.Until, time.Minute
	stdout, _, _, err := ask(t, c, r, "")
	if err != nil || strings.TrimSpace(stdout) != "3" {
		t.Errorf("output %q, %v; want that of the third run only", stdout, err)
	}
	r = sh("rm " + file)
	r.Op, r.Timeout, r.Fail = agentwire.Until, time.Minute, true
	if _, stderr, _, err := ask(t, c, r, ""); err != nil || stderr == "" {
		t.Errorf("output %q, %v; want the words of the run that failed", stderr, err)
	}
}

func TestUntilSaysWhenItGaveUpAndShowsTheLastRun(t *testing.T) {
	c := serving(t)
	r := sh("echo not yet; false")
	r.Op, r.Timeout = agentwire.Until, 5*time.Second // a busy machine takes its time to start a shell
	stdout, _, _, err := ask(t, c, r, "")
	if err == nil || !strings.Contains(err.Error(), "not within 5s") || stdout != "not yet\n" {
		t.Errorf("output %q, error %v; want the last run's, and the limit", stdout, err)
	}
}

func TestUntilShowsTheRunBeforeTheOneThatItsLimitCutOff(t *testing.T) {
	c := serving(t)
	r := sh("cd " + t.TempDir() + "; test -e again && exec sleep 1000; touch again; echo not yet; false")
	r.Op, r.Timeout = agentwire.Until, 5*time.Second // for the first run, on a busy machine
	if stdout, _, _, err := ask(t, c, r, ""); err == nil || stdout != "not yet\n" {
		t.Errorf("output %q, error %v; want the whole run's, and the limit", stdout, err)
	}
}

func TestACancelledCommandIsKilledWithItsChildren(t *testing.T) {
	c := serving(t)
	file := filepath.Join(t.TempDir(), "fifo")
	if _, _, last, err := ask(t, c, sh("mkfifo "+file), ""); err != nil || last.Exit != 0 {
		t.Fatal(last.Exit, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		// The child holds the pipe's writing end open as long as it
		// lives.
		_, err := c.Do(ctx, sh("(exec sleep 1000) > "+file), nil, nil)
		ended <- err
	}()
	pipe, err := os.Open(file) // waits for the child
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if n, err := pipe.Read(make([]byte, 1)); n != 0 {
		t.Errorf("read %d bytes, %v; want the end", n, err)
	}
}

func TestFilesAreWrittenInPieces(t *testing.T) {
	c := serving(t)
	file := filepath.Join(t.TempDir(), "new", "file")
	for _, want := range []string{strings.Repeat("long ", 20_000), "short", ""} {
		if err := c.WriteFile(t.Context(), file, []byte(want), 0o750); err != nil {
			t.Fatal(err)
		}
		got, err := c.ReadFile(t.Context(), file)
		if err != nil || string(got) != want {
			t.Errorf("read %d bytes, %v; want %d", len(got), err, len(want))
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("mode %v, %v; want 0750", info.Mode(), err)
	}
}

func TestAFileIsFollowedFromBeforeItIsThere(t *testing.T) {
	c := serving(t)
	file := filepath.Join(t.TempDir(), "log")
	ctx, cancel := context.WithCancel(t.Context())
	pieces := make(chan string, 10)
	ended := make(chan error)
	go func() { ended <- c.Follow(ctx, file, func(data []byte) { pieces <- string(data) }) }()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, want := range []string{"one", "two"} {
		if _, err := f.WriteString(want); err != nil {
			t.Fatal(err)
		}
		if got := <-pieces; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
