package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/uevent"
	"github.com/kmodd/kmodd/rules"
)

// A board is the machine that kmodctl runs on, as its kernel shows it.
type board struct {
	root, sys, proc  string
	release, machine string // "" for what the kernel says
}

// here is the board. Tests point it at a tree.
var here = board{root: "/", sys: "/sys", proc: "/proc"}

// kernel returns the kernel's release, and what it calls the processors.
func (b board) kernel() (release, machine string, err error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", "", fmt.Errorf("release of the running kernel: %w", err)
	}
	return cmp.Or(b.release, unix.ByteSliceToString(u.Release[:])), cmp.Or(b.machine, unix.ByteSliceToString(u.Machine[:])), nil
}

// commandLine is the kernel's.
func (b board) commandLine() (string, error) {
	line, err := os.ReadFile(filepath.Join(b.proc, "cmdline"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil // a chroot without /proc
	}
	if err != nil {
		return "", fmt.Errorf("kernel command line: %w", err)
	}
	return strings.TrimSpace(string(line)), nil
}

// devices scans sysfs as the daemon does, and returns the devices by path, each
// once. env picks the variables of a device; with nil they are not even read.
func (b board) devices(warnings io.Writer, env func(*uevent.Event) []string) ([]rules.Device, error) {
	s := uevent.NewScanner(b.sys)
	if env != nil {
		s = uevent.NewWholeScanner(b.sys)
	}
	var devices []rules.Device
	skipped, err := s.Devices(func(e *uevent.Event) bool {
		d := rules.Device{Path: string(e.Path), Subsystem: string(e.Subsystem), Modalias: string(e.Modalias), Driver: string(e.Driver)}
		if env != nil {
			d.Env = env(e)
		}
		devices = append(devices, d)
		return true
	})
	if err != nil {
		return nil, err
	}
	if skipped > 0 {
		fmt.Fprintf(warnings, "kmodctl: warning: %s of %s could not be read and are left out\n", plural(uint64(skipped), "device"), b.sys)
	}
	// Some are on a bus and in a class.
	slices.SortStableFunc(devices, func(x, y rules.Device) int { return strings.Compare(x.Path, y.Path) })
	return slices.CompactFunc(devices, func(x, y rules.Device) bool { return x.Path == y.Path }), nil
}

// modules returns the states of the modules in the kernel.
func (b board) modules(warnings io.Writer) (map[string]control.State, error) {
	states := make(map[string]control.State)
	skipped, err := uevent.NewScanner(b.sys).Modules(func(name []byte, state string) bool {
		states[string(name)] = control.State(state)
		return true
	})
	if skipped > 0 {
		fmt.Fprintf(warnings, "kmodctl: warning: the states of %s could not be read\n", plural(uint64(skipped), "module"))
	}
	return states, err
}

// loaded returns the names of the modules that are live, sorted.
func (b board) loaded(warnings io.Writer) (names []string, err error) {
	states, err := b.modules(warnings)
	for name, state := range states {
		if state == control.Live {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}
