package unpack

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

const limit = 8 << 20

const text = "\x7fELF and so on, and so on, and so on"

func gzipped(t *testing.T, content io.Reader) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.Copy(w, content); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}

func zstandard(t *testing.T, content string) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll([]byte(content), nil)
}

// xzed is text, by "xz --check=crc32 --lzma2=dict=2MiB" as the kernel's
// makefile calls it.
func xzed(t *testing.T) []byte {
	b, err := base64.StdEncoding.DecodeString(xzText)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnpack(t *testing.T) {
	gz, zst, xz := gzipped(t, strings.NewReader(text)), zstandard(t, text), xzed(t)
	damaged := bytes.Clone(xz)
	damaged[len(damaged)-20] ^= 0xff
	tests := []struct {
		name    string
		packed  []byte
		want    string
		wantErr string
	}{
		{"nothing", nil, "", "neither gzip, xz nor zstd"},
		{"plain", []byte(text), "", "neither gzip, xz nor zstd"},
		{"half of gzip", gz[:len(gz)/2], "", "cut short at byte 20: unpack gzip: it ends after 9 unpacked bytes"},
		{"half of zstd", zst[:len(zst)/2], "", "cut short at byte 17: unpack zstd: it ends after 0 unpacked bytes"},
		{"half of xz", xz[:len(xz)/2], "", "unpack xz: after 0 unpacked bytes: xz: data is truncated or corrupt (at byte 40)"},
		{"damaged xz", damaged, "", "unpack xz: after 36 unpacked bytes: xz: data is truncated or corrupt (at byte 80)"},
		{"only the beginning", []byte("\x1f\x8b"), "", "unpack gzip: "},
		{"more than a module can be", gzipped(t, io.LimitReader(zeros{}, limit+1)), "", "unpack gzip: it holds more than 8 MiB, which no module of this size does (at byte 8179)"},
		{"as much as a module can be", gzipped(t, io.LimitReader(zeros{}, limit)), strings.Repeat("\x00", 1000), ""},
		{"gzip", gz, text, ""},
		{"zstd", zst, text, ""},
		{"xz", xz, text, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "m.ko.packed")
			if err := os.WriteFile(name, tt.packed, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var to first
			err = unpack(&to, f, limit)
			if tt.wantErr == "" && (err != nil || string(to) != tt.want) {
				t.Errorf("got %q, %v", to, err)
			}
			if tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Errorf("got %v, want %q", err, tt.wantErr)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// first keeps the beginning of what is written to it.
type first []byte

func (f *first) Write(b []byte) (int, error) {
	*f = append(*f, b[:min(len(b), 1000-min(1000, len(*f)))]...)
	return len(b), nil
}

const xzText = "/Td6WFoAAAFpIt42AgAhARIAAAAjuIcs4AAjABZdAD+RRYRpTV9km0n0O6R1sGd6b7NbKAAAAAC8WeuDAAEuJNZYgheQQpkNAQAAAAABWVo="

// What a file is, its first bytes say, and not its name.
func TestOpenUnpacksByContent(t *testing.T) {
	for _, tt := range []struct {
		name, packing string
		content       []byte
	}{
		{"plain.ko.xz", "", []byte(text)},
		{"packed.ko", "xz", xzed(t)},
		{"packed.ko.gz", "gzip", gzipped(t, strings.NewReader(text))},
		{"packed.zst.ko", "zstd", zstandard(t, text)},
	} {
		name := filepath.Join(t.TempDir(), tt.name)
		if err := os.WriteFile(name, tt.content, 0o600); err != nil {
			t.Fatal(err)
		}
		image, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(image, 0, image.Size+1))
		if err != nil || string(got) != text || image.Packing != tt.packing || image.OnDisk != int64(len(tt.content)) {
			t.Errorf("%s: %+v, %q, %v", tt.name, image, got, err)
		}
		if err := image.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo.ko")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty.ko")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bomb := filepath.Join(dir, "bomb.ko.gz")
	if err := os.WriteFile(bomb, gzipped(t, io.LimitReader(zeros{}, 24<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "absent.ko"): "open " + dir + "/absent.ko: no such file or directory",
		dir:                             "a directory (at byte 0)",
		empty:                           "the file is empty (at byte 0)",
		fifo:                            "not a regular file (at byte 0)",
		bomb:                            "unpack gzip: it holds more than 17 MiB, which no module of this size does (at byte ",
	} {
		if _, err := OpenModule(name); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v\nwant %s", name, err, want)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	xz, _ := base64.StdEncoding.DecodeString(xzText)
	f.Add(xz)
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00\x19\x00\x00abc\xe8\x0e\x8e\x0a"))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x04\x00\x43\xbe\xb7\xe8\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var to bytes.Buffer
		if err := unpack(&to, bytes.NewReader(b), 1<<20); err == nil && to.Len() > 1<<20 {
			t.Errorf("unpacked %d bytes", to.Len())
		}
	})
}
