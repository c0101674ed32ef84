package usbip

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// line is bytes as a person writes them down: words of 32 bits in hexadecimal.
func line(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Commands as the kernel sends them.
const (
	getDeviceDescriptor = `00000001 00000007 00000001 00000001 00000000
		00000200 00000040 00000000 00000000 00000000 8006000100004000`
	setProbe = `00000001 00000008 00000001 00000000 00000000
		00000000 00000004 00000000 ffffffff 00000000 2101000101000400 01020304`
	readBulk = `00000001 00000009 00000001 00000001 00000001
		00000204 00004000 00000000 00000000 00000000 0000000000000000`
	unlink = `00000002 0000000a 00000001 00000000 00000000
		00000009 00000000 00000000 00000000 00000000 0000000000000000`
)

func TestCommandsAreRead(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       Command
		err        error
	}{
		{name: "a clean end", line: "", err: io.EOF},
		{name: "a line cut in the header", line: getDeviceDescriptor[:20], err: io.ErrUnexpectedEOF},
		{name: "a line cut in the data", line: setProbe[:len(setProbe)-2], err: ErrCommand},
		{name: "an answer", line: "00000003" + getDeviceDescriptor[8:], err: ErrCommand},
		{name: "a third direction", line: strings.Replace(getDeviceDescriptor, "00000001 00000000\n", "00000002 00000000\n", 1), err: ErrCommand},
		{name: "a seventeenth endpoint", line: strings.Replace(getDeviceDescriptor, "00000001 00000000\n", "00000001 00000010\n", 1), err: ErrCommand},
		{name: "more data than there can be", line: strings.Replace(setProbe, "00000004 ", "80000000 ", 1), err: ErrCommand},
		{name: "isochronous", line: strings.Replace(setProbe, "ffffffff", "00000002", 1), err: ErrCommand},
		{name: "a control transfer in", line: getDeviceDescriptor,
			want: Command{Number: 7, In: true, Length: 64, Setup: Setup{Type: 0x80, Request: 6, Value: 0x100, Length: 64}}},
		{name: "a control transfer out, with its data", line: setProbe,
			want: Command{Number: 8, Length: 4, Setup: Setup{Type: 0x21, Request: 1, Value: 0x100, Index: 1, Length: 4}, Data: []byte{1, 2, 3, 4}}},
		{name: "a bulk transfer", line: readBulk, want: Command{Number: 9, In: true, Endpoint: 1, Length: 16384}},
		{name: "one that is called off", line: unlink, want: Command{Number: 10, Unlink: true, Target: 9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rest := bytes.NewReader(line(t, tt.line))
			got, err := ReadCommand(rest)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error("command (-want +got):\n" + diff)
			}
			if err == nil && rest.Len() > 0 {
				t.Errorf("%d bytes are left over", rest.Len())
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	in := Command{Number: 7, In: true, Length: 64}
	out := Command{Number: 8, Length: 4}
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"data that came in, less than was asked for", in.Done([]byte{0x12, 1}), "00000003 00000007 00000000 00000000 00000000 00000000 00000002 00000000 00000000 00000000 0000000000000000 1201"},
		{"all data went out", out.Done([]byte("nobody asked for")), "00000003 00000008 00000000 00000000 00000000 00000000 00000004 00000000 00000000 00000000 0000000000000000"},
		{"refused", in.Stalled(), "00000003 00000007 00000000 00000000 00000000 ffffffe0 00000000 00000000 00000000 00000000 0000000000000000"},
		{"called off", in.Unlinked(true), "00000004 00000007 00000000 00000000 00000000 ffffff98 00000000 00000000 00000000 00000000 0000000000000000"},
		{"called off too late", in.Unlinked(false), "00000004 00000007 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 0000000000000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(line(t, tt.want), tt.got); diff != "" {
				t.Error("answer (-want +got):\n" + diff)
			}
		})
	}
}

func FuzzReadCommand(f *testing.F) {
	for _, text := range []string{getDeviceDescriptor, setProbe, readBulk, unlink} {
		f.Add(line(f, text))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		c, err := ReadCommand(bytes.NewReader(sent))
		switch {
		case err != nil && !cmp.Equal(c, Command{}):
			t.Errorf("error %v, and %+v", err, c)
		case err == nil && (c.Length > MaxTransfer || len(c.Data) > len(sent) || c.In && len(c.Data) > 0):
			t.Errorf("from %d bytes: %+v", len(sent), c)
		}
	})
}
