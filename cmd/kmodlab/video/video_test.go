package video

import (
	"context"
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The sizes are part of the numbers of requests, and the kernel knows no others.
func TestLayouts(t *testing.T) {
	sizes := map[string][2]uintptr{ // want, got
		"v4l2_capability":     {104, unsafe.Sizeof(capability{})},
		"v4l2_format":         {208, unsafe.Sizeof(format{})},
		"v4l2_requestbuffers": {20, unsafe.Sizeof(requestBuffers{})},
		"v4l2_buffer":         {88, unsafe.Sizeof(buffer{})},
	}
	if unsafe.Sizeof(uintptr(0)) == 4 {
		sizes["v4l2_format"] = [2]uintptr{204, unsafe.Sizeof(format{})}
		sizes["v4l2_buffer"] = [2]uintptr{68, unsafe.Sizeof(buffer{})}
	}
	for name, s := range sizes {
		if s[0] != s[1] {
			t.Errorf("%s has %d bytes, want %d", name, s[1], s[0])
		}
	}
}

func TestWhatIsNoCamera(t *testing.T) {
	if _, err := Open("/dev/there is none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opened: %v, want %v", err, os.ErrNotExist)
	}
	d, err := Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var of *Error
	if _, err := d.About(); !errors.As(err, &of) || !errors.Is(err, unix.ENOTTY) {
		t.Errorf("asked what it is: %v, want %v", err, unix.ENOTTY)
	}
	if err := d.Start(); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("started: %v, want %v", err, unix.ENOTTY)
	}
	if _, err := d.Next(context.Background()); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("took a picture: %v, want %v", err, unix.ENOTTY)
	}
}
