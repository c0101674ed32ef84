package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// Vmlinux takes the ELF image out of a bzImage.
func Vmlinux(bzImage []byte) ([]byte, error) {
	payload, err := payload(bzImage)
	if err != nil {
		return nil, err
	}
	r, err := decompressor(payload)
	if err != nil {
		return nil, fmt.Errorf("unpack the kernel: %w", err)
	}
	vmlinux, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("unpack the kernel: %w", err)
	}
	if !bytes.HasPrefix(vmlinux, []byte("\x7fELF")) {
		return nil, errors.New("unpack the kernel: it holds no ELF image")
	}
	return vmlinux, nil
}

// payload cuts the compressed kernel out of a bzImage by its setup header
// (Documentation/arch/x86/boot.rst, payload_offset and payload_length, protocol
// 2.08). The build adds the unpacked size, four bytes, which are no part of the
// compressed data.
func payload(bzImage []byte) ([]byte, error) {
	const setupSects, magic, protocol, offset, length, end = 0x1f1, 0x202, 0x206, 0x248, 0x24c, 0x250
	if len(bzImage) < end || string(bzImage[magic:magic+4]) != "HdrS" {
		return nil, errors.New("unpack the kernel: no bzImage")
	}
	if v := binary.LittleEndian.Uint16(bzImage[protocol:]); v < 0x208 {
		return nil, fmt.Errorf("unpack the kernel: boot protocol %#x is older than 0x208", v)
	}
	sectors := int64(bzImage[setupSects])
	if sectors == 0 {
		sectors = 4
	}
	from := (sectors+1)*512 + int64(binary.LittleEndian.Uint32(bzImage[offset:]))
	to := from + int64(binary.LittleEndian.Uint32(bzImage[length:])) - 4
	if from > to || to > int64(len(bzImage)) {
		return nil, fmt.Errorf("unpack the kernel: its payload is said to be bytes %d to %d of %d", from, to, len(bzImage))
	}
	return bzImage[from:to], nil
}

// decompressor chooses by the first bytes, as scripts/extract-vmlinux does.
func decompressor(payload []byte) (io.Reader, error) {
	r := bytes.NewReader(payload)
	switch {
	case bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")):
		return xz.NewReader(r, 0)
	case bytes.HasPrefix(payload, []byte("\x28\xb5\x2f\xfd")):
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	case bytes.HasPrefix(payload, []byte("\x1f\x8b")):
		return gzip.NewReader(r)
	}
	return nil, fmt.Errorf("unknown compression: it begins with % x", payload[:min(6, len(payload))])
}
