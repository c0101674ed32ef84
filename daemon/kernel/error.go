package kernel

import (
	"cmp"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An Error is the kernel's refusal to load or to unload one module, or to probe
// or assign one device; or the failure of a command that stands for a module, or of
// what a driver's sleep takes.
type Error struct {
	Op     string        // "open", "unpack", "load", "unload", "probe", "assign", OpInUse, "run", "survey" or "tend"
	Module string        // of a probe or an assignment, the device
	File   string        // "" where no file was involved
	Errno  syscall.Errno // 0 where the kernel was not asked
	Words  string        // what it means here and what to do about it, one line
}

var _ error = (*Error)(nil)

// Error is one line that ends with the cure where there is one. The errno goes
// by its name: "no such file or directory" of a file that is there would only
// mislead.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op + " " + e.Module)
	if e.File != "" {
		b.WriteString(" from " + e.File)
	}
	if e.Errno != 0 {
		b.WriteString(": " + cmp.Or(unix.ErrnoName(e.Errno), e.Errno.Error()))
	}
	if e.Words != "" {
		b.WriteString(": " + e.Words)
	}
	return b.String()
}

// Unwrap gives the errno, so that errors.Is finds unix.EEXIST, and os.ErrExist
// and os.ErrPermission too.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}
