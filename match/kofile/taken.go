package kofile

import (
	"bytes"
	"fmt"
	"strings"
)

// A Taken is a parameter as the kernel finds it in the file's section __param, where
// those are, too, of which .modinfo does not tell.
type Taken struct {
	Name string
	// Type is "array", or one of the kernel's own such as "int", by whose rules values are
	// read; "" if the module has code of its own for that, whatever .modinfo says.
	Type string
	// Max is how many values an array takes, and how many bytes a string, with its
	// final NUL; 0 for all others.
	Max int
}

// A place is somewhere in a section of the file.
type place struct {
	section int
	offset  uint64
}

// A pointer is what a relocation fills in: a symbol's address, and what is added.
type pointer struct {
	symbol uint64 // its row in .symtab
	added  uint64
}

// Of elf(5), the types of sections with relocations.
const (
	withAddends    = 4 // SHT_RELA
	withoutAddends = 9 // SHT_REL
)

const (
	mips           = 8         // has relocations of its own kind on 64 bits
	maxParams      = 256 << 10 // i915, which has most, has 4 kB
	maxRelocations = 2 << 20
)

// Taken reads which parameters the module takes. There are none, too, if that can't be
// read on this architecture. The error is an [*Error].
func (f *File) Taken() ([]Taken, error) {
	var params section
	byAbout := make(map[int]section)
	err := f.each(func(name string, s section) {
		switch {
		case name == "__param" && params.index == 0:
			params = s
		case s.kind == withAddends || s.kind == withoutAddends:
			byAbout[int(s.about)] = s
		}
	})
	relocations := byAbout[params.index]
	if err != nil || params.index == 0 || relocations.index == 0 || f.symtab.index == 0 || f.Machine == mips && f.Bits == 64 {
		return nil, err
	}
	entries, err := f.bytes(nil, params, "__param", maxParams)
	if err != nil {
		return nil, err
	}
	pointers, err := f.pointers(relocations, entries)
	if err != nil {
		return nil, err
	}
	return f.taken(len(entries), pointers)
}

// pointers reads the relocations of a section with that content, by their offset in it.
func (f *File) pointers(s section, content []byte) (map[uint64]pointer, error) {
	word := f.Bits / 8
	row := 2 * word
	if s.kind == withAddends {
		row = 3 * word
	}
	rows, err := f.bytes(nil, s, "the relocations of __param", maxRelocations)
	if err != nil {
		return nil, err
	}
	pointers := make(map[uint64]pointer)
	for ; len(rows) >= row; rows = rows[row:] {
		at, symbol := f.word(rows), f.word(rows[word:])>>8
		if f.Bits == 64 {
			symbol >>= 24
		}
		switch {
		case at > uint64(len(content)) || uint64(len(content))-at < uint64(word):
			return nil, &Error{Offset: int64(s.at), Says: fmt.Sprintf("a relocation at byte %d of __param, which is shorter", at)}
		case s.kind == withAddends:
			pointers[at] = pointer{symbol, f.word(rows[2*word:])}
		default:
			pointers[at] = pointer{symbol, f.word(content[at:])}
		}
	}
	return pointers, nil
}

// word is a number as long as an address.
func (f *File) word(b []byte) uint64 {
	if f.Bits == 32 {
		return uint64(f.Order.Uint32(b))
	}
	return f.Order.Uint64(b)
}

// taken reads the entries, which are a struct kernel_param each
// (include/linux/moduleparam.h): name, module, operations, 4 bytes and the argument.
func (f *File) taken(length int, pointers map[uint64]pointer) (list []Taken, err error) {
	word := uint64(f.Bits / 8)
	entry := 5 * word
	for at := uint64(0); at+entry <= uint64(length); at += entry {
		name, err := f.target(pointers[at])
		if err != nil {
			return nil, err
		}
		t := Taken{}
		if t.Name, err = f.nameIn(name); err != nil {
			return nil, err
		}
		if t.Type, err = f.operations(pointers[at+2*word]); err != nil {
			return nil, err
		}
		if t.Type == array || t.Type == "string" {
			if t.Max, err = f.maxAt(pointers[at+4*word]); err != nil {
				return nil, err
			}
		}
		list = append(list, t)
	}
	return list, nil
}

// maxAt is the first member of a struct kparam_array or kparam_string.
func (f *File) maxAt(p pointer) (int, error) {
	to, err := f.target(p)
	if err != nil {
		return 0, err
	}
	var most [4]byte
	if err := f.readIn(most[:], to, "a parameter's length"); err != nil {
		return 0, err
	}
	return int(f.Order.Uint32(most[:])), nil
}

// row reads a row of .symtab.
func (f *File) row(i uint64) (symbol, error) {
	length := uint64(24)
	if f.Bits == 32 {
		length = 16
	}
	if i >= f.symtab.bytes/length {
		return symbol{}, &Error{Offset: int64(f.symtab.at), Says: fmt.Sprintf("no symbol %d, which a parameter needs", i)}
	}
	b := make([]byte, length)
	if err := f.read(b, int64(f.symtab.at+i*length), "the table of symbols"); err != nil {
		return symbol{}, err
	}
	return f.symbol(b), nil
}

// target is where a pointer leads to.
func (f *File) target(p pointer) (place, error) {
	s, err := f.row(p.symbol)
	return place{int(s.section), s.value + p.added}, err
}

// array is the type of all arrays.
const array = "array"

// operations is the type whose rules a pointer leads to, if these are the kernel's.
func (f *File) operations(p pointer) (string, error) {
	s, err := f.row(p.symbol)
	if err != nil || s.section != undefined {
		return "", err
	}
	name, err := f.nameIn(place{f.strtab.index, uint64(s.name)})
	kind, ok := strings.CutPrefix(name, "param_ops_")
	switch {
	case name == "param_array_ops":
		kind = array
	case !ok:
		kind = ""
	}
	return kind, err
}

// nameIn reads a name in a section. One that is longer than a parameter's may be is cut.
func (f *File) nameIn(p place) (string, error) {
	const longest = 256
	s, err := f.in(p)
	if err != nil {
		return "", err
	}
	b := make([]byte, min(longest, s.bytes-p.offset))
	err = f.read(b, int64(s.at+p.offset), "a parameter's name")
	name, _, _ := bytes.Cut(b, []byte{0})
	return string(name), err
}

func (f *File) readIn(b []byte, p place, what string) error {
	s, err := f.in(p)
	switch {
	case err != nil:
		return err
	case s.bytes-p.offset < uint64(len(b)):
		return &Error{Offset: int64(s.at), Says: what + " outside of its section"}
	}
	return f.read(b, int64(s.at+p.offset), what)
}

// in is the section of a place, which is in it.
func (f *File) in(p place) (section, error) {
	if p.section == undefined || p.section >= f.table.count {
		return section{}, &Error{Offset: int64(f.symtab.at), Says: fmt.Sprintf("a parameter in section %d, and there are %d", p.section, f.table.count)}
	}
	s, err := f.sectionAt(p.section)
	if err != nil {
		return s, err
	}
	if s.kind == noBits || p.offset >= s.bytes {
		return s, &Error{Offset: int64(s.at), Says: fmt.Sprintf("a parameter at byte %d of section %d, which is shorter", p.offset, p.section)}
	}
	return s, f.within(s, "of a parameter")
}
