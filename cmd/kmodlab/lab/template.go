package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
)

// restoreTime is how long a restored guest may take until its agent answers. It
// takes a tenth of a second on an idle machine.
const restoreTime = 30 * time.Second

// beginning marks in a restored guest's kernel log where its own life begins.
const beginning = "kmodlab: restored from the template"

// A template is a guest that was stopped when it was ready, in two files of its
// build.
type template struct {
	kind kind
	// once looks for the files, and makes them, one time for each process:
	// what failed would fail again.
	once sync.Once
	err  error
}

// The names of its files.
func (t *template) memory() string { return t.kind.board.Name + t.kind.root + ".memory" }
func (t *template) state() string  { return t.kind.board.Name + t.kind.root + ".state" }

// restore starts a guest from the template of its kind.
func (b *Build) restore(ctx context.Context, k kind) (*Machine, error) {
	t := b.templates[k]
	t.once.Do(func() { t.err = b.findTemplate(ctx, t) })
	if t.err != nil {
		return nil, t.err
	}
	state, err := os.Open(filepath.Join(b.dir, t.state()))
	if err != nil {
		return nil, err
	}
	defer state.Close()
	m, err := b.start(ctx, "", k, func(c *qemu.Config) {
		c.Memory, c.Incoming = filepath.Join(b.dir, t.memory()), true
	})
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
	if err := m.setClock(ctx); err != nil {
		return err
	}
	return m.WriteFile(ctx, "/dev/kmsg", []byte("<6>"+beginning+"\n"), 0)
}

// findTemplate makes the template unless another process has, or does so now.
func (b *Build) findTemplate(ctx context.Context, t *template) error {
	unlock, err := debian.Lock(ctx, filepath.Join(b.dir, "lock"), func() {
		fmt.Fprintln(b.progress, "waiting for another process that makes the template")
	})
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(b.dir, t.state())); err == nil {
		return nil
	}
	fmt.Fprintf(b.progress, "booting %s for the template\n", t.kind.board.About)
	if err := b.makeTemplate(ctx, t); err != nil {
		return fmt.Errorf("make the template: %w", err)
	}
	return nil
}

// makeTemplate boots a guest and stops it when it is ready. The state is put in
// place last: where it is, the memory is whole.
func (b *Build) makeTemplate(ctx context.Context, t *template) error {
	memory := filepath.Join(b.dir, t.memory())
	if err := os.RemoveAll(memory); err != nil {
		return err
	}
	m, err := b.start(ctx, b.dir, t.kind, func(c *qemu.Config) { c.Memory, c.Keep = memory, true })
	if err != nil {
		return err
	}
	if m, err = m.ready(ctx); err != nil {
		return err
	}
	scratch := filepath.Join(m.dir, "state")
	err = m.save(ctx, scratch)
	if err == nil {
		err = os.Rename(scratch, filepath.Join(b.dir, t.state()))
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
