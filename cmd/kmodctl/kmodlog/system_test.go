package kmodlog

import (
	"errors"
	"io"
	"log/syslog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Go's own syslog is the witness.
func TestTheSystemLogGetsWhatSyslogWouldWrite(t *testing.T) {
	tests := []struct {
		priority int
		witness  func(*syslog.Writer, string) error
	}{
		{Fatal, (*syslog.Writer).Crit},
		{Failure, (*syslog.Writer).Err},
		{Warning, (*syslog.Writer).Warning},
		{Info, (*syslog.Writer).Warning}, // what -v adds is nothing to worry about, and kmod's tools say it so
		{Detail, (*syslog.Writer).Warning},
	}
	for _, network := range []string{"unixgram", "unix"} {
		t.Run(network, func(t *testing.T) {
			place := filepath.Join(t.TempDir(), "log")
			heard := listen(t, network, place)
			theirs, err := syslog.Dial(network, place, syslog.LOG_DAEMON|syslog.LOG_WARNING, "modprobe")
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			want := make([]string, len(tests))
			for i, tt := range tests {
				if err := tt.witness(theirs, "no such module"); err != nil {
					t.Fatal(err)
				}
				want[i] = timeless(t, <-heard)
			}
			defer func(were []string) { places = were }(places)
			places = []string{filepath.Join(t.TempDir(), "nobody"), place}
			ours := New("modprobe", io.Discard, true, Detail)
			for i, tt := range tests {
				ours.Tell(tt.priority, "no such module")
				if got := timeless(t, <-heard); got != want[i] {
					t.Errorf("priority %d: got %q, want %q", tt.priority, got, want[i])
				}
			}
		})
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
func listen(t *testing.T, network, place string) <-chan string {
	heard := make(chan string, 10)
	hear := func(c net.Conn) {
		b := make([]byte, 1000)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
		}
	}
	if network == "unixgram" {
		c, err := net.ListenUnixgram(network, &net.UnixAddr{Name: place, Net: network})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go hear(c)
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
			go hear(c)
		}
	}()
	return heard
}

func TestNobodyHearsWhatIsForASystemLogThatDoesNotRun(t *testing.T) {
	defer func(were []string) { places = were }(places)
	places = []string{filepath.Join(t.TempDir(), "nobody")}
	var stderr strings.Builder
	New("modprobe", &stderr, true, Detail).Say(Fatal, "no such module")
	if stderr.Len() > 0 {
		t.Errorf("got %q", stderr.String())
	}
}
