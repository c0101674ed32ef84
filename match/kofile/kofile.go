package kofile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A File is what was read of a module file. Only what returns an error reads
// more of it. It is safe for concurrent use.
type File struct {
	Info
	Bits    int              // 32 or 64
	Order   binary.ByteOrder // of the machine that it is built for
	Machine uint16           // e_machine, see linux/elf-em.h
	// Signed says that a signature is appended. Whether it is good, and whose,
	// is for the kernel to say.
	Signed bool

	r     io.ReaderAt
	size  int64
	table sectionTable

	symtab, strtab, versions, exported, gpl section
	// Of newer kernels: versions of symbols with long names, and flags of exports.
	longCRCs, longNames, flags section
}

// What a file may lack, so that it is no module: an [Error] wraps them.
var (
	ErrNotELF = errors.New("not an ELF file")
	ErrNoInfo = errors.New("an ELF file without .modinfo, so not a module")
)

// An Error says what is wrong with a file. If it is cut short, errors.Is finds
// io.ErrUnexpectedEOF in it, and Offset is where it ends.
type Error struct {
	Offset int64 // in bytes, from the beginning of the file
	Says   string
	Err    error // nil if the file could be read, and is unsound
}

var _ error = (*Error)(nil)

func (e *Error) Error() string {
	if errors.Is(e.Err, io.ErrUnexpectedEOF) {
		return fmt.Sprintf("cut short at byte %d: %s", e.Offset, e.Says)
	}
	return fmt.Sprintf("%s (at byte %d)", e.Says, e.Offset)
}

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

// The largest sections that are read. Of Debian's 4,000 modules, i915's
// .modinfo is the largest with 36 kB, and no section names take more than 5 kB.
const (
	maxInfo  = 256 << 10
	maxNames = 256 << 10
)

// Mark is the end of a file that a signature is appended to.
const Mark = "~Module signature appended~\n"

// Marked says whether a file of that size in bytes ends with [Mark].
func Marked(r io.ReaderAt, size int64) bool {
	var tail [len(Mark)]byte
	if size < int64(len(tail)) {
		return false
	}
	n, _ := r.ReadAt(tail[:], size-int64(len(tail)))
	return string(tail[:n]) == Mark
}

// New reads a module file of that size in bytes. The error is an [*Error].
// Compressed files are not unpacked here.
func New(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size}
	if err := f.header(); err != nil {
		return nil, err
	}
	if err := f.sections(); err != nil {
		return nil, err
	}
	f.Signed = Marked(r, size)
	return f, nil
}

// architectures are the names of machines, as the kernel calls them
// (UTS_MACHINE in its Makefiles). Those that are missing here have no Debian.
var architectures = sync.OnceValue(func() map[uint16]string {
	return map[uint16]string{
		2: "sparc", 3: "i386", 4: "m68k", 8: "mips", 15: "parisc", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm",
		42: "sh", 43: "sparc64", 50: "ia64", 62: "x86_64", 183: "aarch64", 243: "riscv", 258: "loongarch64", 0x9026: "alpha",
	}
})

// Arch is the architecture that the file is built for, in the words of
// /proc/sys/kernel/arch, or its number if it has no name here. All of 32-bit
// ARM is "arm" and all of 32-bit x86 is "i386".
func (f *File) Arch() string {
	name, known := architectures()[f.Machine]
	switch {
	case !known:
		return fmt.Sprintf("machine %d", f.Machine)
	case name == "riscv":
		return fmt.Sprintf("riscv%d", f.Bits)
	case name == "mips" && f.Bits == 64:
		return "mips64"
	case name == "parisc" && f.Bits == 64:
		return "parisc64"
	case name == "ppc64" && f.Order == binary.LittleEndian:
		return "ppc64le"
	}
	return name
}
