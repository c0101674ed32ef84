package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/cmd/kmodctl/devicelist"
	"github.com/kmodd/kmodd/cmd/kmodctl/plan"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/uevent"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modulesload"
)

// A planning is the command plan with its flags.
type planning struct {
	system
	list        string // of devices, "" for those of this machine
	modulesLoad bool
}

func newPlan(o *options) *cobra.Command {
	var p planning
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what a coldplug would load, without doing it",
		Long: `Shows which modules a coldplug would load now for the devices that are there, in
which order, for which device or which other module, with which options; and what
it would refuse, because of which line. Nothing is loaded. No daemon is needed.

The devices are those of this machine, or those of a list that "kmodctl record"
has written there or elsewhere (--devices). The modules, modprobe.d and kmodd.toml
are those of this system or of the one below --root. With a list nothing counts as
loaded, and the kernel command line is the list's.

Modules that are in the kernel are shown as live; what is built in needs no
loading. What modules-load.d names is in the plan where kmodd would load it: on this
machine, unless systemd is its first process, or with --modules-load.

Drivers bring devices to light, disks behind a controller for one. What those
need is not in the plan before they are there, or in the list.`,
		Example: `  kmodctl plan
  kmodctl plan --root /srv/router --devices router.devices
  ssh router kmodctl record | kmodctl plan --root /srv/router --devices - --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.run(cmd, o.json); err != nil {
				return fmt.Errorf("plan: %w", err)
			}
			return nil
		},
	}
	p.flags(cmd)
	cmd.Flags().StringVar(&p.list, "devices", "", "plan for the devices in this `file`, or - for standard input")
	cmd.Flags().BoolVar(&p.modulesLoad, "modules-load", false, "plan what modules-load.d names, too (default: if systemd does not load it here)")
	return cmd
}

func (p *planning) run(cmd *cobra.Command, asJSON bool) error {
	list, err := p.read(cmd)
	if err != nil {
		return err
	}
	if p.root, err = filepath.Abs(p.root); err != nil {
		return fmt.Errorf("root %s: %w", p.root, err)
	}
	set, err := p.open(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	dir, err := p.moduleDir()
	if err != nil {
		return err
	}
	b, err := p.board(cmd, dir, list, set.Variables())
	if err != nil {
		return err
	}
	made := plan.Make(set, b)
	if !asJSON {
		return printPlan(cmd.OutOrStdout(), list, made)
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(made)
}

// board is what is planned for. Modules are in the kernel if it is the running
// one that they are of.
func (p *planning) board(cmd *cobra.Command, dir string, list *devicelist.List, variables []string) (b plan.Board, err error) {
	b.Tables = dir
	if b.Devices, err = p.devices(cmd.ErrOrStderr(), list, variables); err != nil {
		return b, err
	}
	if b.Wanted, err = p.wanted(cmd); err != nil || list != nil {
		return b, err
	}
	release, _, err := here.kernel()
	if err == nil && filepath.Base(dir) == release {
		b.Modules, err = here.modules(cmd.ErrOrStderr())
	}
	return b, err
}

// read reads the list of devices, nil if there is none, and sees to it that its
// command line counts.
func (p *planning) read(cmd *cobra.Command) (*devicelist.List, error) {
	if p.list == "" {
		return nil, nil
	}
	list, err := readList(cmd, p.list)
	if err != nil {
		return nil, err
	}
	p.obey(list)
	return list, nil
}

// readList reads a list of devices from a file, or with "-" from standard input.
func readList(cmd *cobra.Command, name string) (*devicelist.List, error) {
	var text []byte
	var err error
	if name == "-" {
		name = "standard input"
		text, err = io.ReadAll(cmd.InOrStdin())
	} else {
		text, err = readAtMost(name, 64<<20)
	}
	if err != nil {
		return nil, err
	}
	list, mistakes, err := devicelist.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, m := range mistakes {
		fmt.Fprintf(cmd.ErrOrStderr(), "kmodctl: warning: line left out: %s:%v\n", name, m)
	}
	return list, nil
}

// obey has the kernel command line of a list count.
func (s *system) obey(list *devicelist.List) {
	line := strings.Join(list.CommandLine, " ")
	s.cmdline = &line
}

// devices are those of the list, or of this machine, with the variables that
// rules ask for.
func (p *planning) devices(warnings io.Writer, list *devicelist.List, variables []string) ([]rules.Device, error) {
	switch {
	case list != nil:
		return listed(warnings, list, variables), nil
	case len(variables) == 0:
		return here.devices(warnings, nil)
	}
	return here.devices(warnings, func(e *uevent.Event) (env []string) {
		for _, name := range variables {
			if value, ok := e.Variable(name); ok {
				env = append(env, name+"="+string(value))
			}
		}
		return env
	})
}

// listed are the devices of a list with the variables that rules ask for.
func listed(warnings io.Writer, list *devicelist.List, variables []string) []rules.Device {
	devices := slices.Clone(list.Devices)
	seen := make(map[string]bool)
	for i := range devices {
		devices[i].Env = asked(devices[i], variables, seen)
	}
	for _, name := range variables {
		if !seen[name] && !devicelist.Keeps(name) {
			fmt.Fprintf(warnings, "kmodctl: warning: rules look at %s, which no list has: they match no device here\n", name)
		}
	}
	return devices
}

// asked picks the variables of a device in a list that rules ask for, and notes
// their names.
func asked(d rules.Device, variables []string, seen map[string]bool) (env []string) {
	all := append([]string{"MODALIAS=" + d.Modalias}, d.Env...)
	if d.Driver != "" {
		all = append(all, "DRIVER="+d.Driver)
	}
	for _, name := range variables {
		if i := slices.IndexFunc(all, func(v string) bool { return strings.HasPrefix(v, name+"=") }); i >= 0 {
			env = append(env, all[i])
			seen[name] = true
		}
	}
	return env
}

// wanted is what modules-load.d names, where kmodd loads it.
func (p *planning) wanted(cmd *cobra.Command) (wanted []core.Want, err error) {
	ours := p.modulesLoad
	if !cmd.Flags().Changed("modules-load") && p.list == "" && p.running() {
		_, err := os.Stat("/run/systemd/system") // sd_booted(3)
		ours = err != nil
	}
	if !ours {
		return nil, nil
	}
	line, err := p.commandLine()
	if err != nil {
		return nil, err
	}
	return wantedBelow(p.root, line, cmd.ErrOrStderr()), nil
}

// wantedBelow is what modules-load.d below a root names, and modules_load= on a
// kernel command line.
func wantedBelow(root, line string, warnings io.Writer) (wanted []core.Want) {
	config := modulesload.Load(root, line, false)
	for _, w := range config.Warnings {
		fmt.Fprintln(warnings, "kmodctl: warning:", w)
	}
	for _, m := range config.Modules {
		wanted = append(wanted, core.Want{Name: m.Name, By: rules.Reason{Source: m.File, Line: m.Line, Says: m.Text}})
	}
	return wanted
}
