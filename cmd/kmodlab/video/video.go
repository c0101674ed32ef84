// Package video takes pictures from a camera, by Video4Linux.
//
// The numbers and layouts are those of linux/videodev2.h, for the word size
// that the program is built for.
package video

import (
	"context"
	"errors"
	"io/fs"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An Error is about one request to a video device.
type Error struct {
	Device, Op string
	Err        error
}

var _ error = (*Error)(nil)

func (e *Error) Error() string { return e.Device + ": " + e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// A Device is an open video device. Only one goroutine may use it.
type Device struct {
	name    string
	fd      int
	buffers [][]byte // shared with the kernel, while it streams
}

// Open opens a video device.
func Open(name string) (*Device, error) {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &Device{name: name, fd: fd}, nil
}

// Close closes the device, and ends a stream.
func (d *Device) Close() error {
	var errs []error
	for _, b := range d.buffers {
		errs = append(errs, unix.Munmap(b))
	}
	return errors.Join(append(errs, unix.Close(d.fd))...)
}

// request sends an ioctl, whose number says the direction and size of its
// argument (asm-generic/ioctl.h).
func request[T any](d *Device, op string, direction, number uintptr, arg *T) error {
	const video = 'V'
	code := direction<<30 | unsafe.Sizeof(*arg)<<16 | video<<8 | number
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), code, uintptr(unsafe.Pointer(arg)))
	if errno != 0 {
		return &Error{d.name, op, errno}
	}
	return nil
}

// Directions of an ioctl's argument, seen from the program.
const (
	writes = 1
	reads  = 2
)

// About is what a device says of itself.
type About struct{ Driver, Card, Bus string }

// capability is struct v4l2_capability.
type capability struct {
	driver    [16]byte
	card, bus [32]byte
	_         [6]uint32 // version, and what it can do
}

// About asks what the device is (VIDIOC_QUERYCAP).
func (d *Device) About() (About, error) {
	var c capability
	err := request(d, "what it is", reads, 0, &c)
	return About{unix.ByteSliceToString(c.driver[:]), unix.ByteSliceToString(c.card[:]), unix.ByteSliceToString(c.bus[:])}, err
}

// capture is V4L2_BUF_TYPE_VIDEO_CAPTURE, and mapped V4L2_MEMORY_MMAP.
const (
	capture = 1
	mapped  = 1
)

// A Format is how pictures are written down.
type Format struct {
	Width, Height uint32
	Pixels        [4]byte // the name of their layout, as YUYV
	_             uint32  // which lines a picture has
	Line          uint32  // bytes a line
	Size          uint32  // bytes a picture
}

// format is struct v4l2_format, whose union has a pointer.
type format struct {
	kind uint32
	_    [0]uintptr
	Format
	_ [200 - unsafe.Sizeof(Format{})]byte
}

// Format asks for the present format (VIDIOC_G_FMT).
func (d *Device) Format() (Format, error) {
	f := format{kind: capture}
	err := request(d, "its format", reads|writes, 4, &f)
	return f.Format, err
}

// requestBuffers is struct v4l2_requestbuffers.
type requestBuffers struct {
	count, kind, memory uint32
	_                   [2]uint32 // capabilities
}

// buffer is struct v4l2_buffer.
type buffer struct {
	index, kind, used, flags uint32
	_                        uint32       // which lines
	_                        unix.Timeval // when
	_                        [4]uint32    // timecode
	sequence, memory         uint32
	offset                   uintptr // a union; for mapped, its first 4 bytes
	length                   uint32
	_                        [2]uint32
}

// errorFlag is V4L2_BUF_FLAG_ERROR: the picture is damaged.
const errorFlag = 0x40

// Start has the camera stream into some buffers (VIDIOC_REQBUFS to STREAMON).
func (d *Device) Start() error {
	const count = 4
	r := requestBuffers{count: count, kind: capture, memory: mapped}
	if err := request(d, "ask for buffers", reads|writes, 8, &r); err != nil {
		return err
	}
	for i := range r.count {
		b := buffer{index: i, kind: capture, memory: mapped}
		if err := request(d, "find a buffer", reads|writes, 9, &b); err != nil {
			return err
		}
		if err := d.share(b); err != nil {
			return &Error{d.name, "map a buffer", err}
		}
		if err := request(d, "give a buffer", reads|writes, 15, &b); err != nil {
			return err
		}
	}
	kind := int32(capture)
	return request(d, "start", writes, 18, &kind)
}

// share maps a buffer of the kernel's.
func (d *Device) share(b buffer) error {
	offset := *(*uint32)(unsafe.Pointer(&b.offset))
	memory, err := unix.Mmap(d.fd, int64(offset), int(b.length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err == nil {
		d.buffers = append(d.buffers, memory)
	}
	return err
}

// A Picture is one that was taken.
type Picture struct {
	Sequence uint32 // its number; those before it that are missing were lost
	Damaged  bool
	Data     []byte
}

// Next waits for the next picture. A second without one asks ctx whether to go
// on.
func (d *Device) Next(ctx context.Context) (Picture, error) {
	b := buffer{kind: capture, memory: mapped}
	for {
		err := request(d, "take a picture", reads|writes, 17, &b)
		switch {
		case err == nil:
			p := Picture{b.sequence, b.flags&errorFlag != 0, append([]byte(nil), d.buffers[b.index][:b.used]...)}
			return p, request(d, "give a buffer", reads|writes, 15, &b)
		case !errors.Is(err, unix.EAGAIN):
			return Picture{}, err
		case ctx.Err() != nil:
			return Picture{}, &Error{d.name, "wait for a picture", context.Cause(ctx)}
		}
		ready := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, int(time.Second/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
			return Picture{}, &Error{d.name, "wait for a picture", err}
		}
	}
}
