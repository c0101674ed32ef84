// Package libc says what the GNU C library, and libkmod on top of it, would: kmod's
// tools speak in their words.
package libc

import (
	"errors"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/kofile"
)

// Strerror is what strerror(3) returns: what Go says, but for the first letter.
func Strerror(errno syscall.Errno) string {
	text := errno.Error()
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// Errno is the number that libkmod has for what is wrong with a module's file: that
// of the system, or for what the package kofile refuses, the one that comes nearest.
func Errno(err error) syscall.Errno {
	errno := unix.EINVAL
	switch {
	case errors.Is(err, kofile.ErrNotELF):
		return unix.ENOEXEC
	case errors.Is(err, kofile.ErrNoInfo):
		return unix.ENOENT
	}
	errors.As(err, &errno)
	return errno
}
