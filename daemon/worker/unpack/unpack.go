// Package unpack unpacks module files, for kernels that don't. It is apart from
// the package worker so that the decompressors are linked into kmodctl and not
// into the resident daemon.
package unpack

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// Limits on what a file may ask for. The largest module of Debian's 6.1
// kernel, amdgpu, has 19 MB.
const (
	maxImage      = 512 << 20
	maxDictionary = 64 << 20 // xz -9; the kernel's makefile asks for 2 MiB, zstd -19 for 8
)

// Unpack writes what a compressed file holds, up to half a gigabyte.
func Unpack(to io.Writer, from *os.File) error { return unpack(to, from, maxImage) }

func unpack(to io.Writer, from *os.File, limit int64) error {
	method := kernel.Packing(from)
	r, err := reader(method, bufio.NewReader(from))
	if err != nil {
		return fmt.Errorf("unpack %s: %w", method, err)
	}
	n, err := io.Copy(to, io.LimitReader(r, limit+1))
	if err != nil {
		return fmt.Errorf("unpack %s after %d bytes: %w", method, n, err)
	}
	if n > limit {
		return fmt.Errorf("unpack %s: it holds more than %d MiB, which no module does", method, limit>>20)
	}
	return nil
}

func reader(method string, packed io.Reader) (io.Reader, error) {
	switch method {
	case "gzip":
		return gzip.NewReader(packed)
	case "xz":
		return xz.NewReader(packed, maxDictionary)
	case "zstd":
		return zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxDictionary))
	}
	return nil, errors.New("neither gzip, xz nor zstd")
}
