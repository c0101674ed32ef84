// Package unpack opens module files that may be compressed. It is apart from
// the package kofile so that the decompressors are linked into kmodctl and not
// into the resident daemon.
//
// What a file holds is told by its first bytes, not by its name
// ([kofile.Packing]). However large it says or turns out to be, no more than
// [Limit] of it is unpacked.
package unpack

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

	"github.com/kmodd/kmodd/match/kofile"
)

// Limits on what a file may ask for. The largest module of Debian's 6.1
// kernel, amdgpu, has 19 MB, and modules shrink to a third or a fifth when they
// are packed; those with debugging information to a tenth.
const (
	maxImage      = 512 << 20
	maxRatio      = 64
	minLimit      = 16 << 20
	maxDictionary = 64 << 20 // xz -9; the kernel's makefile asks for 2 MiB, zstd -19 for 8
)

// Limit is how much a compressed file of that size may unpack to, both in bytes.
func Limit(packed int64) int64 { return min(maxImage, minLimit+maxRatio*packed) }

// An Image is a module's file as the kernel would see it: unpacked. It is safe
// for concurrent use, until it is closed.
type Image struct {
	io.ReaderAt
	Size    int64  // of what is read, in bytes
	OnDisk  int64  // of the file
	Packing string // "gzip", "xz", "zstd" or ""
}

// Open opens a module file, and unpacks it into memory if it is compressed. What
// is wrong with a compressed file is said by a [*kofile.Error], with the place
// in that file.
func Open(name string) (*Image, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.size()
	if err != nil {
		f.Close()
		return nil, err
	}
	image, err := New(f, size)
	if err != nil || image.Packing != "" {
		f.Close()
	}
	return image, err
}

// Close closes the file, or gives the memory back.
func (i *Image) Close() error {
	switch of := i.ReaderAt.(type) {
	case file:
		return of.Close()
	case *region:
		return of.Close()
	}
	return nil
}

// New is Open for a module file of some size in bytes that is open already, and
// is left to whoever has opened it. Close the image all the same.
func New(f io.ReaderAt, size int64) (*Image, error) {
	packing := kofile.Packing(f)
	if packing == "" {
		return &Image{f, size, size, ""}, nil
	}
	limit := Limit(size)
	r, err := newRegion(limit + 1)
	if err != nil {
		return nil, err
	}
	if err := unpack(r, f, limit); err != nil {
		r.Close()
		return nil, err
	}
	return &Image{r, int64(r.used), size, packing}, nil
}

// A Module is a module's file, opened and read.
type Module struct {
	*kofile.File
	*Image
}

// OpenModule is Open, and kofile.New of the image.
func OpenModule(name string) (*Module, error) {
	image, err := Open(name)
	if err != nil {
		return nil, err
	}
	file, err := kofile.New(image, image.Size)
	if err != nil {
		image.Close()
		return nil, err
	}
	return &Module{file, image}, nil
}

// Unpack writes what a compressed file holds.
func Unpack(to io.Writer, from *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	return unpack(to, from, Limit(info.Size()))
}

func unpack(to io.Writer, from io.ReaderAt, limit int64) error {
	method := kofile.Packing(from)
	pool := pools[method]
	if pool == nil {
		return &kofile.Error{Says: "neither gzip, xz nor zstd"}
	}
	d := pool.Get().(decoder)
	defer pool.Put(d)
	packed := &counter{r: io.NewSectionReader(from, 0, 1<<62)}
	buffered := bufio.NewReader(packed)
	failed := func(says string, err error) error {
		return &kofile.Error{Offset: packed.n - int64(buffered.Buffered()), Says: "unpack " + method + ": " + says, Err: err}
	}
	if err := d.Reset(buffered); err != nil {
		return failed(err.Error(), err)
	}
	n, err := io.Copy(to, io.LimitReader(d, limit+1))
	switch {
	case n > limit:
		return failed(fmt.Sprintf("it holds more than %d MiB, which no module of this size does", limit>>20), nil)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return failed(fmt.Sprintf("it ends after %d unpacked bytes", n), io.ErrUnexpectedEOF)
	case err != nil:
		return failed(fmt.Sprintf("after %d unpacked bytes: %v", n, err), err)
	}
	return nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// A decoder can be used again for another file: they are large.
type decoder interface {
	io.Reader
	Reset(packed io.Reader) error
}

var pools = map[string]*sync.Pool{
	"gzip": {New: func() any { return new(gzip.Reader) }},
	"xz":   {New: func() any { return new(xzReader) }},
	"zstd": {New: func() any { return zstdReader() }},
}

// xzReader is a decoder that needs no input to begin with.
type xzReader struct{ *xz.Reader }

func (x *xzReader) Reset(packed io.Reader) (err error) {
	if x.Reader == nil {
		x.Reader, err = xz.NewReader(packed, maxDictionary)
		return err
	}
	return x.Reader.Reset(packed)
}

func zstdReader() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxDictionary))
	if err != nil {
		panic(err) // only for options that are wrong
	}
	return d
}
