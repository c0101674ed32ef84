package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kmsg streams the kernel's log as dmesg prints it, from its oldest record on.
// With follow it goes on until ctx ends.
func kmsg(ctx context.Context, w io.Writer, follow bool) error {
	// Non-blocking, and through the poller, so that closing ends a read.
	f, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	defer f.Close()
	next := f.Read
	if !follow {
		next = nowait{f}.Read
	}
	err = copyRecords(w, next)
	if errors.Is(err, unix.EAGAIN) || ctx.Err() != nil { // the end, or as asked
		return nil
	}
	return err
}

// A nowait reads what is there, and says EAGAIN where reading the file would
// wait.
type nowait struct{ f *os.File }

func (r nowait) Read(p []byte) (n int, err error) {
	raw, err := r.f.SyscallConn()
	if err != nil {
		return 0, err
	}
	errRaw := raw.Read(func(fd uintptr) bool {
		n, err = unix.Read(int(fd), p)
		return true
	})
	return n, errors.Join(err, errRaw)
}

// copyRecords formats every record that read returns: /dev/kmsg gives one at a
// time (Documentation/ABI/testing/dev-kmsg).
func copyRecords(w io.Writer, read func([]byte) (int, error)) error {
	record := make([]byte, 8192) // CONSOLE_EXT_LOG_MAX, include/linux/printk.h
	for {
		n, err := read(record)
		switch {
		case errors.Is(err, unix.EPIPE): // records were overwritten before we came
			continue
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		}
		if _, err := io.WriteString(w, formatRecord(record[:n])); err != nil {
			return err
		}
	}
}

// formatRecord turns "6,339,5140900,-;NET: Registered" into "[    5.140900]
// NET: Registered". What follows the first line (KEY=VALUE pairs) is left out.
// A record of another form is kept as it is.
func formatRecord(record []byte) string {
	head, text, ok := bytes.Cut(record, []byte(";"))
	fields := strings.Split(string(head), ",")
	if !ok || len(fields) < 3 {
		return string(record)
	}
	usec, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return string(record)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return fmt.Sprintf("[%5d.%06d] %s\n", usec/1e6, usec%1e6, line)
}
