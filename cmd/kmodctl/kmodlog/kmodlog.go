// Package kmodlog says what kmod's tools have to say, as they do: on standard
// error or to the system log, from some priority up, with a word for it before.
package kmodlog

import (
	"errors"
	"fmt"
	"io"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
)

// Priorities, as in syslog(3).
const (
	Silent  = 0
	Fatal   = 2
	Failure = 3
	Warning = 4
	Info    = 5 // with -v
	Detail  = 6 // with -vv
)

var words = map[int]string{Fatal: "FATAL", Failure: "ERROR", Warning: "WARNING", Detail: "INFO"}

// A Log is where a tool's words go.
type Log struct {
	Verbosity int // the priority up to which things are said

	name   string
	stderr io.Writer
	system *systemLog // nil for stderr
}

// New is the log of a tool. With system, the words go to syslog(3), and to the console
// if no system log runs.
func New(name string, stderr io.Writer, system bool, verbosity int) *Log {
	l := &Log{Verbosity: verbosity, name: name, stderr: stderr}
	if system {
		l.system = new(systemLog)
	}
	return l
}

// Say says something, headed by the priority's word.
func (l *Log) Say(priority int, format string, args ...any) {
	l.Tell(priority, words[priority]+": "+fmt.Sprintf(format, args...))
}

// Tell says a line as it is.
func (l *Log) Tell(priority int, line string) {
	switch {
	case priority > l.Verbosity:
	case l.system == nil:
		fmt.Fprintln(l.stderr, l.name+": "+line)
	default:
		l.system.say(priority, l.name, line)
	}
}

// Misread says what getopt_long(3) has found wrong with a command line, however
// little is to be said.
func (l *Log) Misread(err error) { fmt.Fprintf(l.stderr, "%s: %v\n", l.name, err) }

// Over tells whether a command line leaves nothing to do, and the exit status then:
// it asks about the tool itself, getopt could not read it, or it has no words but options,
// of which none is what to say.
func (l *Log) Over(words []string, err error, none string, stdout io.Writer) (status int, over bool) {
	about, asked := errors.AsType[getopt.Answer](err)
	switch {
	case asked:
		io.WriteString(stdout, string(about))
		return 0, true
	case err != nil:
		l.Misread(err)
		return 1, true
	case len(words) == 0:
		l.Say(Failure, "%s", none)
		return 1, true
	}
	return 0, false
}
