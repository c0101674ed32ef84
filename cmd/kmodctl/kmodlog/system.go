package kmodlog

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// daemonFacility is LOG_DAEMON of syslog(3).
const daemonFacility = 3 << 3

// places are where a system log listens, the first that there is.
var places = []string{"/dev/log", "/var/run/syslog", "/var/run/log"}

// A systemLog is a socket of syslog(3)'s. The package log/syslog would bring the
// package net with it, which takes these small programs a tenth of their size.
type systemLog struct{ socket int }

// openSystemLog connects to the system log; nil if none runs.
func openSystemLog() *systemLog {
	for _, kind := range []int{unix.SOCK_DGRAM, unix.SOCK_STREAM} {
		for _, place := range places {
			fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return nil
			}
			if unix.Connect(fd, &unix.SockaddrUnix{Name: place}) == nil {
				return &systemLog{fd}
			}
			unix.Close(fd)
		}
	}
	return nil
}

// write says a line, in the form that syslog(3) writes (RFC 3164, without the host).
func (s *systemLog) write(priority int, name, line string) {
	text := fmt.Appendf(nil, "<%d>%s %s[%d]: %s\n", daemonFacility|priority, time.Now().Format(time.Stamp), name, os.Getpid(), line)
	_ = unix.Sendto(s.socket, text, unix.MSG_NOSIGNAL, nil) // there is nobody to tell
}
