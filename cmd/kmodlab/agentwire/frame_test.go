package agentwire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDamagedFramesAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       error
	}{
		{"a clean end is no damage", "", io.EOF},
		{"a word of the firmware", "SeaBIOS (version 1.16)", ErrFrame},
		{"a header longer than the limit", "kmL1\xff\xff\xff\xff\x00\x00\x00\x00", ErrFrame},
		{"a body longer than the limit", "kmL1\x00\x00\x00\x02\x00\x10\x00\x00{}", ErrFrame},
		{"a line cut in the prefix", "kmL1\x00\x00", io.ErrUnexpectedEOF},
		{"a line cut in the header", "kmL1\x00\x00\x00\x09\x00\x00\x00\x00{", ErrFrame},
		{"a header that is not JSON", "kmL1\x00\x00\x00\x01\x00\x00\x00\x00}", ErrFrame},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ReadFrame(strings.NewReader(tt.line), new(Request)); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAFrameThatIsTooLongIsNotSent(t *testing.T) {
	var line bytes.Buffer
	if err := WriteFrame(&line, Request{}, make([]byte, MaxBody+1)); err == nil || line.Len() > 0 {
		t.Errorf("error %v and %d bytes sent, want an error and none", err, line.Len())
	}
}

func TestFramesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type frame struct {
			Request
			Body []byte
		}
		frames := rapid.SliceOf(rapid.Custom(func(t *rapid.T) frame {
			return frame{
				Request: Request{
					ID:   rapid.Uint64().Draw(t, "id"),
					Op:   Run,
					Argv: rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "argv"),
				},
				Body: rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "body"),
			}
		})).Draw(t, "frames")
		var line bytes.Buffer
		for _, f := range frames {
			if err := WriteFrame(&line, f.Request, f.Body); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range frames {
			var got frame
			var err error
			if got.Body, err = ReadFrame(&line, &got.Request); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal("frame (-want +got):\n" + diff)
			}
		}
		if line.Len() > 0 {
			t.Fatalf("%d bytes are left over", line.Len())
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	var good bytes.Buffer
	if err := WriteFrame(&good, Request{ID: 1, Op: Run, Argv: []string{"true"}}, []byte("in")); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte("kmL1\x00\x00\x00\x02\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, line []byte) {
		var header Request
		body, err := ReadFrame(bytes.NewReader(line), &header)
		if err == nil && len(body) > len(line) {
			t.Errorf("a body of %d bytes from a line of %d", len(body), len(line))
		}
	})
}
