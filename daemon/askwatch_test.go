package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/worker"
)

func TestTheKernelAsksUsAgainWhenSomebodyElseHasSetWhomItAsks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "modprobe")
	set := func(name string) {
		if err := os.WriteFile(file, []byte(name+"\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
	set("/sbin/modprobe")
	l, d := startLoop(t)
	l.persist = func(core.Persist) error { return nil }
	l.asked.file = file
	asked := make(chan bool, 8)
	l.helper = func(on bool) error { asked <- on; return nil }
	l.post(core.Inherited{Persist: core.Persist{Asleep: sleepingCamera}})
	read(t, l, "", "")
	if on := <-asked; !on {
		t.Error("the kernel asks somebody else, though something sleeps")
	}
	set("/bin/true")
	select {
	case on := <-asked:
		if !on {
			t.Error("it is given up")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes unnoticed")
	}
	l.post(core.Scanned{Scan: 1}) // and nothing sleeps any more
	for <-asked {                 // until it is to ask others again
		continue
	}
	d.results <- worker.Result{Op: 1, Tended: true} // its node is taken away
	set("/bin/false")
	read(t, l, "", "")
	if len(asked) > 0 {
		t.Error("nothing sleeps, and the kernel is to ask us again")
	}
}
