package kernel

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

// elfFile is the little that is needed of a module file to explain ENOEXEC. It
// is read here and not with debug/elf because it is linked into the resident
// daemon, where that package and what it needs are as large as all of this room.
type elfFile struct {
	arch     string // as uname -m says it, "" if not known here
	vermagic string // "" if there is none
}

// The architectures of modules by e_machine (elf(5), linux/elf-em.h), in the
// words of uname -m.
var architectures = map[uint16]string{
	3: "i386", 8: "mips", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64",
}

// readELF reads a module file, or says what is wrong with it.
func readELF(image io.ReaderAt) (elf elfFile, fault string) {
	var head [64]byte
	n, _ := image.ReadAt(head[:], 0)
	if !bytes.HasPrefix(head[:n], []byte("\x7fELF")) {
		if Packing(image) != "" {
			return elf, "what its compressed file holds is not a module for this kernel, or is cut short"
		}
		return elf, "it is not an ELF file"
	}
	if n < len(head) {
		return elf, "it is cut short"
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 { // EI_DATA, ELFDATA2MSB
		order = binary.BigEndian
	}
	elf.arch = architectures[order.Uint16(head[18:])]
	if !reaches(image, sectionsEnd(head, order)) {
		return elf, "it is cut short"
	}
	elf.vermagic = findVermagic(image)
	return elf, ""
}

// sectionsEnd is where the table of section headers ends, which linkers put
// last: of the two layouts, 1 in EI_CLASS is the 32-bit one.
func sectionsEnd(head [64]byte, order binary.ByteOrder) int64 {
	if head[4] == 1 {
		return int64(order.Uint32(head[32:])) + int64(order.Uint16(head[46:]))*int64(order.Uint16(head[48:]))
	}
	return int64(order.Uint64(head[40:])) + int64(order.Uint16(head[58:]))*int64(order.Uint16(head[60:]))
}

func reaches(image io.ReaderAt, end int64) bool {
	var last [1]byte
	n, _ := image.ReadAt(last[:], end-1)
	return n == 1
}

// findVermagic finds the string in .modinfo, which is a list of NUL-terminated
// KEY=VALUE. It looks at no more than the first 64 MiB.
func findVermagic(image io.ReaderAt) string {
	const longest = 512 // of a vermagic, with its key
	key := []byte("\x00vermagic=")
	buf := make([]byte, 64<<10)
	for at := int64(0); at < 64<<20; at += int64(len(buf) - longest) {
		n, err := image.ReadAt(buf, at)
		if i := bytes.Index(buf[:n], key); i >= 0 {
			value, _, _ := bytes.Cut(buf[i+len(key):min(n, i+longest)], []byte{0})
			return printable(string(value))
		}
		if err != nil {
			break
		}
	}
	return ""
}

// printable keeps a foreign file's text to one line without control characters.
func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text))
}
