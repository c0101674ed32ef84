package kofile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Symbols are what a module offers to others and wants of the kernel and of
// others, both in the order of its symbol table.
type Symbols struct {
	Exports []Export
	Needs   []Need
}

// An Export is a symbol that a module exports (EXPORT_SYMBOL and its kin in
// include/linux/export.h).
type Export struct {
	Name string
	// CRC is its version, 0 if the kernel was built without CONFIG_MODVERSIONS.
	CRC uint64
	// GPL says that only modules with a licence compatible with it may use the symbol.
	GPL bool
	// Namespace is "" for those that need no MODULE_IMPORT_NS.
	Namespace string
}

// A Need is a symbol that a module uses and does not have. Its version is among
// [File.Versions].
type Need struct {
	Name string
	Weak bool // may be missing
}

// A Version is the CRC that a symbol had where the module was built.
type Version struct {
	Name string
	CRC  uint64
}

// What is read of a file, at most. Of Debian's modules, amdgpu has the longest
// names in all, 474 kB, and i915 exports and needs most, 1,200 symbols with 24 kB of names.
const (
	maxStrings = 64 << 20 // .strtab
	maxNamed   = 4 << 20  // the names of what is exported and needed
	maxName    = 1024     // of one; the kernel has no longer ones (KSYM_NAME_LEN)
	maxSymbols = 1 << 17  // that say something of what is exported or needed
)

// Of elf(5), what a symbol may be.
const (
	undefined = 0      // SHN_UNDEF
	absolute  = 0xfff1 // SHN_ABS
	weak      = 2      // STB_WEAK
	register  = 13     // STT_SPARC_REGISTER: names a register of SPARC, and needs nothing
)

// A symbol is a row of .symtab.
type symbol struct {
	name    uint32
	bind    uint8
	kind    uint8
	section uint16
	value   uint64
}

// A named is a name, and a row about it.
type named struct {
	from, to int // the name, in a reading's names
	symbol
}

