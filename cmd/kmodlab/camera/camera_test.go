package camera

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kmodd/kmodd/cmd/kmodlab/usbip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestControlRequests(t *testing.T) {
	device := []byte{18, 1, 0, 2, 0xef, 2, 1, 64, 0x09, 0x12, 0x01, 0, 0, 1, 1, 2, 3, 1}
	for _, tt := range []struct {
		name  string
		setup usbip.Setup
		data  []byte
		want  []byte
		stall bool
	}{
		{name: "a descriptor that it has not", setup: usbip.Setup{Type: 0x80, Request: getDescriptor, Value: 0x0600}, stall: true},
		{name: "a second configuration", setup: usbip.Setup{Request: setConfiguration, Value: 2}, stall: true},
		{name: "a string that it has not", setup: usbip.Setup{Type: 0x80, Request: getDescriptor, Value: 0x0304}, stall: true},
		{name: "another setting of an interface", setup: usbip.Setup{Type: 1, Request: setInterface, Value: 1, Index: 1}, stall: true},
		{name: "a vendor's request", setup: usbip.Setup{Type: 0x40, Request: 1}, stall: true},
		{name: "a control of a terminal", setup: usbip.Setup{Type: 0xa1, Request: getCur, Value: 0x0200, Index: 0x0100}, stall: true},
		{name: "a still picture", setup: usbip.Setup{Type: 0xa1, Request: getCur, Value: 0x0300, Index: 1}, stall: true},
		{name: "too short a wish", setup: usbip.Setup{Type: 0x21, Request: setCur, Value: 0x0100, Index: 1}, data: make([]byte, 26), stall: true},
		{name: "the device", setup: usbip.Setup{Type: 0x80, Request: getDescriptor, Value: 0x0100}, want: device},
		{name: "the languages", setup: usbip.Setup{Type: 0x80, Request: getDescriptor, Value: 0x0300}, want: []byte{4, 3, 9, 4}},
		{name: "the serial number", setup: usbip.Setup{Type: 0x80, Request: getDescriptor, Value: 0x0303}, want: []byte{4, 3, '1', 0}},
		{name: "its status", setup: usbip.Setup{Type: 0x80, Request: getStatus}, want: []byte{0, 0}},
		{name: "a configuration", setup: usbip.Setup{Request: setConfiguration, Value: 1}},
		{name: "the wish", setup: usbip.Setup{Type: 0x21, Request: setCur, Value: 0x0100, Index: 1}, data: make([]byte, probeLen)},
		{name: "what may be done with it", setup: usbip.Setup{Type: 0xa1, Request: getInfo, Value: 0x0100, Index: 1}, want: []byte{3}},
		{name: "what will be", setup: usbip.Setup{Type: 0xa1, Request: getCur, Value: 0x0100, Index: 1}, want: probe()},
		{name: "the end of a stream", setup: usbip.Setup{Type: 2, Request: clearFeature, Index: streamEndpoint}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := New(Anybody).control(tt.setup, tt.data)
			if ok == tt.stall {
				t.Errorf("refused: %v, want %v", !ok, tt.stall)
			}
			if diff := cmp.Diff(tt.want, got); ok && diff != "" {
				t.Error("answer (-want +got):\n" + diff)
			}
		})
	}
}

func TestWhyARequestWasRefused(t *testing.T) {
	c := New(Anybody)
	why := usbip.Setup{Type: 0xa1, Request: getCur, Value: controlError << 8}
	for _, tt := range []struct {
		setup usbip.Setup
		want  byte
	}{
		{usbip.Setup{Type: 0xa1, Request: getCur, Value: 0x0100, Index: 1}, noFailure},
		{usbip.Setup{Type: 0xa1, Request: getCur, Value: 0x0200, Index: 0x0100}, failUnit},
		{usbip.Setup{Type: 0xa1, Request: getCur, Value: 0x0900, Index: 1}, failControl},
		{usbip.Setup{Type: 0xa1, Request: 0x99, Value: 0x0100, Index: 1}, failRequest},
	} {
		c.control(tt.setup, nil)
		if got, ok := c.control(why, nil); !ok || !bytes.Equal(got, []byte{tt.want}) {
			t.Errorf("after %+v: %v, %v; want %d", tt.setup, got, ok, tt.want)
		}
	}
}

// The lengths that descriptors say, of themselves and of what they head, add
// up.
func TestDescriptorsAddUp(t *testing.T) {
	all := configurationDescriptor()
	if total := binary.LittleEndian.Uint16(all[2:]); int(total) != len(all) {
		t.Errorf("the configuration says %d bytes, and has %d", total, len(all))
	}
	var kinds []byte
	for rest := all; len(rest) > 0; rest = rest[rest[0]:] {
		if rest[0] < 3 || int(rest[0]) > len(rest) {
			t.Fatalf("a descriptor of %d bytes with %d left", rest[0], len(rest))
		}
		kinds = append(kinds, rest[1])
	}
	want := slices.Concat([]byte{typeConfiguration, typeAssociation, typeInterface, typeClass, typeClass, typeClass, typeInterface},
		bytes.Repeat([]byte{typeClass}, 4), []byte{typeEndpoint})
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error("types (-want +got):\n" + diff)
	}
	for name, d := range map[string]struct {
		all desc
		at  int // of the total
	}{"control": {controlDescriptors(), 5}, "stream": {streamDescriptors(), 4}} {
		if total := binary.LittleEndian.Uint16(d.all[d.at:]); int(total) != len(d.all) {
			t.Errorf("the %s interface says %d bytes, and has %d", name, total, len(d.all))
		}
	}
	if len(probe()) != probeLen {
		t.Errorf("what is negotiated has %d bytes, want %d", len(probe()), probeLen)
	}
	if long, ok := stringDescriptor(Identity{Serial: string(bytes.Repeat([]byte("x"), 300))}, stringSerial); !ok || len(long) != 254 {
		t.Errorf("a long string has %d bytes, want 254", len(long))
	}
}

