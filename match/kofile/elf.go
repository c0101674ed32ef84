package kofile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// A sectionTable is where a file says what its sections are.
type sectionTable struct {
	at    uint64
	entry int // bytes of a header
	count int
	names int // the section that holds the sections' names
}

// place is where a section's header is.
func (t sectionTable) place(i int) int64 { return int64(t.at) + int64(i*t.entry) }

// read fills b. what says what is there.
func (f *File) read(b []byte, at int64, what string) error {
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
func (f *File) cut(what string, end uint64) error {
	return &Error{f.size, fmt.Sprintf("%s would reach to byte %d", what, end), io.ErrUnexpectedEOF}
}

// relocatable is the type of objects that a linker goes on with (ET_REL).
const relocatable = 1

// header reads the ELF header.
func (f *File) header() error {
	var head [64]byte
	have := min(f.size, int64(len(head)))
	if err := f.read(head[:have], 0, "the ELF header"); err != nil {
		return err
	}
	if !strings.HasPrefix(string(head[:have]), "\x7fELF") {
		return &Error{Says: ErrNotELF.Error(), Err: ErrNotELF}
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
		f.table.at = uint64(f.Order.Uint32(head[32:]))
		return f.layout(head[46:], 40)
	case 2:
		f.Bits = 64
		f.table.at = f.Order.Uint64(head[40:])
		return f.layout(head[58:], 64)
	}
	return &Error{Offset: 4, Says: "an ELF file of no known class"}
}

// layout reads e_shentsize, e_shnum and e_shstrndx, and holds them to what the
// kernel accepts (elf_validity_check in kernel/module/main.c).
func (f *File) layout(fields []byte, entry int) error {
	t := &f.table
	t.entry, t.count, t.names = entry, int(f.Order.Uint16(fields[2:])), int(f.Order.Uint16(fields[4:]))
	switch {
	case int(f.Order.Uint16(fields)) != entry:
		return &Error{Offset: 0, Says: fmt.Sprintf("section headers of %d bytes, not %d", f.Order.Uint16(fields), entry)}
	case t.names == 0 || t.names >= t.count:
		return &Error{Offset: 0, Says: "no sections with names"}
	}
	end := t.at + uint64(t.count*entry)
	if end < t.at {
		return &Error{Offset: 0, Says: "section headers beyond all bounds"}
	}
	if end > uint64(f.size) {
		return f.cut("the table of sections", end)
	}
	return nil
}

// A section is a part of the file.
type section struct {
	index     int    // among the sections; 0 is none
	name      uint32 // where its name is among the names
	kind      uint32 // sh_type
	flags     uint64 // sh_flags
	at, bytes uint64
	about     uint32 // sh_info: of relocations, the section that they are for
}

// noBits is the type of sections that have no bytes in the file (SHT_NOBITS).
const noBits = 8

func (f *File) section(i int, header []byte) section {
	o := f.Order
	if f.Bits == 32 {
		return section{i, o.Uint32(header), o.Uint32(header[4:]), uint64(o.Uint32(header[8:])), uint64(o.Uint32(header[16:])), uint64(o.Uint32(header[20:])), o.Uint32(header[28:])}
	}
	return section{i, o.Uint32(header), o.Uint32(header[4:]), o.Uint64(header[8:]), o.Uint64(header[24:]), o.Uint64(header[32:]), o.Uint32(header[44:])}
}

// headers are buffers for section headers, some dozens at a time: most modules
// have no more.
var headers = sync.Pool{New: func() any { return new([64 * 64]byte) }}

// sections looks at all of them and reads .modinfo.
func (f *File) sections() error {
	var info section
	err := f.each(func(name string, s section) {
		if place := f.named(name, &info); place != nil && place.index == 0 {
			*place = s
		}
	})
	if err != nil {
		return err
	}
	if info.index == 0 {
		return &Error{Says: ErrNoInfo.Error(), Err: ErrNoInfo}
	}
	text, err := f.text(info, ".modinfo", maxInfo)
	f.Info = Info(text)
	return err
}

// each calls do with all sections but the first one, which stands for "none".
func (f *File) each(do func(name string, s section)) error {
	names, err := f.names()
	if err != nil {
		return err
	}
	buf := headers.Get().(*[64 * 64]byte)
	defer headers.Put(buf)
	for i := 1; i < f.table.count; {
		some := buf[:min(64, f.table.count-i)*f.table.entry]
		if err := f.read(some, f.table.place(i), "the table of sections"); err != nil {
			return err
		}
		for ; len(some) > 0; some, i = some[f.table.entry:], i+1 {
			s := f.section(i, some)
			name := nameAt(names, s.name)
			if err := f.within(s, name); err != nil {
				return err
			}
			do(name, s)
		}
	}
	return nil
}

// named is where a section is remembered. The first one of a name counts.
func (f *File) named(name string, info *section) *section {
	switch name {
	case ".modinfo":
		return info
	case ".symtab":
		return &f.symtab
	case ".strtab":
		return &f.strtab
	case "__versions":
		return &f.versions
	case "__version_ext_crcs":
		return &f.longCRCs
	case "__version_ext_names":
		return &f.longNames
	case "__kflagstab":
		return &f.flags
	case "__ksymtab_strings":
		return &f.exported
	case "__ksymtab_gpl":
		return &f.gpl
	}
	return nil
}

// sectionAt reads the header of a section.
func (f *File) sectionAt(i int) (section, error) {
	var header [64]byte
	err := f.read(header[:f.table.entry], f.table.place(i), "the table of sections")
	return f.section(i, header[:]), err
}

// names reads the section that holds the sections' names.
func (f *File) names() (string, error) {
	s, err := f.sectionAt(f.table.names)
	if err != nil {
		return "", err
	}
	if err := f.within(s, ".shstrtab"); err != nil {
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
func (f *File) within(s section, name string) error {
	if s.kind == noBits {
		return nil
	}
	end := s.at + s.bytes
	if end < s.at {
		return &Error{Offset: f.table.place(s.index), Says: fmt.Sprintf("section %d is beyond all bounds", s.index)}
	}
	if end > uint64(f.size) {
		return f.cut(fmt.Sprintf("section %d (%.64q)", s.index, name), end)
	}
	return nil
}

// text reads a section that is no longer than max.
func (f *File) text(s section, what string, max uint64) (string, error) {
	b, err := f.bytes(nil, s, what, max)
	return unsafe.String(unsafe.SliceData(b), len(b)), err // which nobody else has
}

// bytes is text into a buffer, if that is large enough.
func (f *File) bytes(into []byte, s section, what string, max uint64) ([]byte, error) {
	switch {
	case s.kind == noBits:
		return nil, &Error{Says: what + " has no bytes in the file"}
	case s.bytes > max:
		return nil, &Error{Offset: int64(s.at), Says: fmt.Sprintf("%s takes %d bytes, and a module's never more than %d", what, s.bytes, max)}
	}
	b := slices.Grow(into[:0], int(s.bytes))[:s.bytes]
	return b, f.read(b, int64(s.at), what)
}
