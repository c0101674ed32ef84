package daemon

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/regular"
)

// ahead has the kernel read files before somebody needs them. Its zero value is ready,
// and has no goroutine while there is nothing to read.
type ahead struct {
	mu    sync.Mutex
	files []string
	busy  bool
}

// read has the kernel read files, in this order, and does not wait: to open one may take
// the disk's time.
func (a *ahead) read(files []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files = append(a.files, files...)
	if !a.busy {
		a.busy = true
		go a.run()
	}
}

func (a *ahead) run() {
	for {
		a.mu.Lock()
		if len(a.files) == 0 {
			a.files, a.busy = nil, false
			a.mu.Unlock()
			return
		}
		file := a.files[0]
		a.files = a.files[1:]
		a.mu.Unlock()
		fetch(file)
	}
}

// fetch has the kernel read a file into its page cache (posix_fadvise(2)). What is wrong
// with it is said when it is loaded.
func fetch(file string) {
	fd, err := regular.Open(file)
	if err != nil {
		return
	}
	_ = unix.Fadvise(fd, 0, 0, unix.FADV_WILLNEED)
	unix.Close(fd)
}
