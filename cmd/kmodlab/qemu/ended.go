package qemu

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// An Ended is the error of a QEMU that ended by itself.
type Ended struct {
	Program string
	State   *os.ProcessState
	Words   string // what it wrote to its standard error
	err     error
}

var _ error = (*Ended)(nil)

func (e *Ended) Error() string {
	text := fmt.Sprintf("%s ended by itself: %v", e.Program, e.err)
	if e.Words != "" {
		text += ": " + e.Words
	}
	return text
}

// Unwrap returns what os/exec says of it.
func (e *Ended) Unwrap() error { return e.err }

// Killed says whether a signal ended it: it crashed, or the host had no memory
// left for it. Nothing that a guest may do ends a sound QEMU so.
func (e *Ended) Killed() bool {
	status, ok := e.State.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// A line is the agent's line. QEMU closes its end of it only by ending, so
// whoever finds it closed gets to know how QEMU ended.
type line struct {
	net.Conn
	vm *VM
}

func (l line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	return n, l.reason(err)
}

func (l line) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	return n, l.reason(err)
}

// reason is the error to show for one of the line. A process that ends closes
// its files first and is waited for then.
func (l line) reason(err error) error {
	if err == nil || errors.Is(err, net.ErrClosed) {
		return err
	}
	<-l.vm.done
	if l.vm.end != nil {
		return l.vm.end
	}
	return err
}
