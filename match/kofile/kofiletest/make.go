// Package kofiletest makes small module files for tests. No kernel would load
// them, for they have no code.
package kofiletest

import (
	"encoding/binary"
	"strings"

	"github.com/kmodd/kmodd/match/kofile"
)

// A Module is what a file is made of.
type Module struct {
	Bits    int              // 0 for 64
	Order   binary.ByteOrder // nil for little-endian
	Machine uint16           // 0 for x86_64
	Info    []string         // fields of .modinfo, KEY=VALUE

	Exports  []kofile.Export
	Needs    []kofile.Need
	Versions []kofile.Version // of what is needed

	// Long has versions as Linux 6.14 and later write them if names may be long,
	// and Flagged what is exported as those do that have __kflagstab.
	Long, Flagged bool

	// Code is how many bytes of code there are before .modinfo.
	Code int
	// Appended comes after the file's end, as a signature does.
	Appended string
}

// A section is a part of the file.
type section struct {
	name    string
	kind    uint32
	content []byte
	flags   uint32
}

// The types of sections (elf(5)).
const (
	progBits = 1
	symTab   = 2
	strTab   = 3
)

// inMemory are the flags of code.
const inMemory = 2 | 4

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
	sections := []section{
		{".text", progBits, make([]byte, m.Code), inMemory},
		{".modinfo", progBits, terminated(m.Info), 0},
		{".shstrtab", strTab, nil, 0},
	}
	if len(m.Exports)+len(m.Needs)+len(m.Versions) > 0 {
		sections = append(sections, m.symbols()...)
	}
	names := []string{""}
	for _, s := range sections {
		names = append(names, s.name)
	}
	sections[2].content = terminated(names)
	at := m.headerBytes()
	table, body := m.row(nil, 0, 0, section{}), []byte(nil)
	name := 1
	for _, s := range sections {
		table = m.row(table, name, at, s)
		body = append(body, s.content...)
		at, name = at+len(s.content), name+len(s.name)+1
	}
	file := append(m.header(at, len(sections)+1), body...)
	return append(append(file, table...), m.Appended...)
}

// terminated is strings with a NUL after each.
func terminated(texts []string) (b []byte) {
	for _, text := range texts {
		b = append(b, text+"\x00"...)
	}
	return b
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

func (m Module) headerBytes() int {
	if m.Bits == 64 {
		return 64
	}
	return 52
}

// header is the ELF header of a relocatable object.
func (m Module) header(table, sections int) []byte {
	b := []byte("\x7fELF" + string([]byte{byte(m.Bits / 32), 1, 1}) + strings.Repeat("\x00", 9))
	if m.Order == binary.BigEndian {
		b[5] = 2
	}
	b = m.append(b, [2]uint16{1, m.Machine})
	b = m.append(b, uint32(1))
	b = m.word(m.word(b, 0), 0) // e_entry, e_phoff
	b = m.word(b, uint32(table))
	b = m.append(b, uint32(0)) // e_flags
	row := uint16(40)
	if m.Bits == 64 {
		row = 64
	}
	return m.append(b, [6]uint16{uint16(m.headerBytes()), 0, 0, row, uint16(sections), 3})
}

// row appends a section's header.
func (m Module) row(b []byte, name, at int, s section) []byte {
	b = m.append(b, [2]uint32{uint32(name), s.kind})
	b = m.word(m.word(b, s.flags), 0) // sh_flags, sh_addr
	b = m.word(m.word(b, uint32(at)), uint32(len(s.content)))
	b = m.append(b, [2]uint32{}) // sh_link, sh_info
	return m.word(m.word(b, 1), 0)
}
