package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// bzImage wraps a payload as the kernel's build does: a setup header, two
// sectors of setup code, the payload, its unpacked size, and something behind
// it.
func bzImage(payload []byte) []byte {
	b := make([]byte, 3*512)
	b[0x1f1] = 2
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x206:], 0x20f)
	binary.LittleEndian.PutUint32(b[0x248:], 16)
	binary.LittleEndian.PutUint32(b[0x24c:], uint32(len(payload)+4))
	b = append(b, make([]byte, 16)...)
	b = append(b, payload...)
	return append(b, "SIZEbehind"...)
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t *testing.T, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(text), nil)
}

func TestVmlinux(t *testing.T) {
	const elf = "\x7fELF the kernel"
	old := bzImage(nil)
	old[0x206] = 7
	old[0x207] = 2
	long := bzImage([]byte("short"))
	binary.LittleEndian.PutUint32(long[0x24c:], 1<<20)
	none := bzImage(nil)
	binary.LittleEndian.PutUint32(none[0x24c:], 0)
	for _, tt := range []struct {
		name  string
		image []byte
		err   string
	}{
		{"an empty file", nil, "no bzImage"},
		{"something else", make([]byte, 4096), "no bzImage"},
		{"a boot protocol without payload", old, "older than 0x208"},
		{"a payload longer than the file", long, "of 1567"},
		{"a payload of no length", none, "payload is said"},
		{"an unknown compression", bzImage([]byte("LZ?? payload")), "unknown compression"},
		{"damaged data", bzImage(gzipped(t, elf)[:20]), "unpack the kernel"},
		{"no ELF image inside", bzImage(gzipped(t, "a text")), "no ELF image"},
		{"gzip", bzImage(gzipped(t, elf)), ""},
		{"zstd", bzImage(zstandard(t, elf)), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Vmlinux(tt.image)
			switch {
			case tt.err == "" && (err != nil || string(got) != elf):
				t.Errorf("got %q, %v; want %q", got, err, elf)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
		})
	}
}

func FuzzVmlinux(f *testing.F) {
	f.Add(bzImage([]byte("LZ")))
	f.Add(bzImage([]byte("\x1f\x8b\x08")))
	f.Fuzz(func(t *testing.T, image []byte) {
		if got, err := Vmlinux(image); err == nil && !bytes.HasPrefix(got, []byte("\x7fELF")) {
			t.Errorf("unpacked what is no ELF image: %q", got[:min(len(got), 16)])
		}
	})
}
