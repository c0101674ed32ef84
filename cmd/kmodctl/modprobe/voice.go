package modprobe

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// A voice says things to whoever called modprobe.
type voice struct {
	*kmodlog.Log
	stdout io.Writer
	shows  bool // what is done, or would be
	hints  bool // that kmod does not give
}

func newVoice(o options, stdout, stderr io.Writer) *voice {
	return &voice{
		Log:    kmodlog.New("modprobe", stderr, o.syslog, o.verbosity),
		stdout: stdout,
		shows:  o.depends || o.verbosity > kmodlog.Warning,
		hints:  o.dialect != modprobed.Kmod,
	}
}

// print answers a question.
func (v *voice) print(format string, args ...any) { fmt.Fprintf(v.stdout, format, args...) }

// show prints what is done, with -v, or would be.
func (v *voice) show(format string, args ...any) {
	if v.shows {
		v.print(format, args...)
	}
}

// hint adds what kmod would not say.
func (v *voice) hint(format string, args ...any) {
	if v.hints {
		v.Tell(kmodlog.Warning, fmt.Sprintf(format, args...))
	}
}

// remark is a hint for those who want to know more.
func (v *voice) remark(format string, args ...any) {
	if v.hints {
		v.Tell(kmodlog.Info, fmt.Sprintf(format, args...))
	}
}

// misread says what is wrong with a command line.
func (v *voice) misread(err error) {
	var value *valueError
	if errors.Is(err, errNothing) || errors.As(err, &value) {
		v.Say(kmodlog.Failure, "%v", err)
		return
	}
	v.Misread(err)
}

// inserted is what modprobe(8) says of a load's errno.
func inserted(errno syscall.Errno) string {
	switch errno {
	case unix.EEXIST:
		return "Module already in kernel"
	case unix.ENOENT:
		return "Unknown symbol in module, or unknown parameter (see dmesg)"
	}
	return libc.Strerror(errno)
}
