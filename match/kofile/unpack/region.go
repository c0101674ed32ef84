package unpack

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/kofile"
)

// A region is memory for an image whose size nobody knows before it is unpacked. It
// has room for all that the image may be, and takes what is written to it: it need
// not grow, which would take twice as much for a while, and goes when it is closed, not
// when there is garbage enough.
type region struct {
	memory []byte
	used   int
}

// Most images fit into a usual region. It is kept for the next image, without
// what is above the first megabytes, since the kernel takes long to fill new pages with
// zeros.
const (
	usual = 32 << 20
	warm  = 4 << 20
)

// kept are usual regions that nobody uses: as many as were used at one time.
var kept struct {
	sync.Mutex
	memories [][]byte
}

func newRegion(size int64) (*region, error) {
	if size > usual {
		return mapped(size)
	}
	kept.Lock()
	defer kept.Unlock()
	last := len(kept.memories) - 1
	if last < 0 {
		return mapped(usual)
	}
	r := &region{memory: kept.memories[last]}
	kept.memories = kept.memories[:last]
	return r, nil
}

func mapped(size int64) (*region, error) {
	memory, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, &kofile.Error{Says: "memory to unpack it: " + err.Error(), Err: err}
	}
	return &region{memory: memory}, nil
}

var _ io.ReaderFrom = (*region)(nil)

// ReadFrom reads until the end, or until the region is full.
func (r *region) ReadFrom(from io.Reader) (n int64, err error) {
	for r.used < len(r.memory) && err == nil {
		var some int
		some, err = from.Read(r.memory[r.used:])
		r.used += some
		n += int64(some)
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (r *region) Write(b []byte) (int, error) {
	n := copy(r.memory[r.used:], b)
	r.used += n
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

func (r *region) ReadAt(b []byte, at int64) (int, error) {
	switch {
	case r.memory == nil:
		return 0, os.ErrClosed
	case at >= int64(r.used):
		return 0, io.EOF
	}
	n := copy(b, r.memory[at:r.used])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Close gives the memory back, or keeps it for another image.
func (r *region) Close() error {
	if r.memory == nil {
		return os.ErrClosed
	}
	memory := r.memory
	r.memory = nil
	if len(memory) != usual {
		return unix.Munmap(memory)
	}
	kept.Lock()
	defer kept.Unlock()
	kept.memories = append(kept.memories, memory)
	if r.used > warm {
		return unix.Madvise(memory[warm:], unix.MADV_DONTNEED)
	}
	return nil
}
