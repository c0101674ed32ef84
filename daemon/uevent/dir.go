package uevent

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A dir reads a directory into a buffer that is used again for the next one.
// os.ReadDir and os.ReadFile would do, at the price of a few strings, a few
// buffers and a finalizer for each device.
type dir struct {
	fd   int
	buf  [4 << 10]byte // some hundred entries
	left []byte        // of buf, not handed out yet
	err  error         // that ended the reading, nil for the end
}

// open begins to read the directory that path, which ends with a NUL, names
// below the directory at.
func (d *dir) open(at int, path []byte) error {
	fd, err := openat(at, path, unix.O_DIRECTORY)
	d.fd, d.left, d.err = fd, nil, nil
	return err
}

func (d *dir) close() { unix.Close(d.fd) }

// next returns the next entry: its name with the NUL that ends it, and its
// type (DT_LNK, DT_DIR, …). The name is valid until the next call.
func (d *dir) next() (name []byte, kind byte, ok bool) {
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

func (d *dir) fill() bool {
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
func (d *dir) take() (name []byte, kind byte) {
	length := binary.NativeEndian.Uint16(d.left[16:])
	kind, name = d.left[18], d.left[19:length]
	d.left = d.left[length:]
	return name[:bytes.IndexByte(name, 0)+1], kind
}

// openat is openat(2) on a path that ends with a NUL. unix.Openat would make
// two copies of it.
func openat(at int, path []byte, flags int) (int, error) {
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

// readlinkat is readlinkat(2) on a path that ends with a NUL.
func readlinkat(at int, path, buf []byte) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(at), uintptr(unsafe.Pointer(&path[0])),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// readat reads the small file that path, which ends with a NUL, names below
// the directory at. One read(2) gives all of a sysfs attribute.
func readat(at int, path, buf []byte) ([]byte, error) {
	fd, err := openat(at, path, 0)
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
