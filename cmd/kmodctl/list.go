package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
)

func newDevices(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "devices",
		Short: "List the devices that name themselves to drivers",
		Long: `Lists the devices that have a MODALIAS, and what has become of each:

  bound      a driver has it
  asleep     its driver has left memory, and comes back when somebody opens it
  held back  its module is deferred, and what it waits for has not happened
  deferred   its driver waits for another device
  loading    a module that it needs is on its way in
  failed     a module that it needs could not be loaded
  refused    the configuration forbids its modules
  no module  no installed module matches; most of these need none
  unbound    modules match, none failed, and no driver has it: input devices,
             for example, never have one

Of many modules only the first are named; --json and kmodctl why name them all.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, o, control.MethodDevices, nil, printDevices)
		},
	}
}

func printDevices(w io.Writer, l control.DeviceList) error {
	rows := make([][]string, len(l.Devices))
	for i, d := range l.Devices {
		rows[i] = []string{string(d.Result), d.Driver, few(d.Modules), d.Subsystem, d.Path}
	}
	return table(w, "RESULT DRIVER MODULES SUBSYSTEM DEVICE", rows)
}

// few names the first modules of a list. A processor has a dozen, which would
// push all else off the screen.
func few(modules []string) string {
	const most = 3
	if len(modules) <= most {
		return strings.Join(modules, ",")
	}
	return fmt.Sprintf("%s,+%d", strings.Join(modules[:most-1], ","), len(modules)-(most-1))
}

func newModules(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "modules",
		Short: "List modules, when they were loaded and for what",
		Long: `Lists the modules that are in the kernel, that are on their way, and that
failed. LIVE is when a module was ready, in seconds since the kernel's start;
TOOK is how long its load took. FOR is the device, or the module, that it was
first wanted for, and a dash if somebody else loaded it. "pinned" is what
stays: it was loaded in the initramfs, or somebody has said so.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, o, control.MethodModules, nil, printModules)
		},
	}
}

func printModules(w io.Writer, l control.ModuleList) error {
	rows := make([][]string, len(l.Modules))
	for i, m := range l.Modules {
		rows[i] = []string{m.Name, string(m.State), moment(m.Live), took(m), firstFor(m)}
	}
	return table(w, "MODULE STATE LIVE TOOK FOR", rows)
}

// took is how long the daemon's load of a module took, empty if it made none.
func took(m control.Module) string {
	if m.Began == 0 || m.Live < m.Began {
		return ""
	}
	return span((m.Live - m.Began).Round(time.Microsecond))
}

// firstFor is what a module was wanted for, and its error: the last column is
// the one that may be long.
func firstFor(m control.Module) string {
	switch {
	case m.Error != "":
		return m.For + ": " + m.Error
	case m.Pinned || m.Pin:
		return strings.TrimPrefix(m.For+", pinned", ", ")
	}
	return m.For
}
