package kmodlog

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// daemonFacility is LOG_DAEMON of syslog(3).
const daemonFacility = 3 << 3

// Where the system log listens, and where words go that it does not take.
var (
	place   = "/dev/log"
	console = "/dev/console"
)

// A systemLog is the system log as kmod's tools have opened it, by openlog(3) with
// LOG_CONS: what it does not take is for the console. Its zero value is not connected
// yet. The package log/syslog knows no console, and would bring the package net with
// it, which takes these small programs a tenth of their size.
type systemLog struct {
	connected bool
	socket    int
	end       string // of a line: a stream has a NUL there
}

// say says a line. A log that was restarted meanwhile is connected to again.
func (s *systemLog) say(priority int, name, line string) {
	line = name + ": " + line
	text := fmt.Sprintf("<%d>%s %s\n", daemonFacility|priority, time.Now().Format(time.Stamp), line)
	if s.connected && s.send(text) || s.connect() && s.send(text) {
		return
	}
	if fd, err := unix.Open(console, unix.O_WRONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err == nil {
		f := os.NewFile(uintptr(fd), console)
		defer f.Close()
		fmt.Fprintf(f, "%s\r\n", line)
	}
}

func (s *systemLog) send(text string) bool {
	rest := []byte(text + s.end)
	for len(rest) > 0 {
		n, err := unix.SendmsgN(s.socket, rest, nil, nil, unix.MSG_NOSIGNAL)
		if err != nil {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// connect connects to the log, which may be of either kind, anew.
func (s *systemLog) connect() bool {
	if s.connected {
		unix.Close(s.socket)
	}
	for _, as := range []struct {
		kind int
		end  string
	}{{unix.SOCK_DGRAM, ""}, {unix.SOCK_STREAM, "\x00"}} {
		fd, err := unix.Socket(unix.AF_UNIX, as.kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			break
		}
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: place})
		if s.connected = err == nil; s.connected {
			s.socket, s.end = fd, as.end
			return true
		}
		unix.Close(fd)
		if !errors.Is(err, unix.EPROTOTYPE) {
			break // nobody listens
		}
	}
	s.connected = false
	return false
}
