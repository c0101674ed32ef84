// Package usbip is the far side of the kernel's virtual USB host controller,
// vhci_hcd: it puts a device that a program plays into one of its ports.
//
// # The protocol
//
// The kernel sends commands over a stream socket and wants each answered: to
// carry out a transfer (CMD_SUBMIT), answered when it is done (RET_SUBMIT), or
// to call an earlier one off (CMD_UNLINK, RET_UNLINK). All of them begin with a
// header of the same length, big-endian throughout but for the eight bytes of a
// control request, which are as on a USB line.
//
//	 0  command, number, device, direction, endpoint   4 bytes each
//	20  CMD_SUBMIT: flags, length, start frame, packets, interval, setup[8]
//	    RET_SUBMIT: status, length, start frame, packets, errors
//	    CMD_UNLINK: number of the transfer
//	    RET_UNLINK: status
//	48  the data of a transfer, with the command that goes out or the answer
//	    that comes in
//
// A status is 0 or one of the kernel's error numbers, negative. A transfer that
// was called off in time is not answered itself; its RET_UNLINK has the status
// -ECONNRESET, and 0 if the transfer was answered before
// (drivers/usb/usbip/usbip_common.h, vhci_rx.c,
// Documentation/usb/usbip_protocol.rst). Connecting to a server and listing its
// devices, the other half of USB/IP, is not for a device that lives on the same
// machine: see [Controller].
//
// Isochronous transfers are not spoken.
package usbip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// ErrCommand is wrapped by the errors about bytes that are no command.
var ErrCommand = errors.New("no USB/IP command")

// MaxTransfer is how many bytes a transfer may have. It bounds what a damaged
// length can cost; the kernel's drivers ask for less.
const MaxTransfer = 1 << 20

// headerLen is the length of what all commands and answers begin with.
const headerLen = 48

// The numbers of commands and their answers.
const (
	cmdSubmit = 1
	cmdUnlink = 2
	retSubmit = 3
	retUnlink = 4
)

// A Setup is the request of a control transfer (USB 2.0, 9.3).
type Setup struct {
	Type    byte // direction, kind and recipient
	Request byte
	Value   uint16
	Index   uint16
	Length  uint16
}

// A Command is what the kernel asks for: a transfer, or that one is called off.
type Command struct {
	Number   uint32
	In       bool // from the device to the kernel
	Endpoint int
	Length   int   // of the transfer, in bytes
	Setup    Setup // on endpoint 0
	Data     []byte

	Unlink bool   // Target is called off; there is no transfer
	Target uint32 // the Number of another command
}

// ReadCommand reads one command. It returns io.EOF at a clean end, and an error
// that wraps ErrCommand for bytes that are none.
func ReadCommand(r io.Reader) (Command, error) {
	var header [headerLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return Command{}, err
	}
	c, err := parseHeader(header)
	if err != nil || c.Unlink || c.In || c.Length == 0 {
		return c, err
	}
	c.Data = make([]byte, c.Length)
	if _, err := io.ReadFull(r, c.Data); err != nil {
		return Command{}, fmt.Errorf("%w: %w", ErrCommand, err)
	}
	return c, nil
}

func parseHeader(h [headerLen]byte) (c Command, err error) {
	word := func(i int) uint32 { return binary.BigEndian.Uint32(h[4*i:]) }
	c.Number = word(1)
	switch word(0) {
	case cmdUnlink:
		c.Unlink, c.Target = true, word(5)
		return c, nil
	case cmdSubmit:
	default:
		return Command{}, fmt.Errorf("%w: its number is %d", ErrCommand, word(0))
	}
	direction, endpoint, length, packets := word(3), word(4), word(6), int32(word(8))
	switch {
	case direction > 1 || endpoint > 15:
		return Command{}, fmt.Errorf("%w: it is about direction %d of endpoint %d", ErrCommand, direction, endpoint)
	case length > MaxTransfer:
		return Command{}, fmt.Errorf("%w: it is about %d bytes", ErrCommand, length)
	case packets > 0:
		return Command{}, fmt.Errorf("%w: it is isochronous, of %d packets", ErrCommand, packets)
	}
	c.In, c.Endpoint, c.Length = direction == 1, int(endpoint), int(length)
	c.Setup = parseSetup(h[40:])
	return c, nil
}

func parseSetup(b []byte) Setup {
	return Setup{
		Type:    b[0],
		Request: b[1],
		Value:   binary.LittleEndian.Uint16(b[2:]),
		Index:   binary.LittleEndian.Uint16(b[4:]),
		Length:  binary.LittleEndian.Uint16(b[6:]),
	}
}

// Done is the answer to a transfer that was carried out. data is what came in;
// with one that went out there is none.
func (c Command) Done(data []byte) []byte {
	if !c.In {
		return c.answer(retSubmit, 0, c.Length)
	}
	return append(c.answer(retSubmit, 0, len(data)), data...)
}

// Stalled is the answer to a transfer that the device refuses.
func (c Command) Stalled() []byte { return c.answer(retSubmit, -int32(unix.EPIPE), 0) }

// Unlinked is the answer to a command that calls another off. called says that
// this was in time.
func (c Command) Unlinked(called bool) []byte {
	if called {
		return c.answer(retUnlink, -int32(unix.ECONNRESET), 0)
	}
	return c.answer(retUnlink, 0, 0)
}

// answer is the header of an answer. The kernel finds the transfer by its
// number alone.
func (c Command) answer(kind uint32, status int32, length int) []byte {
	h := make([]byte, headerLen, headerLen+length)
	binary.BigEndian.PutUint32(h[0:], kind)
	binary.BigEndian.PutUint32(h[4:], c.Number)
	binary.BigEndian.PutUint32(h[20:], uint32(status))
	if kind == retSubmit {
		binary.BigEndian.PutUint32(h[24:], uint32(length))
	}
	return h
}
