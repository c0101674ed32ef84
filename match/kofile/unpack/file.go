package unpack

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/kofile"
)

// A file is an open file. An [os.File] would cost three more system calls and five
// more allocations for each of the thousands that a depmod opens.
type file int

var _ io.ReaderAt = file(0)

func open(name string) (file, error) {
	for {
		// Opening a FIFO would wait for its other end.
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_LARGEFILE, 0)
		switch err {
		case nil:
			return file(fd), nil
		case unix.EINTR: // of a file system over a network
		default:
			return 0, &os.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

func (f file) Close() error { return unix.Close(int(f)) }

// size is that of a regular file, in bytes.
func (f file) size() (int64, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f), &stat); err != nil {
		return 0, &kofile.Error{Says: "stat: " + err.Error(), Err: err}
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		return 0, &kofile.Error{Says: "a directory", Err: unix.EISDIR}
	default:
		return 0, &kofile.Error{Says: "not a regular file"}
	}
	if stat.Size == 0 {
		return 0, &kofile.Error{Says: "the file is empty"}
	}
	return stat.Size, nil
}

func (f file) ReadAt(b []byte, at int64) (n int, err error) {
	for n < len(b) {
		some, err := unix.Pread(int(f), b[n:], at+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, err
		case some == 0:
			return n, io.EOF
		default:
			n += some
		}
	}
	return n, nil
}
