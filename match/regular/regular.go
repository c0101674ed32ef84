// Package regular opens and reads files that ought to be regular ones, by system calls
// alone. An [os.File] would cost several more for each, and a poller for the process, of
// which there is nothing to be had for a regular file.
package regular

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNot is the error of a file that is none: a directory, a FIFO, a device.
var ErrNot = errors.New("not a regular file")

// Open opens whatever has that name, to be read. It does not wait for a FIFO's other end. The
// error is an [*os.PathError].
func Open(name string) (fd int, err error) {
	for {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_LARGEFILE, 0)
		switch err {
		case nil:
			return fd, nil
		case unix.EINTR: // of a file system over a network
		default:
			return -1, &os.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

// Read returns the content of a regular file. The error is an [*os.PathError], or [ErrNot]; what
// is there instead says stat.
func Read(name string) (text string, stat unix.Stat_t, err error) {
	fd, err := Open(name)
	if err != nil {
		return "", stat, err
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &stat); err != nil {
		return "", stat, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", stat, ErrNot
	}
	content := make([]byte, 0, stat.Size+512) // the files of /proc say 0
	for {
		n, err := unix.Read(fd, content[len(content):cap(content)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return "", stat, &os.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return string(content), stat, nil
		default:
			content = content[:len(content)+n]
		}
		if len(content) == cap(content) {
			content = append(content, 0)[:len(content)]
		}
	}
}

// Map maps a regular file, to be read. The error is an [*os.PathError], [ErrNot], or says that it is empty.
func Map(name string) ([]byte, error) {
	fd, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	switch {
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, ErrNot
	case stat.Size == 0:
		return nil, errors.New("empty file")
	case int64(int(stat.Size)) != stat.Size:
		return nil, &os.PathError{Op: "mmap", Path: name, Err: unix.EFBIG}
	}
	data, err := unix.Mmap(fd, 0, int(stat.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: name, Err: err}
	}
	return data, nil
}
