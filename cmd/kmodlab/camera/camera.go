// Package camera plays a USB camera, for a kernel that finds it on the other
// end of a line (package usbip). The driver uvcvideo binds to it and takes
// pictures.
//
// # The camera
//
// It is of the USB Video Class 1.1: a camera terminal that leads to a streaming
// terminal, and one format, YUY2 of [Width] by [Height] at [Rate] pictures a
// second. Its pictures are all the same. It has no controls such as brightness,
// and no button: uvcvideo would make that an input device, which nobody can be
// asked about.
//
// # Streaming
//
// Pictures come over a bulk endpoint, which the class allows beside isochronous
// ones. The kernel keeps some transfers waiting. Ten times a second a picture
// is due, and goes out with as many transfers as it needs. Nothing begins a
// stream but the waiting transfers, and nothing ends it but that they are called
// off and the endpoint is cleared (drivers/media/usb/uvc/uvc_video.c).
package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/usbip"
)

// What the pictures are.
const (
	Width  = 160
	Height = 120
	Rate   = 10 // a second
)

// An Identity is by what cameras differ.
type Identity struct {
	Vendor, Product uint16
	Serial          string
}

// Anybody is the identity of a camera that nothing is said about. The numbers
// are kept for tests by pid.codes.
var Anybody = Identity{Vendor: 0x1209, Product: 0x0001, Serial: "1"}

// A Camera answers what the kernel asks. Only Play may be called, and once.
type Camera struct {
	identity   Identity
	configured byte // number of the configuration
	failure    byte // why the last request of the class was refused
	stream     stream
}

// New returns a camera.
func New(id Identity) *Camera {
	return &Camera{identity: id, stream: stream{picture: Picture()}}
}

// Play answers the kernel until the line ends, which is no error, or until ctx
// does. It closes the line.
func (c *Camera) Play(ctx context.Context, line io.ReadWriteCloser) error {
	reading, end := context.WithCancel(ctx)
	defer end()
	commands := make(chan usbip.Command)
	ended := make(chan error, 1)
	go func() { ended <- read(reading, line, commands) }()
	err := c.answerAll(ctx, line, commands)
	end()
	line.Close() // ends read
	if errRead := <-ended; err == nil && ctx.Err() == nil {
		err = errRead
	}
	if isEnd(err) {
		return nil
	}
	return err
}

// isEnd says whether an error is the end of the line: the kernel or somebody
// here has closed it, maybe with something still unread.
func isEnd(err error) bool {
	for _, end := range []error{io.EOF, os.ErrClosed, unix.EPIPE, unix.ECONNRESET} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// read passes commands on until the line or ctx ends, and closes commands.
func read(ctx context.Context, line io.Reader, commands chan<- usbip.Command) error {
	defer close(commands)
	for {
		command, err := usbip.ReadCommand(line)
		if err != nil {
			return err
		}
		select {
		case commands <- command:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answerAll answers commands, and sends pictures when they are due.
func (c *Camera) answerAll(ctx context.Context, line io.Writer, commands <-chan usbip.Command) error {
	due := time.NewTimer(0)
	<-due.C
	var waiting bool // for due
	for {
		var answers []byte
		select {
		case command, ok := <-commands:
			if !ok {
				return nil
			}
			answers = c.answer(command)
		case <-due.C:
			waiting = false
			answers = c.stream.next()
		case <-ctx.Done():
			return nil
		}
		if _, err := line.Write(answers); err != nil {
			return fmt.Errorf("answer the kernel: %w", err)
		}
		if !waiting && c.stream.wanted() {
			due.Reset(time.Second / Rate)
			waiting = true
		}
	}
}

// answer is what the camera says to a command, nil for nothing yet.
func (c *Camera) answer(command usbip.Command) []byte {
	switch {
	case command.Unlink:
		return command.Unlinked(c.stream.callOff(command.Target))
	case command.Endpoint == 0:
		data, ok := c.control(command.Setup, command.Data)
		if !ok {
			return command.Stalled()
		}
		return command.Done(data[:min(len(data), command.Length)])
	case command.In && command.Endpoint == streamEndpoint&0x0f:
		return c.stream.wait(command)
	default:
		return command.Stalled()
	}
}
