package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/match"
)

// inspected is the system that kmodctl usage asks. Tests set it.
var inspected usage.System

func newUsage(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "usage DEVICE|MODULE",
		Short: "Say who uses a driver, without a daemon",
		Long: `Says who uses a module, or a device, before somebody takes it out: a module's
reference count is 0 while its network card is up, while a disk behind its USB
host is mounted, and while somebody types on its keyboard.

Asked are the device, all that is below it in /sys and all that depends on it,
and of a module its reference count, the modules that need it, and the devices
that have its driver. Who else uses a disk or a node in /dev only root sees.

  in use      somebody uses it
  idle        it was asked, and nobody does
  can't tell  it has users that can't be seen, or might have: as good as in use

A device is named by its path, with or without /sys, by the path's last part, or
by its node in /dev. The name of a module comes before that of a device. Of a driver
that sleeps the daemon is asked. The exit status is 0 whatever the answer is.`,
		Example: `  kmodctl usage usb_storage
  kmodctl usage 0000:00:1f.6
  kmodctl usage /dev/sda
  kmodctl usage --json e1000e`,
		Args: oneArgument("DEVICE or MODULE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := whoUses(args[0])
			if err != nil {
				sleeps, ok := sleeperCalled(cmd.Context(), o.socket, args[0])
				if !ok {
					return fmt.Errorf("usage: %w", err)
				}
				a = sleeps
			}
			return printUsage(cmd.OutOrStdout(), a, o.json)
		},
	}
}

// A usageAnswer is what there is to say of a module or a device, as JSON has it.
type usageAnswer struct {
	Module   string          `json:"module,omitempty"`
	Device   string          `json:"device,omitempty"`
	State    usage.State     `json:"state"` // of the first finding that is not idle
	Findings []usage.Finding `json:"findings"`
}

// whoUses asks about what a person means by a name.
func whoUses(name string) (a usageAnswer, err error) {
	sys := cmp.Or(inspected.Sys, "/sys")
	s := inspected
	s.Place = placeOf
	module := strings.ReplaceAll(name, "-", "_")
	device, found := findDevice(sys, name)
	switch {
	case name == "", name == ".", name == "..":
		return a, fmt.Errorf("%q is no name of a module or a device", name)
	case !strings.Contains(name, "/") && exists(filepath.Join(sys, "module", module)):
		a.Module, a.Findings = module, s.Module(module)
	case found:
		a.Device, a.Findings = device, s.Device(device)
	default:
		return a, fmt.Errorf("no module in the kernel and no device is called %s; lsmod and kmodctl devices list them", name)
	}
	a.State = usage.Idle
	if f, used := usage.NotIdle(a.Findings); used {
		a.State = f.State
	}
	return a, nil
}

// sleeperCalled says of a driver that sleeps, or of its device, that nobody uses it: the
// kernel knows neither. It is false if a daemon does not say so, or there is none.
func sleeperCalled(ctx context.Context, socket, name string) (a usageAnswer, ok bool) {
	s, err := storyOf(ctx, socket, name)
	if err != nil {
		return a, false
	}
	asleep := slices.ContainsFunc(s.Devices, func(d control.DeviceWhy) bool { return d.Result == control.Asleep })
	for _, m := range s.Modules {
		if asleep && m.State == control.Absent && m.Sleep != "" {
			says := usage.Finding{State: usage.Idle, Kind: usage.KindModule, Says: m.Sleep}
			return usageAnswer{Module: m.Name, State: usage.Idle, Findings: []usage.Finding{says}}, true
		}
	}
	return a, false
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// findDevice finds a device's path below /sys.
func findDevice(sys, name string) (string, bool) {
	places := []string{filepath.Join(sys, "bus/*/devices", glob(name)), filepath.Join(sys, "class/*", glob(name))}
	switch {
	case strings.HasPrefix(name, "/dev/"):
		places = []string{nodeInSysfs(sys, name)}
	case strings.HasPrefix(name, "/devices/"):
		places = []string{glob(filepath.Join(sys, name))}
	case strings.HasPrefix(name, "/"):
		places = []string{glob(filepath.Clean(name))}
	}
	for _, place := range places {
		matches, _ := filepath.Glob(place) // never malformed
		for _, match := range matches {
			path, err := filepath.EvalSymlinks(match)
			if below, ok := strings.CutPrefix(path, sys); err == nil && ok && strings.HasPrefix(below, "/devices/") {
				return below, true
			}
		}
	}
	return "", false
}

// glob makes a pattern that matches one name.
func glob(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// nodeInSysfs is where the kernel lists the device of a node, "" if the file is
// none.
func nodeInSysfs(sys, node string) string {
	var s unix.Stat_t
	if unix.Stat(node, &s) != nil {
		return ""
	}
	kind := map[uint32]string{unix.S_IFBLK: "block", unix.S_IFCHR: "char"}[uint32(s.Mode)&unix.S_IFMT]
	if kind == "" {
		return ""
	}
	rdev := uint64(s.Rdev)
	return fmt.Sprintf("%s/dev/%s/%d:%d", sys, kind, unix.Major(rdev), unix.Minor(rdev))
}

// placeOf says where below the kernel's directory of modules a module is kept, ""
// if the tables don't know it, or there are none.
func placeOf(module string) string {
	dir, err := system{root: "/"}.moduleDir()
	if err != nil {
		return ""
	}
	tables, err := match.Open(dir)
	if err != nil {
		return ""
	}
	defer tables.Close()
	m, ok := tables.Module(module)
	if !ok {
		return ""
	}
	place, _ := strings.CutPrefix(filepath.Dir(m.File), filepath.Join(dir, "kernel")+"/")
	return place
}

func printUsage(w io.Writer, a usageAnswer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(a)
	}
	name := a.Module
	if name == "" {
		name = filepath.Base(a.Device)
	}
	line := fmt.Sprintf("%s: %s", name, a.State)
	if f, used := usage.NotIdle(a.Findings); used {
		line += ": " + f.Says
	}
	fmt.Fprintln(w, line)
	if len(a.Findings) == 0 {
		_, err := fmt.Fprintln(w, "nothing is there to be asked: no driver has it, and nothing is below it")
		return err
	}
	rows := make([][]string, len(a.Findings))
	for i, f := range a.Findings {
		rows[i] = []string{f.State.String(), f.Kind, f.Says, f.Device}
	}
	return table(w, "STATE KIND SAYS DEVICE", rows)
}