// A reading is the work on one file, in memory that is used again for the next.
type reading struct {
	file    *File
	strings []byte // .strtab
	rows    []byte // some of .symtab
	names   []byte // those that are kept, one after the other

	exports, needs, tables, spaces, flags []named

	// crcs is a window on the file where CRCs were last found.
	crcs   []byte
	crcsAt int64
	// table is the section that the last CRC was in.
	table section
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// Symbols reads what the module exports and needs. That is its symbol table and
// the names in it; of the code nothing is read. The error is an [*Error].
//
// Exported is what has a version, a symbol __crc_NAME, as for depmod; without
// versions, what has an entry __ksymtab_NAME; and of a file whose local symbols were
// stripped, all that is in the section __ksymtab_strings.
func (f *File) Symbols() (Symbols, error) {
	r := readings.Get().(*reading)
	defer readings.Put(r)
	r.begin(f)
	defer r.begin(nil) // the pool keeps no files
	if err := r.read(); err != nil {
		return Symbols{}, err
	}
	return r.symbols()
}

func (r *reading) begin(f *File) {
	r.file, r.names, r.crcs, r.table = f, r.names[:0], r.crcs[:0], section{}
	r.exports, r.needs, r.tables, r.spaces = r.exports[:0], r.needs[:0], r.tables[:0], r.spaces[:0]
	r.flags = r.flags[:0]
}

// someRows is how much of .symtab is read at a time. It is a multiple of the
// length of a row, which is 16 or 24 bytes.
const someRows = 48 << 10

// read goes through .symtab.
func (r *reading) read() (err error) {
	f := r.file
	table, row := f.symtab, uint64(24)
	if f.Bits == 32 {
		row = 16
	}
	if table.index == 0 || table.kind == noBits || f.strtab.index == 0 {
		return &Error{Says: "no table of symbols, without which no kernel loads a module"}
	}
	if table.bytes%row != 0 {
		return &Error{int64(table.at), fmt.Sprintf("a table of symbols of %d bytes, which is no multiple of %d", table.bytes, row), nil}
	}
	if r.strings, err = f.bytes(r.strings, f.strtab, "the symbols' names", maxStrings); err != nil {
		return err
	}
	r.rows = append(r.rows, make([]byte, someRows-len(r.rows))...)
	for at := uint64(0); at < table.bytes; at += someRows {
		some := r.rows[:min(someRows, table.bytes-at)]
		if err := f.read(some, int64(table.at+at), "the table of symbols"); err != nil {
			return err
		}
		for i := uint64(0); i < uint64(len(some)); i += row {
			if err := r.keep(f.symbol(some[i:i+row]), int64(table.at+at+i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *File) symbol(row []byte) symbol {
	o := f.Order
	if f.Bits == 32 {
		return symbol{o.Uint32(row), row[12] >> 4, row[12] & 0xf, o.Uint16(row[14:]), uint64(o.Uint32(row[4:]))}
	}
	return symbol{o.Uint32(row), row[4] >> 4, row[4] & 0xf, o.Uint16(row[6:]), o.Uint64(row[8:])}
}

// The beginnings of the names of symbols that say something about another one.
const (
	ofCRC       = "__crc_"
	ofTable     = "__ksymtab_"
	ofNamespace = "__kstrtabns_"
	ofFlags     = "__flags_"
)

// list is where a symbol is kept, if it is one that matters, and how much of
// its name is about what it is. The name goes to the end of all names.
func (r *reading) list(s symbol, name []byte) (to *[]named, prefix int) {
	special := len(name) > 3 && name[0] == '_' && (name[2] == 'c' || name[2] == 'f' || name[2] == 'k')
	switch {
	case special && bytes.HasPrefix(name, []byte(ofCRC)):
		return &r.exports, len(ofCRC)
	case s.section == undefined:
		if name[0] == 0 || s.kind == register && strings.HasPrefix(r.file.Arch(), "sparc") {
			return nil, 0
		}
		return &r.needs, 0
	case special && bytes.HasPrefix(name, []byte(ofTable)):
		return &r.tables, len(ofTable)
	case special && bytes.HasPrefix(name, []byte(ofNamespace)):
		return &r.spaces, len(ofNamespace)
	case special && bytes.HasPrefix(name, []byte(ofFlags)):
		return &r.flags, len(ofFlags)
	}
	return nil, 0
}

// keep keeps a symbol if it is one that matters. At is where its row is.
func (r *reading) keep(s symbol, at int64) error {
	if uint64(s.name) >= uint64(len(r.strings)) {
		return &Error{at, "a symbol's name outside of the symbols' names", nil}
	}
	name := r.strings[s.name:]
	to, prefix := r.list(s, name)
	if to == nil {
		return nil
	}
	end := bytes.IndexByte(name[:min(len(name), prefix+maxName+1)], 0)
	if end < 0 {
		return &Error{at, fmt.Sprintf("a symbol's name that does not end within %d bytes", maxName), nil}
	}
	return r.add(to, name[prefix:end], s, at)
}

func (r *reading) add(to *[]named, name []byte, s symbol, at int64) error {
	from := len(r.names)
	r.names = append(r.names, name...)
	switch {
	case len(*to) == maxSymbols:
		return &Error{at, fmt.Sprintf("more than %d symbols are exported or needed, and of a module they never are", maxSymbols), nil}
	case len(r.names) > maxNamed:
		return &Error{at, fmt.Sprintf("the names of what is exported and needed take more than %d MiB, and a module's never do", maxNamed>>20), nil}
	}
	*to = append(*to, named{from, len(r.names), s})
	return nil
}

// symbols makes what the caller gets of what was kept.
func (r *reading) symbols() (s Symbols, err error) {
	exported := r.exports
	if len(exported) == 0 {
		exported = r.tables
	}
	if len(exported) == 0 {
		if exported, err = r.unlisted(); err != nil {
			return s, err
		}
	}
	names := string(r.names)
	if len(exported) > 0 {
		s.Exports = make([]Export, len(exported))
	}
	for i, e := range exported {
		s.Exports[i].Name = names[e.from:e.to]
	}
	for i, e := range r.exports {
		if s.Exports[i].CRC, err = r.crc(e.symbol); err != nil {
			return Symbols{}, err
		}
	}
	if len(r.needs) > 0 {
		s.Needs = make([]Need, len(r.needs))
	}
	for i, n := range r.needs {
		s.Needs[i] = Need{names[n.from:n.to], n.bind == weak}
	}
	return s, r.describe(s.Exports)
}

// unlisted takes the names of what is exported from where the kernel has them.
func (r *reading) unlisted() (exported []named, err error) {
	f := r.file
	if f.exported.index == 0 {
		return nil, nil
	}
	text, err := f.bytes(nil, f.exported, "the names of what is exported", maxNamed)
	if err != nil {
		return nil, err
	}
	for name := range bytes.SplitSeq(text, []byte{0}) {
		if len(name) > 0 {
			if err := r.add(&exported, name, symbol{}, int64(f.exported.at)); err != nil {
				return nil, err
			}
		}
	}
	return exported, nil
}

// describe says who may use the exported symbols.
func (r *reading) describe(exports []Export) error {
	if len(exports) == 0 || len(r.tables) == 0 {
		return nil
	}
	byName := make(map[string]*Export, len(exports))
	for i := range exports {
		byName[exports[i].Name] = &exports[i]
	}
	for _, t := range r.tables {
		if e := r.of(t, byName); e != nil {
			e.GPL = int(t.section) == r.file.gpl.index && t.section != undefined
		}
	}
	if err := r.readFlags(byName); err != nil {
		return err
	}
	if len(r.spaces) == 0 || r.file.exported.index == 0 {
		return nil
	}
	text, err := r.file.text(r.file.exported, "the names of what is exported", maxNamed)
	if err != nil {
		return err
	}
	for _, s := range r.spaces {
		if e := r.of(s, byName); e != nil && s.value < uint64(len(text)) {
			e.Namespace = nameAt(text, uint32(s.value))
		}
	}
	return nil
}

// of is the export that a row is about, nil if there is none.
func (r *reading) of(n named, byName map[string]*Export) *Export {
	return byName[string(r.names[n.from:n.to])]
}

// onlyGPL is a bit of a symbol's flags (KSYM_FLAG_GPL_ONLY in
// include/linux/module_symbol.h).
const onlyGPL = 1

// readFlags takes from __kflagstab who may use what. Kernels that write it, a byte
// for each export, have no section __ksymtab_gpl.
func (r *reading) readFlags(byName map[string]*Export) error {
	table := r.file.flags
	if table.index == 0 || len(r.flags) == 0 {
		return nil
	}
	flags, err := r.file.text(table, "__kflagstab", maxSymbols)
	if err != nil {
		return err
	}
	for _, f := range r.flags {
		e := r.of(f, byName)
		if e != nil && int(f.section) == table.index && f.value < uint64(len(flags)) {
			e.GPL = flags[f.value]&onlyGPL != 0
		}
	}
	return nil
}

// someCRCs is how much of the file is read at a time where they are.
const someCRCs = 4 << 10

// crc is what a symbol __crc_NAME stands for: in the sections __kcrctab and
// __kcrctab_gpl a number of 32 bits, and in older modules its own value.
func (r *reading) crc(s symbol) (uint64, error) {
	if s.section == absolute || s.section == undefined {
		return s.value, nil
	}
	if err := r.enter(int(s.section)); err != nil {
		return 0, err
	}
	t := r.table
	if t.kind == noBits || t.bytes < 4 || s.value > t.bytes-4 {
		return 0, &Error{int64(t.at), fmt.Sprintf("a version at byte %d of section %d, which is shorter", s.value, s.section), nil}
	}
	at := int64(t.at + s.value)
	if at < r.crcsAt || at+4 > r.crcsAt+int64(len(r.crcs)) {
		some := slices.Grow(r.crcs[:0], someCRCs)[:min(someCRCs, r.file.size-at)]
		if err := r.file.read(some, at, "a version"); err != nil {
			return 0, err
		}
		r.crcs, r.crcsAt = some, at
	}
	return uint64(r.file.Order.Uint32(r.crcs[at-r.crcsAt:])), nil
}

// enter makes a section the one that CRCs are taken from.
func (r *reading) enter(i int) (err error) {
	f := r.file
	switch {
	case r.table.index == i:
		return nil
	case i >= f.table.count:
		return &Error{int64(f.symtab.at), fmt.Sprintf("a version in section %d, and there are %d", i, f.table.count), nil}
	}
	if r.table, err = f.sectionAt(i); err != nil {
		return err
	}
	return f.within(r.table, "of versions")
}

// oneVersion is the length of an entry of __versions (struct modversion_info).
const oneVersion = 64

// maxVersions is how much of them is read. Of Debian's, i915 has 74 kB.
const maxVersions = 4 << 20

// Versions reads the versions of the symbols that the module needs, in the order
// of the file, among them that of module_layout, which is no Need. There are none in
// modules for kernels without CONFIG_MODVERSIONS. The error is an [*Error].
//
// Since Linux 6.14 there may be a second list, for names of any length, which then
// is the one that counts (check_version in kernel/module/version.c).
func (f *File) Versions() ([]Version, error) {
	if f.longCRCs.index != 0 && f.longCRCs.bytes > 0 {
		return f.longVersions()
	}
	if f.versions.index == 0 {
		return nil, nil
	}
	text, err := f.text(f.versions, "__versions", maxVersions)
	if err != nil {
		return nil, err
	}
	if len(text)%oneVersion != 0 {
		return nil, &Error{int64(f.versions.at), fmt.Sprintf("__versions of %d bytes, which is no multiple of %d", len(text), oneVersion), nil}
	}
	versions := make([]Version, 0, len(text)/oneVersion)
	for ; len(text) > 0; text = text[oneVersion:] {
		versions = append(versions, f.version(text[:oneVersion]))
	}
	return versions, nil
}

// longVersions reads CRCs of 32 bits from one section, and from another one as many
// names, each ended by a NUL (CONFIG_EXTENDED_MODVERSIONS).
func (f *File) longVersions() ([]Version, error) {
	crcs, err := f.text(f.longCRCs, "__version_ext_crcs", maxVersions)
	if err != nil {
		return nil, err
	}
	if len(crcs)%4 != 0 {
		return nil, &Error{int64(f.longCRCs.at), fmt.Sprintf("__version_ext_crcs of %d bytes, which is no multiple of 4", len(crcs)), nil}
	}
	var names string
	if f.longNames.index != 0 {
		if names, err = f.text(f.longNames, "__version_ext_names", maxVersions); err != nil {
			return nil, err
		}
	}
	versions := make([]Version, 0, len(crcs)/4)
	for ; len(crcs) > 0; crcs = crcs[4:] {
		name, rest, ended := strings.Cut(names, "\x00")
		if !ended {
			says := fmt.Sprintf("__version_ext_names has %d names, and __version_ext_crcs %d versions", len(versions), cap(versions))
			return nil, &Error{int64(f.longNames.at), says, nil}
		}
		versions = append(versions, Version{undotted(name), uint64(f.Order.Uint32([]byte(crcs[:4])))})
		names = rest
	}
	return versions, nil
}

// undotted is the name of a symbol on ppc64, where functions are known by a name
// with a dot before it.
func undotted(name string) string { return strings.TrimPrefix(name, ".") }

func (f *File) version(entry string) Version {
	crc := entry[:f.Bits/8]
	name, _, _ := strings.Cut(entry[len(crc):], "\x00")
	name = undotted(name)
	if f.Bits == 32 {
		return Version{name, uint64(f.Order.Uint32([]byte(crc)))}
	}
	return Version{name, f.Order.Uint64([]byte(crc))}
}
