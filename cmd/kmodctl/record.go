package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/cmd/kmodctl/devicelist"
	"github.com/kmodd/kmodd/daemon/uevent"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
)

func newRecord(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "record [FILE]",
		Short: "Write down the devices of this machine, for plan and trim",
		Long: `Writes the devices that name themselves to drivers to standard output, or to
FILE, which is replaced as a whole: a device a line, with its path, subsystem,
MODALIAS, driver and other variables, and the names of the modules that are in the
kernel. "kmodctl plan --devices" and "kmodctl trim" read such a list, on this
machine or another one. No daemon is needed.

The list tells what kind of machine it is, and not which one: serial numbers,
addresses of network cards, UUIDs and names that somebody gave are left out, and
of the kernel command line everything but what is about modules. docs/plan.md
explains the format, which may be edited by hand.

Many kernels show a device's variables only when no driver is trying it, so this
waits for a probe that is under way.`,
		Example: `  kmodctl record router.devices
  kmodctl record | ssh workshop kmodctl plan --root /srv/router --devices -`,
		Args: arguments(func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return fmt.Errorf("one FILE is written, not %d", len(args))
			case o.json:
				return fmt.Errorf("a list has a text format of its own and no other: kmodctl devices --json prints JSON")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := record(cmd, args); err != nil {
				return fmt.Errorf("record: %w", err)
			}
			return nil
		},
	}
}

func record(cmd *cobra.Command, args []string) error {
	list, err := recorded(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	text := list.Append(nil)
	if len(args) > 0 && args[0] != "-" {
		return replace(args[0], text)
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

// recorded is the list of this machine.
func recorded(warnings io.Writer) (*devicelist.List, error) {
	release, machine, err := here.kernel()
	if err != nil {
		return nil, err
	}
	line, err := here.commandLine()
	if err != nil {
		return nil, err
	}
	devices, err := here.devices(warnings, func(e *uevent.Event) []string {
		return devicelist.Keep(strings.Split(string(e.Environment()), "\n"))
	})
	if err != nil {
		return nil, err
	}
	loaded, err := here.loaded(warnings)
	if err != nil {
		return nil, err
	}
	words, left := devicelist.KeepWords(line, installed(warnings))
	for _, parameter := range left {
		fmt.Fprintf(warnings, "kmodctl: warning: %s= of the kernel command line is left out: it may tell which machine this is\n", parameter)
	}
	devicelist.Mask(devices)
	slices.SortFunc(devices, func(a, b rules.Device) int { return strings.Compare(a.Path, b.Path) })
	return &devicelist.List{Tool: "kmodctl " + version, Kernel: release, Machine: machine, CommandLine: words, Loaded: loaded, Devices: devices}, nil
}

// installed tells which modules the running kernel has. Without tables, as in
// many an initramfs, nobody knows.
func installed(warnings io.Writer) func(module string) bool {
	tables := sync.OnceValue(func() *match.Tables {
		dir, err := system{root: here.root}.moduleDir()
		if err == nil {
			var t *match.Tables
			if t, err = match.Open(dir); err == nil {
				return t // for as long as the process lives
			}
		}
		fmt.Fprintln(warnings, "kmodctl: warning: parameters on the kernel command line are left out:", oneLine(err.Error()))
		return nil
	})
	return func(module string) bool {
		t := tables()
		if t == nil {
			return false
		}
		_, builtin := t.Builtin(module)
		_, is := t.Module(module)
		return builtin || is
	}
}

// replace writes a file as a whole: who reads it meanwhile has the old one, and
// so has everybody if that fails. What is no regular file is written into, and a link
// to one stays a link.
func replace(name string, text []byte) error {
	mode := os.FileMode(0o644)
	switch info, err := os.Stat(name); {
	case name == "":
		return errors.New("the name of the file is empty")
	case err == nil && !info.Mode().IsRegular():
		return os.WriteFile(name, text, 0)
	case err == nil:
		mode = info.Mode().Perm()
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // of a file whose name nobody has given
		}
		return fmt.Errorf("make a file in %s: %w", filepath.Dir(name), err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
