package kofile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A reader takes a file apart.
type reader struct {
	File
	r    io.ReaderAt
	size int64

	table   uint64 // where the section headers begin
	entry   int    // length of one
	count   int    // how many there are
	nameIdx int    // which one is of the sections' names
}

// read fills b. what says what is there.
func (f *reader) read(b []byte, at int64, what string) error {
	if at+int64(len(b)) > f.size {
		return f.cut(what, uint64(at)+uint64(len(b)))
	}
	n, err := f.r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return &Error{at + int64(n), what + " ended while it was read", io.ErrUnexpectedEOF}
	}
	return &Error{at + int64(n), fmt.Sprintf("%s: %v", what, err), err}
}

// cut is the error for a file that ends before a part of it does.
func (f *reader) cut(what string, end uint64) error {
	return &Error{f.size, fmt.Sprintf("%s would reach to byte %d", what, end), io.ErrUnexpectedEOF}
}

// relocatable is the type of objects that a linker goes on with (ET_REL).
const relocatable = 1

// header reads the ELF header.
func (f *reader) header() error {
	var head [64]byte
	have := min(f.size, int64(len(head)))
	if err := f.read(head[:have], 0, "the ELF header"); err != nil {
		return err
	}
	if !strings.HasPrefix(string(head[:have]), "\x7fELF") {
		return &Error{Says: "not an ELF file"}
	}
	// The 32-bit header is 52 bytes long: no file with sections ends there.
	if have < int64(len(head)) {
		return f.cut("the ELF header", uint64(len(head)))
	}
	switch head[5] { // EI_DATA
	case 1:
		f.Order = binary.LittleEndian
	case 2:
		f.Order = binary.BigEndian
	default:
		return &Error{Offset: 5, Says: "an ELF file of no known byte order"}
	}
	if kind := f.Order.Uint16(head[16:]); kind != relocatable {
		return &Error{Offset: 16, Says: fmt.Sprintf("an ELF file of type %d, not a relocatable object as modules are", kind)}
	}
	f.Machine = f.Order.Uint16(head[18:])
	switch head[4] { // EI_CLASS
	case 1:
		f.Bits = 32
		f.table = uint64(f.Order.Uint32(head[32:]))
		return f.layout(head[46:], 40)
	case 2:
		f.Bits = 64
		f.table = f.Order.Uint64(head[40:])
		return f.layout(head[58:], 64)
	}
	return &Error{Offset: 4, Says: "an ELF file of no known class"}
}

// layout reads e_shentsize, e_shnum and e_shstrndx, and holds them to what the
// kernel accepts (elf_validity_check in kernel/module/main.c).
func (f *reader) layout(fields []byte, entry int) error {
	f.entry, f.count, f.nameIdx = entry, int(f.Order.Uint16(fields[2:])), int(f.Order.Uint16(fields[4:]))
	switch {
	case int(f.Order.Uint16(fields)) != entry:
		return &Error{Offset: 0, Says: fmt.Sprintf("section headers of %d bytes, not %d", f.Order.Uint16(fields), entry)}
	case f.nameIdx == 0 || f.nameIdx >= f.count:
		return &Error{Offset: 0, Says: "no sections with names"}
	}
	end := f.table + uint64(f.count*entry)
	if end < f.table {
		return &Error{Offset: 0, Says: "section headers beyond all bounds"}
	}
	if end > uint64(f.size) {
		return f.cut("the table of sections", end)
	}
	return nil
}

// A section is a part of the file.
type section struct {
	name      uint32 // where its name is among the names
	kind      uint32 // sh_type
	at, bytes uint64
}

// noBits is the type of sections that have no bytes in the file (SHT_NOBITS).
const noBits = 8

func (f *reader) section(header []byte) section {
	o := f.Order
	if f.Bits == 32 {
		return section{o.Uint32(header), o.Uint32(header[4:]), uint64(o.Uint32(header[16:])), uint64(o.Uint32(header[20:]))}
	}
	return section{o.Uint32(header), o.Uint32(header[4:]), o.Uint64(header[24:]), o.Uint64(header[32:])}
}

// sections looks at all of them and reads .modinfo.
func (f *reader) sections() error {
	names, err := f.names()
	if err != nil {
		return err
	}
	found := false
	// Some dozens at a time: most modules have no more.
	buf := make([]byte, 64*f.entry)
	for i := 1; i < f.count; { // the first one stands for "none"
		some := buf[:min(len(buf), (f.count-i)*f.entry)]
		if err := f.read(some, int64(f.table)+int64(i*f.entry), "the table of sections"); err != nil {
			return err
		}
		for ; len(some) > 0; some, i = some[f.entry:], i+1 {
			s := f.section(some)
			name := nameAt(names, s.name)
			if err := f.within(s, i, name); err != nil {
				return err
			}
			if name == ".strtab" && s.kind != noBits {
				f.File.names = s
			}
			if name == ".modinfo" && !found {
				found = true
				if f.info, err = f.text(s, ".modinfo", maxInfo); err != nil {
					return err
				}
			}
		}
	}
	if !found {
		return &Error{Says: "an ELF file without .modinfo, so not a module"}
	}
	return nil
}

// names reads the section that holds the sections' names.
func (f *reader) names() (string, error) {
	header := make([]byte, f.entry)
	if err := f.read(header, int64(f.table)+int64(f.nameIdx*f.entry), "the table of sections"); err != nil {
		return "", err
	}
	s := f.section(header)
	if err := f.within(s, f.nameIdx, ".shstrtab"); err != nil {
		return "", err
	}
	return f.text(s, "the sections' names", maxNames)
}

// nameAt is the NUL-terminated name at an offset, "" if that is outside.
func nameAt(names string, at uint32) string {
	if uint64(at) >= uint64(len(names)) {
		return ""
	}
	name, _, _ := strings.Cut(names[at:], "\x00")
	return name
}

// within holds a section to the file's size.
func (f *reader) within(s section, i int, name string) error {
	if s.kind == noBits {
		return nil
	}
	end := s.at + s.bytes
	if end < s.at {
		return &Error{Offset: int64(f.table) + int64(i*f.entry), Says: fmt.Sprintf("section %d is beyond all bounds", i)}
	}
	if end > uint64(f.size) {
		return f.cut(fmt.Sprintf("section %d (%.64q)", i, name), end)
	}
	return nil
}

// text reads a section that is no longer than max.
func (f *reader) text(s section, what string, max uint64) (string, error) {
	switch {
	case s.kind == noBits:
		return "", &Error{Says: what + " has no bytes in the file"}
	case s.bytes > max:
		return "", &Error{Offset: int64(s.at), Says: fmt.Sprintf("%s takes %d bytes, and a module's never more than %d", what, s.bytes, max)}
	}
	b := make([]byte, s.bytes)
	if err := f.read(b, int64(s.at), what); err != nil {
		return "", err
	}
	return string(b), nil
}