// payloads are the data of answers, each with its header.
func payloads(t *testing.T, answers []byte) (all [][]byte) {
	t.Helper()
	for len(answers) > 0 {
		n := binary.BigEndian.Uint32(answers[24:])
		all = append(all, answers[48:48+n])
		answers = answers[48+n:]
	}
	return all
}

func TestAPictureFillsTransfers(t *testing.T) {
	s := stream{picture: Picture()}
	for i := range uint32(2) {
		if got := s.wait(usbip.Command{Number: i, In: true, Endpoint: 1, Length: maxPayload}); got != nil {
			t.Fatalf("%d bytes before a picture was due", len(got))
		}
	}
	sent := payloads(t, s.next())
	sent = append(sent, payloads(t, s.wait(usbip.Command{Number: 2, In: true, Endpoint: 1, Length: maxPayload}))...)
	var headers, picture []byte
	for _, p := range sent {
		headers = append(headers, p[1])
		picture = append(picture, p[headerLen:]...)
	}
	if diff := cmp.Diff([]byte{0x81, 0x81, 0x83}, headers); diff != "" {
		t.Error("headers (-want +got):\n" + diff)
	}
	if !bytes.Equal(picture, Picture()) {
		t.Error("the picture came out otherwise")
	}
	s.wait(usbip.Command{Number: 3, In: true, Endpoint: 1, Length: maxPayload})
	if next := payloads(t, s.next()); len(next) != 1 || next[0][1] != 0x80 {
		t.Errorf("the next picture begins with %x, want parity 0", next)
	}
}

func TestATransferIsCalledOff(t *testing.T) {
	s := stream{picture: Picture()}
	s.wait(usbip.Command{Number: 7, In: true, Endpoint: 1, Length: maxPayload})
	if !s.callOff(7) || s.callOff(7) || s.wanted() {
		t.Error("it was not called off once and for all")
	}
	if got := s.next(); got != nil {
		t.Errorf("%d bytes for nobody", len(got))
	}
}

// The scenario knows the picture by this sum.
const pictureSum = 0x0cc2aaab

func TestThePictureStaysTheSame(t *testing.T) {
	if sum := crc32.ChecksumIEEE(Picture()); len(Picture()) != pictureLen || sum != pictureSum {
		t.Errorf("%d bytes, crc32 %08x; want %d, %08x", len(Picture()), sum, pictureLen, pictureSum)
	}
}

func TestPlay(t *testing.T) {
	ours, kernels := net.Pipe()
	played := make(chan error, 1)
	go func() { played <- New(Anybody).Play(context.Background(), ours) }()
	deadline := time.Now().Add(10 * time.Second)
	if err := kernels.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	command := make([]byte, 48)
	command[3], command[7], command[15] = 1, 9, 1 // a transfer in, number 9
	binary.BigEndian.PutUint32(command[24:], 8)   // of 8 bytes
	copy(command[40:], []byte{0x80, getDescriptor, 0, typeDevice, 0, 0, 8, 0})
	if _, err := kernels.Write(command); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 48+8)
	if _, err := io.ReadFull(kernels, answer); err != nil || answer[7] != 9 || answer[48] != 18 {
		t.Errorf("answer %x, %v; want the beginning of the device's descriptor to number 9", answer, err)
	}
	kernels.Close()
	if err := <-played; err != nil {
		t.Errorf("at the end of the line: %v", err)
	}
}

func TestPlayEndsWithItsContext(t *testing.T) {
	ours, kernels := net.Pipe()
	defer kernels.Close()
	ctx, cancel := context.WithCancel(context.Background())
	played := make(chan error, 1)
	go func() { played <- New(Anybody).Play(ctx, ours) }()
	cancel()
	if err := <-played; err != nil {
		t.Error(err)
	}
}

func FuzzControl(f *testing.F) {
	f.Add(byte(0x80), byte(getDescriptor), uint16(0x0100), uint16(0), []byte(nil))
	f.Add(byte(0x80), byte(getDescriptor), uint16(0x0303), uint16(0x0409), []byte(nil))
	f.Add(byte(0x21), byte(setCur), uint16(0x0100), uint16(1), make([]byte, probeLen))
	f.Add(byte(0xa1), byte(getCur), uint16(0x0200), uint16(0), []byte(nil))
	f.Fuzz(func(t *testing.T, kind, request byte, value, index uint16, data []byte) {
		answer, ok := New(Anybody).control(usbip.Setup{Type: kind, Request: request, Value: value, Index: index}, data)
		if len(answer) > 0 && !ok {
			t.Errorf("refused: %v, with %d bytes", !ok, len(answer))
		}
	})
}
