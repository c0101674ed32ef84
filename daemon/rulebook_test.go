package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A reader is a rulebook at work, in a module directory of its own, and a loop
// that puts at once into force what it reads.
type reader struct {
	t     *testing.T
	dir   string
	reads chan struct{}
}

func startReader(t *testing.T) *reader {
	r := &reader{t: t, dir: t.TempDir(), reads: make(chan struct{}, 100)}
	changes := make(chan ruleChange)
	b := newRulebook("6.1-test", changes, nil, silent)
	b.tables = r.dir
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	go func() {
		for c := range changes {
			c.close()
			close(c.inForce)
			r.reads <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		close(changes)
	})
	<-r.reads
	<-b.Ready()
	return r
}

// change writes one of depmod's tables.
func (r *reader) change(name string) {
	if err := os.WriteFile(filepath.Join(r.dir, name), nil, 0o644); err != nil {
		r.t.Error(err)
	}
}

// read waits until the tables have been read again.
func (r *reader) read(why string) {
	r.t.Helper()
	select {
	case <-r.reads:
	case <-time.After(20 * time.Second):
		r.t.Fatal(why + " goes unread")
	}
}

// depmod writes a dozen files, and a package manager many packages. On a machine
// that has no time for this process a burst may look like several.
func TestABurstOfChangesIsReadTogether(t *testing.T) {
	r := startReader(t)
	for range 50 {
		r.change("modules.dep")
		r.change("modules.alias")
	}
	r.read("a burst")
	readings := 1
	for quiet := time.After(5 * settleTime); ; {
		select {
		case <-r.reads:
			readings++
			continue
		case <-quiet:
		}
		break
	}
	if readings > 10 {
		t.Errorf("100 changes are read %d times", readings)
	}
}

func TestChangesThatGoOnAndOnAreReadAllTheSame(t *testing.T) {
	r := startReader(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.Tick(settleTime / 10); ; <-tick {
			select {
			case <-stop:
				return
			default:
				r.change("modules.dep")
			}
		}
	}()
	r.read("what goes on changing")
	close(stop)
	<-stopped
}
