package kofiletest

import "github.com/kmodd/kmodd/match/kofile"

// The sections about symbols, which come after the three that every module has.
const (
	indexTable = 4 + iota
	indexTableGPL
	indexCRCs
	indexCRCsGPL
	indexStrings
	indexFlags = indexStrings + 3 // after .symtab and .strtab
)

// A symtab is .symtab and .strtab while they are made.
type symtab struct {
	module     Module
	rows, text []byte
}

// add adds a symbol without a type.
func (t *symtab) add(name string, bind byte, section uint16, value int) {
	m, at := t.module, uint32(len(t.text))
	t.text = append(t.text, name+"\x00"...)
	t.rows = m.append(t.rows, at)
	if m.Bits == 32 {
		t.rows = m.append(t.rows, [2]uint32{uint32(value)})
		t.rows = append(t.rows, bind<<4, 0)
		t.rows = m.append(t.rows, section)
		return
	}
	t.rows = append(t.rows, bind<<4, 0)
	t.rows = m.append(t.rows, section)
	t.rows = m.append(t.rows, [2]uint64{uint64(value)})
}

// symbols makes all sections about symbols. Entries of __ksymtab, which would be
// nothing but relocations, are zeros.
func (m Module) symbols() []section {
	t := &symtab{module: m}
	t.add("", 0, 0, 0)
	var tables, crcs [2][]byte
	var text, flags []byte
	for _, e := range m.Exports {
		gpl := 0
		switch {
		case m.Flagged:
			t.add("__flags_"+e.Name, 0, indexFlags, len(flags))
			flags = append(flags, flagsOf(e))
		case e.GPL:
			gpl = 1
		}
		t.add("__crc_"+e.Name, 0, uint16(indexCRCs+gpl), len(crcs[gpl]))
		crcs[gpl] = m.append(crcs[gpl], uint32(e.CRC))
		t.add("__ksymtab_"+e.Name, 0, uint16(indexTable+gpl), len(tables[gpl]))
		tables[gpl] = append(tables[gpl], make([]byte, 12)...)
		text = append(text, e.Name+"\x00"...)
		t.add("__kstrtabns_"+e.Name, 0, indexStrings, len(text))
		text = append(text, e.Namespace+"\x00"...)
		t.add(e.Name, 1, 1, 0)
	}
	for _, n := range m.Needs {
		bind := byte(1)
		if n.Weak {
			bind = 2
		}
		t.add(n.Name, bind, 0, 0)
	}
	sections := []section{
		{"__ksymtab", progBits, tables[0], 0}, {"__ksymtab_gpl", progBits, tables[1], 0},
		{"__kcrctab", progBits, crcs[0], 0}, {"__kcrctab_gpl", progBits, crcs[1], 0},
		{"__ksymtab_strings", progBits, text, 0},
		{".symtab", symTab, t.rows, 0}, {".strtab", strTab, t.text, 0},
	}
	if m.Flagged {
		sections = append(sections, section{"__kflagstab", progBits, flags, 0})
	}
	switch {
	case m.Long:
		crcs, names := m.longVersions()
		sections = append(sections, section{"__version_ext_crcs", progBits, crcs, 0}, section{"__version_ext_names", progBits, names, 0})
	case len(m.Versions) > 0:
		sections = append(sections, section{"__versions", progBits, m.versions(), 0})
	}
	return sections
}

// flagsOf are the flags of an export, and one that nobody has given a meaning yet.
func flagsOf(e kofile.Export) byte {
	if e.GPL {
		return 0x81
	}
	return 0x80
}

func (m Module) longVersions() (crcs, names []byte) {
	for _, v := range m.Versions {
		crcs = m.append(crcs, uint32(v.CRC))
		names = append(names, v.Name+"\x00"...)
	}
	return crcs, names
}

func (m Module) versions() (b []byte) {
	for _, v := range m.Versions {
		b = append(b, m.version(v)...)
	}
	return b
}

func (m Module) version(v kofile.Version) []byte {
	entry := make([]byte, 0, 64)
	if m.Bits == 64 {
		entry = m.append(entry, v.CRC)
	} else {
		entry = m.append(entry, uint32(v.CRC))
	}
	return append(entry, v.Name...)[:64]
}
