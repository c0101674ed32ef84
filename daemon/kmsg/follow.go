package kmsg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// longestRecord is room for any record: a text of 2 KiB of which every byte is
// written as \xHH (PRINTK_MESSAGE_MAX in kernel/printk/internal.h).
const longestRecord = 10 << 10

// Follow hands every record that the kernel still has to visit, the oldest first, and
// then each one as it is written, until ctx is done, which is no error. The record's
// texts are good until visit returns.
func Follow(ctx context.Context, file string, visit func(Record)) error {
	// Opened non-blocking it is waited for by the runtime's poller, which a deadline ends.
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open the kernel's log %s: %w", file, errors.Unwrap(err))
	}
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for buf := make([]byte, longestRecord); ; {
		n, err := f.Read(buf)
		switch {
		case err == nil:
			if r, ok := Parse(buf[:n]); ok {
				visit(r)
			}
		case errors.Is(err, unix.EPIPE): // it wrote more than the log holds
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		default:
			return fmt.Errorf("read the kernel's log %s: %w", file, err)
		}
	}
}

// New hands the records that were written since the log was read last, or that it has
// at all if it was not, to visit. The record's texts are good until visit returns.
func (l *Log) New(visit func(Record)) {
	if l == nil {
		return
	}
	each(l.fd, make([]byte, longestRecord), func(r Record) {
		l.next = r.Seq + 1
		visit(r)
	})
}
