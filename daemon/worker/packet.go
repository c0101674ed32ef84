package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// A packet is a version byte, fixed numbers, and strings that each have their
// length before them. A request fits in a socket's buffer. A reply is small,
// because the daemon has room for one for each call on its way.
const (
	version    = 1
	maxRequest = 64 << 10
	maxReply   = 4 << 10
	maxWords   = 3 << 10 // of a reply; more is cut off
)

var errPacket = errors.New("malformed packet, or one of another version of kmodd")

// unpackFirst says in a request that the worker itself has to unpack the file;
// the other values are the kernel's ways of loading.
const unpackFirst kernel.How = 0xff

// request asks for one load. The module's file travels beside it.
type request struct {
	how    kernel.How
	module kernel.Module
}

func (r request) append(b []byte) []byte {
	b = append(b, version, byte(r.how))
	return appendStrings(b, r.module.Name, r.module.File, r.module.Options)
}

func parseRequest(b []byte) (r request, err error) {
	if len(b) < 2 || b[0] != version {
		return r, errPacket
	}
	r.how = kernel.How(b[1])
	return r, cutStrings(b[2:], &r.module.Name, &r.module.File, &r.module.Options)
}

// reply is the outcome of one load.
type reply struct {
	took  time.Duration
	errno syscall.Errno
	op    string // of a kernel.Error; "" if the module went in
	words string
}

func (r reply) append(b []byte) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, uint64(r.took))
	b = binary.BigEndian.AppendUint32(b, uint32(r.errno))
	words := strings.ToValidUTF8(r.words[:min(len(r.words), maxWords)], "")
	return appendStrings(b, r.op, words)
}

func parseReply(b []byte) (r reply, err error) {
	if len(b) < 13 || b[0] != version {
		return r, errPacket
	}
	r.took = time.Duration(binary.BigEndian.Uint64(b[1:]))
	r.errno = syscall.Errno(binary.BigEndian.Uint32(b[9:]))
	return r, cutStrings(b[13:], &r.op, &r.words)
}

func appendStrings(b []byte, texts ...string) []byte {
	for _, s := range texts {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// cutStrings reads exactly as many strings as it is given places for.
func cutStrings(b []byte, places ...*string) error {
	for i, place := range places {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return fmt.Errorf("string %d: %w", i, errPacket)
		}
		*place, b = string(b[size:size+int(n)]), b[size+int(n):]
	}
	if len(b) != 0 {
		return errPacket
	}
	return nil
}
