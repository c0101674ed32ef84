package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// restoreTime is how long a restored guest may take until its agent answers. It
// takes a tenth of a second on an idle machine.
const restoreTime = 30 * time.Second

// beginning marks in a restored guest's kernel log where its own life begins.
const beginning = "kmodlab: restored from the template"

// A template is a guest that was stopped when it was ready, in two files of its
// build.
type template struct {
	// once looks for the files, and makes them, one time for each process:
	// what failed would fail again.
	once sync.Once
	err  error
}

// restore starts a guest from the template.
func (b *Build) restore(ctx context.Context) (*Machine, error) {
	b.template.once.Do(func() { b.template.err = b.findTemplate(ctx) })
	if b.template.err != nil {
		return nil, b.template.err
	}
	state, err := os.Open(filepath.Join(b.dir, stateFile))
	if err != nil {
		return nil, err
	}
	defer state.Close()
	dir, err := os.MkdirTemp("", "kmodlab-")
	if err != nil {
		return nil, err
	}
	c := b.config(dir)
	c.Memory = filepath.Join(b.dir, memoryFile)
	c.Incoming = true
	m, err := start(ctx, dir, c)
	if err != nil {
		return nil, err
	}
	if err := m.revive(ctx, state); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// revive has the guest go on, and tells it what time it is.
func (m *Machine) revive(ctx context.Context, state *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	if err := m.vm.Restore(ctx, state); err != nil {
		return err
	}
	if _, err := m.Ask(ctx, agentwire.Request{Op: agentwire.Clock, Time: time.Now()}); err != nil {
		return err
	}
	return m.WriteFile(ctx, "/dev/kmsg", []byte("<6>"+beginning+"\n"), 0)
}

// findTemplate makes the template unless another process has, or does so now.
func (b *Build) findTemplate(ctx context.Context) error {
	unlock, err := debian.Lock(ctx, filepath.Join(b.dir, "lock"), func() {
		fmt.Fprintln(b.progress, "waiting for another process that makes the template")
	})
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(b.dir, stateFile)); err == nil {
		return nil
	}
	fmt.Fprintln(b.progress, "booting a guest for the template")
	if err := b.makeTemplate(ctx); err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	return nil
}

// makeTemplate boots a guest and stops it when it is ready. The state is put in
// place last: where it is, the memory is whole.
func (b *Build) makeTemplate(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(b.dir, "template-")
	if err != nil {
		return err
	}
	c := b.config(dir)
	c.Memory, c.Keep = filepath.Join(b.dir, memoryFile), true
	if err := os.RemoveAll(c.Memory); err != nil {
		return err
	}
	m, err := start(ctx, dir, c)
	if err != nil {
		return err
	}
	if m, err = m.ready(ctx); err != nil {
		return err
	}
	scratch := filepath.Join(dir, "state")
	err = m.save(ctx, scratch)
	if err == nil {
		err = os.Rename(scratch, filepath.Join(b.dir, stateFile))
	}
	return errors.Join(err, m.Close())
}

// save stops the guest and writes the machine's state.
func (m *Machine) save(ctx context.Context, name string) error {
	state, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(m.vm.Save(ctx, state), state.Close())
}
