package unpack

import (
	"io"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/regular"
)

// A file is an open file. An [os.File] would cost three more system calls and five
// more allocations for each of the thousands that a depmod opens.
type file int

var _ io.ReaderAt = file(0)

func open(name string) (file, error) {
	fd, err := regular.Open(name)
	return file(fd), err
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
