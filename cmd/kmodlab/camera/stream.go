package camera

import (
	"slices"

	"github.com/kmodd/kmodd/cmd/kmodlab/usbip"
)

// maxPayload is the most bytes of one payload, its header among them: what
// uvcvideo asks for at a time, 32 packets (UVC_MAX_PACKETS of uvcvideo.h).
const maxPayload = 32 * bulkPacket

// The header of a payload (UVC 1.1, 2.4.3.3).
const (
	headerLen   = 2
	frameParity = 1 << 0 // changes from picture to picture
	endOfFrame  = 1 << 1
	endOfHeader = 1 << 7
)

// A stream is what goes over the bulk endpoint.
type stream struct {
	picture []byte
	waiting []usbip.Command // transfers that the kernel wants filled, in order
	rest    []byte          // of the picture that is under way
	parity  byte
}

// wanted says whether anybody waits for pictures.
func (s *stream) wanted() bool { return len(s.waiting) > 0 }

// wait takes a transfer, and fills it if a picture is under way.
func (s *stream) wait(c usbip.Command) []byte {
	s.waiting = append(s.waiting, c)
	return s.flow()
}

// next begins a picture, if the one before has gone out, and fills transfers.
func (s *stream) next() []byte {
	if s.wanted() && len(s.rest) == 0 {
		s.rest = s.picture
		s.parity ^= frameParity
	}
	return s.flow()
}

// flow fills the transfers that wait, each with one payload, as far as the
// picture goes.
func (s *stream) flow() (answers []byte) {
	for len(s.waiting) > 0 && len(s.rest) > 0 {
		c := s.waiting[0]
		s.waiting = s.waiting[1:]
		n := min(len(s.rest), max(min(c.Length, maxPayload)-headerLen, 0))
		if n == 0 {
			answers = append(answers, c.Stalled()...) // no room for a header
			continue
		}
		header := byte(endOfHeader | s.parity)
		if n == len(s.rest) {
			header |= endOfFrame
		}
		answers = append(answers, c.Done(slices.Concat([]byte{headerLen, header}, s.rest[:n]))...)
		s.rest = s.rest[n:]
	}
	return answers
}

// callOff forgets a transfer, and says whether it waited.
func (s *stream) callOff(number uint32) bool {
	before := len(s.waiting)
	s.waiting = slices.DeleteFunc(s.waiting, func(c usbip.Command) bool { return c.Number == number })
	return len(s.waiting) < before
}

// stop drops what is left of a picture: the next stream begins with a whole
// one.
func (s *stream) stop() { s.rest = nil }

// Picture is what the camera sees: eight bars from black to white, in YUY2, two
// bytes a pixel: its brightness, and by turns one of the colours of two
// pixels.
func Picture() []byte {
	const bars, black, white, grey = 8, 16, 235, 128
	picture := make([]byte, 0, 2*Width*Height)
	for range Height {
		for x := range Width {
			bar := x * bars / Width
			picture = append(picture, byte(black+bar*(white-black)/(bars-1)), grey)
		}
	}
	return picture
}
