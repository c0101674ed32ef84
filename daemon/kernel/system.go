package kernel

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// A System says where the kernel's file systems are mounted. The zero value is
// the running system. It is safe for concurrent use.
type System struct {
	Sys  string // "" for /sys
	Proc string // "" for /proc
	Dev  string // "" for /dev
	Lib  string // "" for /lib, where modules and firmware are
}

func (s System) sys(name string) string  { return filepath.Join(cmp.Or(s.Sys, "/sys"), name) }
func (s System) proc(name string) string { return filepath.Join(cmp.Or(s.Proc, "/proc"), name) }
func (s System) dev(name string) string  { return filepath.Join(cmp.Or(s.Dev, "/dev"), name) }
func (s System) lib(name string) string  { return filepath.Join(cmp.Or(s.Lib, "/lib"), name) }

// A State is what the kernel says of a module, in the words of
// /sys/module/NAME/initstate.
type State string

// The states of a module in the kernel.
const (
	Absent State = "absent" // not in the kernel: there is no directory
	Coming State = "coming" // its init function has not returned yet
	Live   State = "live"
	Going  State = "going" // its init failed, or its exit function runs
)

// State says how far a module has come. The name is the kernel's, with
// underscores.
//
// A directory without an initstate file is a module in the moment between the
// two steps in which kernel/module/sysfs.c makes them, so "coming"; or code
// that is built in and has parameters, which this room can't know: ask the
// tables whether a module is built in before asking here.
func (s System) State(module string) State {
	dir := s.sys("module/" + module)
	switch word := State(firstLine(dir + "/initstate")); word {
	case Live, Coming, Going:
		return word
	}
	if unix.Access(dir, unix.F_OK) != nil {
		return Absent
	}
	return Coming
}

// Builtin tells whether a name is that of code that is built in and has parameters: there
// is a directory, and no module in it. The tables know of those without parameters, too.
func (s System) Builtin(module string) bool {
	dir := s.sys("module/" + module)
	if unix.Access(dir, unix.F_OK) != nil || unix.Access(dir+"/initstate", unix.F_OK) == nil {
		return false
	}
	list, err := os.ReadFile(s.proc("modules"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false
	}
	return !slices.ContainsFunc(strings.Split(string(list), "\n"), func(line string) bool { return strings.HasPrefix(line, module+" ") })
}

// Realtime tells whether the kernel is made for real time (PREEMPT_RT).
func (s System) Realtime() bool { return firstLine(s.sys("kernel/realtime")) == "1" }

// Compression is the method of compression that the kernel undoes itself
// (CONFIG_MODULE_DECOMPRESS, Linux 5.17): "gzip", "xz", "zstd", or "" for none.
// It never changes while the kernel runs.
func (s System) Compression() string { return firstLine(s.sys("module/compression")) }

// firstLine reads the beginning of a small file, without what follows the
// first newline. A file that can't be read is as good as an empty one to all
// who ask here.
func firstLine(file string) string {
	line, _, _ := strings.Cut(read(file), "\n")
	return strings.TrimSpace(line)
}

// read returns a file of /proc or /sys, up to the 4 KiB that the kernel allows
// most of them.
func read(file string) string {
	var buf [4 << 10]byte
	text, _ := kernfs.Readat(unix.AT_FDCWD, append([]byte(file), 0), buf[:])
	return string(text)
}

// Arch is the kernel's architecture in the words of [kofile.File.Arch].
func (s System) Arch() string {
	arch := firstLine(s.proc("sys/kernel/arch"))
	if arch == "" { // before Linux 6.1
		var name unix.Utsname
		if unix.Uname(&name) == nil {
			arch = unix.ByteSliceToString(name.Machine[:])
		}
	}
	switch {
	case strings.HasPrefix(arch, "arm"):
		return "arm"
	case len(arch) == 4 && arch[0] == 'i' && arch[2:] == "86":
		return "i386"
	}
	return arch
}
