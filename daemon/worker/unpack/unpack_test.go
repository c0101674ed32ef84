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
		{"half of gzip", gz[:len(gz)/2], "", "unpack gzip after"},
		{"half of zstd", zst[:len(zst)/2], "", "unpack zstd after"},
		{"half of xz", xz[:len(xz)/2], "", "unpack xz after"},
		{"damaged xz", damaged, "", "unpack xz after"},
		{"only the beginning", []byte("\x1f\x8b"), "", "unpack gzip: "},
		{"more than a module can be", gzipped(t, io.LimitReader(zeros{}, limit+1)), "", "it holds more than 8 MiB, which no module does"},
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
