package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
)

// Camera is a kind of device that QEMU has not: a USB camera, played by a
// background command of the guest that has the device's name.
const Camera = "uvc-camera"

// cameraTime is how long the kernel may take to take or to let go a camera: it
// loads a driver before, and has users to send off after.
const cameraTime = 30 * time.Second

// unused returns an error if a device of that name is plugged in.
func (m *Machine) unused(id string) error {
	driver, taken := m.vm.Plugged(id)
	if m.hasCamera(id) {
		driver, taken = Camera, true
	}
	if taken {
		return fmt.Errorf("plug %s: there is a %s of that name already", id, driver)
	}
	return nil
}

func (m *Machine) hasCamera(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cameras[id]
}

// cameraNames lists the cameras that are plugged in.
func (m *Machine) cameraNames() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.cameras))
}

// plugCamera starts a camera, and returns when it is in its port.
func (m *Machine) plugCamera(ctx context.Context, id string, props map[string]any) error {
	argv := []string{AgentPath, "camera"}
	for name, value := range props {
		argv = append(argv, fmt.Sprintf("%s=%v", name, value))
	}
	log := agentwire.LogFile(id)
	if err := m.WriteFile(ctx, log, nil, 0o644); err != nil { // one of that name may have been there before
		return err
	}
	pid, err := m.Spawn(ctx, id, argv...)
	if err != nil {
		return err
	}
	// A process that has ended is collected at once, and /proc has it no more.
	const there = `grep '^plugged' $0 || ! test -d /proc/$1`
	result, err := m.Until(ctx, cameraTime, "sh", "-c", there, log, strconv.Itoa(pid))
	if err == nil && result.Stdout == "" {
		said, errRead := m.ReadFile(ctx, log)
		err = errors.Join(errors.New(strings.TrimSpace(string(said))), errRead)
	}
	if err != nil {
		return fmt.Errorf("plug %s: %w", id, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cameras[id] = true
	return nil
}

// unplugCamera ends a camera, and returns when it has gone from the bus.
func (m *Machine) unplugCamera(ctx context.Context, id string) error {
	m.mu.Lock()
	delete(m.cameras, id)
	m.mu.Unlock()
	if _, err := m.Ask(ctx, agentwire.Request{Op: agentwire.Signal, Name: id, Signal: int(syscall.SIGTERM)}); err != nil {
		return fmt.Errorf("unplug %s: %w", id, err)
	}
	exit, err := m.Wait(ctx, cameraTime, id)
	if err == nil && exit != 0 {
		said, errRead := m.ReadFile(ctx, agentwire.LogFile(id))
		err = errors.Join(errors.New(strings.TrimSpace(string(said))), errRead)
	}
	if err != nil {
		return fmt.Errorf("unplug %s: %w", id, err)
	}
	return nil
}
