package kernel

import (
	"bytes"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Module is one module to put in.
type Module struct {
	Name    string // the kernel's name of it, with underscores
	File    string // absolute path, compressed or not
	Options string // parameters, "" for none
	Force   Force  // what not to compare; always zero in the daemon
	Measure bool   // whether a worker is to tell how much memory the call took
	Async   Async  // how a worker is to have its drivers probe
	// Nice is the priority that a worker makes the call with, as in setpriority(2).
	// What the kernel does for it elsewhere is not slowed by that.
	Nice int
	// LookInto are the files of modules that must not have others loaded either if
	// Async is AsyncIfSafe.
	LookInto []string
	// Known says that nothing is to be found out about its file: it was looked into for
	// the last load. Async is not AsyncIfSafe then.
	Known bool
	// Settings are what a worker sets afterwards, as [System.Settings] returned it
	// when the module was taken out; "" for nothing.
	Settings string
}

// A Force says which of its comparisons the kernel is to pass over, if it was
// built with CONFIG_MODULE_FORCE_LOAD; it is tainted by that (F).
type Force int

// The comparisons, which may be added up.
const (
	ForceVersions Force = unix.MODULE_INIT_IGNORE_MODVERSIONS // of symbols
	ForceMagic    Force = unix.MODULE_INIT_IGNORE_VERMAGIC
)

// How says what the kernel is to make of a module's file.
type How uint8

// The ways of loading a file.
const (
	Plain  How = iota // an ELF file
	Packed            // compressed, by the method of [System.Compression]
)

// Load puts a module in from its open file, with finit_module(2), and returns
// when the kernel does: after the module's init function, which may be never.
//
// The error is an [*Error]. EEXIST is among them, because whether the module
// was there before matters to some: it says that the module is live.
func (s System) Load(m Module, f *os.File, how How) error {
	flags := int(m.Force)
	if how == Packed {
		flags |= unix.MODULE_INIT_COMPRESSED_FILE
	}
	// An empty string is passed as a pointer to a NUL: the kernel refuses NULL.
	err := unix.FinitModule(int(f.Fd()), m.Options, flags)
	if err == nil {
		return nil
	}
	return s.failed(m, err, whole(f))
}

// LoadImage puts a module in from memory, with init_module(2). It is for files
// that the kernel can't unpack itself; in all else it is like [System.Load].
func (s System) LoadImage(m Module, image []byte) error {
	err := unix.InitModule(image, m.Options)
	if err == nil {
		return nil
	}
	return s.failed(m, err, io.NewSectionReader(bytes.NewReader(image), 0, int64(len(image))))
}

// whole is the content of a file, as long as it is now.
func whole(f *os.File) *io.SectionReader {
	var st unix.Stat_t
	_ = unix.Fstat(int(f.Fd()), &st) // an open file has a length
	return io.NewSectionReader(f, 0, st.Size)
}

// failed makes an [*Error] of a load's failure.
func (s System) failed(m Module, err error, image *io.SectionReader) error {
	e := &Error{Op: "load", Module: m.Name, File: m.File, Errno: asErrno(err)}
	e.Words = s.loadWords(e, m, image)
	return e
}

// Unload takes a module out, with delete_module(2). It is always O_NONBLOCK, so
// a module that is in use is refused (EAGAIN) instead of waited for, and never
// O_TRUNC, which would take out what is in use. It returns after the module's
// exit function, which may be never. The error is an [*Error].
func (s System) Unload(module string) error { return unload(module, unix.O_NONBLOCK) }

// UnloadForced is Unload with O_TRUNC, for a person who insists: where the
// kernel was built with CONFIG_MODULE_FORCE_UNLOAD, it takes out what has no
// exit function and what is in use, and is tainted (R). It may crash then.
func (s System) UnloadForced(module string) error {
	return unload(module, unix.O_NONBLOCK|unix.O_TRUNC)
}

func unload(module string, flags int) error {
	err := unix.DeleteModule(module, flags)
	if err == nil {
		return nil
	}
	errno := asErrno(err)
	return &Error{Op: "unload", Module: module, Errno: errno, Words: unloadWords(errno)}
}

// asErrno is the errno of a system call's error. What golang.org/x/sys refuses
// before the call, a NUL in a string, it says with EINVAL.
func asErrno(err error) syscall.Errno {
	errno, ok := err.(syscall.Errno)
	if !ok {
		return unix.EINVAL
	}
	return errno
}
