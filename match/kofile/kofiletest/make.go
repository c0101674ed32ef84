// Package kofiletest makes small module files for tests. No kernel would load
// them, for they have no code.
package kofiletest

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// A Module is what a file is made of.
type Module struct {
	Bits    int              // 0 for 64
	Order   binary.ByteOrder // nil for little-endian
	Machine uint16           // 0 for x86_64
	Info    []string         // fields of .modinfo, KEY=VALUE
	// Code is how many bytes of code there are before .modinfo.
	Code int
	// Appended comes after the file's end, as a signature does.
	Appended string
}

// names are the sections' names, with their places.
const names = "\x00.text\x00.modinfo\x00.shstrtab\x00"

// A section is a row of the table of sections.
type section struct{ name, kind, at, bytes uint32 }

// The types of sections (elf(5)).
const (
	progBits = 1
	strTab   = 3
)

// Bytes is the file: the header, the sections one after the other, and the table of
// sections at the end, where linkers put it.
func (m Module) Bytes() []byte {
	if m.Bits == 0 {
		m.Bits = 64
	}
	if m.Order == nil {
		m.Order = binary.LittleEndian
	}
	if m.Machine == 0 {
		m.Machine = 62
	}
	head := uint32(52)
	if m.Bits == 64 {
		head = 64
	}
	var body bytes.Buffer
	body.Write(make([]byte, m.Code))
	info := section{7, progBits, head + uint32(body.Len()), 0}
	for _, field := range m.Info {
		body.WriteString(field + "\x00")
	}
	info.bytes = head + uint32(body.Len()) - info.at
	shstrtab := section{16, strTab, head + uint32(body.Len()), uint32(len(names))}
	body.WriteString(names)
	table := head + uint32(body.Len())
	for _, s := range []section{{}, {1, progBits, head, uint32(m.Code)}, info, shstrtab} {
		m.row(&body, s)
	}
	return append(append(m.header(table), body.Bytes()...), m.Appended...)
}

// String is the file, for tests that keep files in strings.
func (m Module) String() string { return string(m.Bytes()) }

// word appends a number that is as long as an address.
func (m Module) word(b []byte, n uint32) []byte {
	if m.Bits == 64 {
		return m.append(b, uint64(n))
	}
	return m.append(b, n)
}

func (m Module) append(b []byte, n any) []byte {
	b, err := binary.Append(b, m.Order, n)
	if err != nil {
		panic(err) // only for types without a fixed size
	}
	return b
}

// header is the ELF header of a relocatable object.
func (m Module) header(table uint32) []byte {
	b := []byte("\x7fELF" + string([]byte{byte(m.Bits / 32), 1, 1}) + strings.Repeat("\x00", 9))
	if m.Order == binary.BigEndian {
		b[5] = 2
	}
	b = m.append(b, [2]uint16{1, m.Machine})
	b = m.append(b, uint32(1))
	b = m.word(m.word(b, 0), 0) // e_entry, e_phoff
	b = m.word(b, table)
	b = m.append(b, uint32(0)) // e_flags
	header, row := uint16(52), uint16(40)
	if m.Bits == 64 {
		header, row = 64, 64
	}
	return m.append(b, [6]uint16{header, 0, 0, row, 4, 3})
}

// row writes a section's header.
func (m Module) row(to *bytes.Buffer, s section) {
	b := m.append(nil, [2]uint32{s.name, s.kind})
	b = m.word(m.word(b, 0), 0) // sh_flags, sh_addr
	b = m.word(m.word(b, s.at), s.bytes)
	b = m.append(b, [2]uint32{}) // sh_link, sh_info
	to.Write(m.word(m.word(b, 1), 0))
}
