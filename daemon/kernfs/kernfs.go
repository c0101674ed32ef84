// Package kernfs reads the directories and the small files of the kernel's own
// file systems, /sys and /proc, into buffers that the caller has. os.ReadDir and
// os.ReadFile would do, at the price of a few strings, a few buffers and a
// finalizer for each device or process that is looked at: megabytes, where
// hundreds are.
//
// Paths are bytes that end with a NUL, as the system calls want them.
package kernfs

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Dir reads a directory into a buffer that is used again for the next one.
// The zero value is ready to open one.
type Dir struct {
	fd   int
	buf  [4 << 10]byte // some hundred entries
	left []byte        // of buf, not handed out yet
	err  error         // that ended the reading, nil for the end
}

// Open begins to read the directory that path names below the directory at.
func (d *Dir) Open(at int, path []byte) error {
	fd, err := Openat(at, path, unix.O_DIRECTORY)
	d.fd, d.left, d.err = fd, nil, nil
	return err
}

// Close ends the reading.
func (d *Dir) Close() { unix.Close(d.fd) }

// Fd is the directory's descriptor, until it is closed.
func (d *Dir) Fd() int { return d.fd }

// Err is what ended the reading, nil for the directory's end.
func (d *Dir) Err() error { return d.err }

// Next returns the next entry: its name with the NUL that ends it, and its
// type (DT_LNK, DT_DIR, …). The name is valid until the next call.
func (d *Dir) Next() (name []byte, kind byte, ok bool) {
	for {
		if len(d.left) == 0 && !d.fill() {
			return nil, 0, false
		}
		name, kind = d.take()
		if name[0] != '.' {
			return name, kind, true
		}
	}
}

func (d *Dir) fill() bool {
	n, err := unix.Getdents(d.fd, d.buf[:])
	if err != nil || n <= 0 {
		d.err = err
		return false
	}
	d.left = d.buf[:n]
	return true
}

// take cuts one entry off, a struct linux_dirent64 (getdents(2)): inode and
// offset of 8 bytes each, its own length of 2, the type, and the name, padded
// with NULs.
func (d *Dir) take() (name []byte, kind byte) {
	length := binary.NativeEndian.Uint16(d.left[16:])
	kind, name = d.left[18], d.left[19:length]
	d.left = d.left[length:]
	return name[:bytes.IndexByte(name, 0)+1], kind
}

// Openat is openat(2). unix.Openat would make two copies of the path.
func Openat(at int, path []byte, flags int) (int, error) {
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(&path[0])),
			uintptr(flags|unix.O_RDONLY|unix.O_CLOEXEC), 0, 0, 0)
		switch errno {
		case 0:
			return int(fd), nil
		case unix.EINTR:
		default:
			return -1, errno
		}
	}
}

// Readlinkat is readlinkat(2). A target that fills buf may be longer.
func Readlinkat(at int, path, buf []byte) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(at), uintptr(unsafe.Pointer(&path[0])),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Readat reads the small file that path names below the directory at. One
// read(2) gives all of a sysfs attribute.
func Readat(at int, path, buf []byte) ([]byte, error) {
	fd, err := Openat(at, path, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, buf)
		switch err {
		case nil:
			return buf[:n], nil
		case unix.EINTR:
		default:
			return nil, err
		}
	}
}

// Exists tells whether there is anything that path names below the directory at.
// A symbolic link is followed.
func Exists(at int, path []byte) bool {
	_, _, errno := unix.Syscall(unix.SYS_FACCESSAT, uintptr(at), uintptr(unsafe.Pointer(&path[0])), unix.F_OK)
	return errno == 0
}
