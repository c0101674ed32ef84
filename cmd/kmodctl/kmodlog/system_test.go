package kmodlog

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What is wanted is what Debian's modprobe says there.
func TestTheSystemLogGetsWhatSyslogWouldWrite(t *testing.T) {
	for network, end := range map[string]string{"unixgram": "\n", "unix": "\n\x00"} {
		t.Run(network, func(t *testing.T) {
			inside(t)
			heard := listen(t, network)
			l := New("modprobe", io.Discard, true, Detail)
			for priority, want := range map[int]string{
				Fatal: "<26> modprobe: FATAL: nosuch", Failure: "<27> modprobe: ERROR: nosuch", Warning: "<28> modprobe: WARNING: nosuch",
				Detail: "<30> modprobe: INFO: nosuch",
			} {
				l.Say(priority, "nosuch")
				if got := timeless(t, <-heard); got != want+end {
					t.Errorf("priority %d: got %q, want %q", priority, got, want+end)
				}
			}
			l.Verbosity = Failure
			l.Tell(Warning, "more than is wanted")
			long := strings.Repeat("long ", 20_000)
			l.Tell(Failure, long)
			if got := timeless(t, <-heard); got != "<27> modprobe: "+long+end {
				t.Errorf("got %d bytes", len(got))
			}
		})
	}
}

// inside has the test use a log and a console of its own.
func inside(t *testing.T) {
	were := [2]string{place, console}
	t.Cleanup(func() { place, console = were[0], were[1] })
	dir := t.TempDir()
	place, console = filepath.Join(dir, "log"), filepath.Join(dir, "console")
	if err := os.WriteFile(console, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// timeless is a line for the log without its time, which must be that of now.
func timeless(t *testing.T, line string) string {
	t.Helper()
	priority, rest, _ := strings.Cut(line, ">")
	if len(rest) < len(time.Stamp) {
		t.Fatalf("%q has no time", line)
	}
	now := time.Now()
	at, err := time.ParseInLocation(time.Stamp, rest[:len(time.Stamp)], time.Local)
	if late := now.Sub(at.AddDate(now.Year(), 0, 0)); err != nil || late.Abs() > time.Minute {
		t.Errorf("%q is %v late, %v", line, late, err)
	}
	return priority + ">" + rest[len(time.Stamp):]
}

// listen is a system log, until the end of the test. What it hears comes as lines.
func listen(t *testing.T, network string) <-chan string {
	t.Helper()
	heard := make(chan string, 10)
	if network == "unixgram" {
		c, err := net.ListenUnixgram(network, &net.UnixAddr{Name: place, Net: network})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 1<<20)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				heard <- string(b[:n])
			}
		}()
		return heard
	}
	l, err := net.Listen(network, place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				var all []byte
				b := make([]byte, 1000)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					all = append(all, b[:n]...)
					for line, rest, whole := bytes.Cut(all, []byte{0}); whole; line, rest, whole = bytes.Cut(all, []byte{0}) {
						heard <- string(line) + "\x00"
						all = rest
					}
				}
			}()
		}
	}()
	return heard
}

func TestALogThatIsRestartedIsConnectedToAgain(t *testing.T) {
	for _, network := range []string{"unixgram", "unix"} {
		t.Run(network, func(t *testing.T) {
			inside(t)
			l := New("rmmod", io.Discard, true, Warning)
			for range 2 {
				t.Run("once", func(t *testing.T) { // at whose end the log ends
					heard := listen(t, network)
					l.Say(Failure, "x")
					if got := timeless(t, <-heard); !strings.HasPrefix(got, "<27> rmmod: ERROR: x\n") {
						t.Errorf("got %q", got)
					}
				})
				if err := os.Remove(place); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestWithoutASystemLogTheConsoleHearsOfIt(t *testing.T) {
	inside(t)
	var stderr strings.Builder
	l := New("modprobe", &stderr, true, Warning)
	l.Say(Fatal, "no such module")
	l.Misread(errors.New("unrecognized option '--bogus'"))
	got, err := os.ReadFile(console)
	if err != nil || string(got) != "modprobe: FATAL: no such module\r\n" {
		t.Errorf("the console has %q, %v", got, err)
	}
	if stderr.String() != "modprobe: unrecognized option '--bogus'\n" {
		t.Errorf("standard error has %q", stderr.String())
	}
}
