package depmod

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A progress is a line on a terminal that comes and goes.
type progress struct {
	terminal *os.File // nil where there is none
	next     time.Time
	shown    bool
}

// often is how often the line changes. What is done sooner is not shown.
const often = 200 * time.Millisecond

// newProgress uses the terminal that standard error is, if it is one.
func newProgress() *progress {
	p := &progress{next: time.Now().Add(often)}
	if _, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS); err == nil {
		p.terminal = os.Stderr
	}
	return p
}

func (p *progress) show(done, all int) {
	if p.terminal == nil || time.Now().Before(p.next) {
		return
	}
	p.next = time.Now().Add(often)
	p.shown = true
	fmt.Fprintf(p.terminal, "\rdepmod: %d of %d modules read\x1b[K", done, all)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		p.shown = false
		fmt.Fprint(p.terminal, "\r\x1b[K")
	}
}
