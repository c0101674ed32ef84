package modprobe

import (
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// A voice says things to whoever called modprobe.
type voice struct {
	stdout, stderr io.Writer
	system         *syslog.Writer // nil for stderr
	verbosity      int
	shows          bool // what is done, or would be
	hints          bool // that kmod does not give
}

func newVoice(o options, stdout, stderr io.Writer) *voice {
	v := &voice{
		stdout: stdout, stderr: stderr, verbosity: o.verbosity,
		shows: o.depends || o.verbosity > warning,
		hints: o.dialect != modprobed.Kmod,
	}
	if o.syslog {
		v.stderr = io.Discard
		// Where no system log runs there is nobody to tell.
		v.system, _ = syslog.New(syslog.LOG_DAEMON|syslog.LOG_WARNING, "modprobe")
	}
	return v
}

// print answers a question.
func (v *voice) print(format string, args ...any) { fmt.Fprintf(v.stdout, format, args...) }

// show prints what is done, with -v, or would be.
func (v *voice) show(format string, args ...any) {
	if v.shows {
		v.print(format, args...)
	}
}

// say says something of a priority, headed by a word for it.
func (v *voice) say(priority int, word, format string, args ...any) {
	v.tell(priority, word+": "+fmt.Sprintf(format, args...))
}

// hint adds what kmod would not say.
func (v *voice) hint(format string, args ...any) {
	if v.hints {
		v.tell(warning, fmt.Sprintf(format, args...))
	}
}

// remark is a hint for those who want to know more.
func (v *voice) remark(format string, args ...any) {
	if v.hints {
		v.tell(info, fmt.Sprintf(format, args...))
	}
}

func (v *voice) tell(priority int, line string) {
	switch {
	case priority > v.verbosity:
	case v.system == nil:
		fmt.Fprintln(v.stderr, "modprobe: "+line)
	case priority <= fatal:
		_ = v.system.Crit(line)
	case priority == failure:
		_ = v.system.Err(line)
	default:
		_ = v.system.Warning(line)
	}
}

// misread says what is wrong with a command line.
func (v *voice) misread(err error) {
	var value *valueError
	if errors.Is(err, errNothing) || errors.As(err, &value) {
		v.say(failure, "ERROR", "%v", err)
		return
	}
	fmt.Fprintf(v.stderr, "modprobe: %v\n", err) // as getopt_long(3) does, -q or not
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
