package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Save stops the machine and writes the state of everything but its memory,
// which is in the file of Config.Memory already (x-ignore-shared,
// migration/ram.c in QEMU's sources).
func (vm *VM) Save(ctx context.Context, state *os.File) error {
	m := vm.Monitor
	err := m.Do(ctx, "stop", nil, nil)
	if err == nil {
		err = vm.migrationSetup(ctx)
	}
	if err == nil {
		err = m.Hand(ctx, "state", state)
	}
	if err == nil {
		err = m.Do(ctx, "migrate", map[string]any{"uri": "fd:state"}, nil)
	}
	if err == nil {
		err = vm.awaitMigration(ctx)
	}
	return wrap("save the machine", err)
}

// Restore has a machine that was started with Incoming go on where the saved
// one stopped.
func (vm *VM) Restore(ctx context.Context, state *os.File) error {
	m := vm.Monitor
	err := vm.migrationSetup(ctx)
	if err == nil {
		err = m.Hand(ctx, "state", state)
	}
	if err == nil {
		err = m.Do(ctx, "migrate-incoming", map[string]any{"uri": "fd:state"}, nil)
	}
	if err == nil {
		err = vm.awaitMigration(ctx)
	}
	if err == nil {
		err = m.Do(ctx, "cont", nil, nil)
	}
	return wrap("restore the machine", err)
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// migrationSetup leaves the memory out of what is saved, or expected.
func (vm *VM) migrationSetup(ctx context.Context) error {
	return vm.Monitor.Do(ctx, "migrate-set-capabilities", map[string]any{
		"capabilities": []map[string]any{{"capability": "x-ignore-shared", "state": true}},
	}, nil)
}

// awaitMigration asks until the migration is over: QEMU announces its end only
// if the capability events is set, and on the incoming side not at all in every
// version.
func (vm *VM) awaitMigration(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var now struct {
			Status string `json:"status"`
			Desc   string `json:"error-desc"`
		}
		if err := vm.Monitor.Do(ctx, "query-migrate", nil, &now); err != nil {
			return err
		}
		switch now.Status {
		case "completed":
			return nil
		case "failed", "cancelled":
			return errors.Join(errors.New("migration "+now.Status), errors.New(now.Desc))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-vm.done:
			return errors.New("qemu has ended")
		}
	}
}
