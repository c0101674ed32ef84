package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
)

func newWhy(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "why DEVICE|MODULE|MODALIAS",
		Short: "Tell what was decided about a device or a module, and why",
		Long: `Tells the story of a device, a module or a modalias from what the daemon wrote
down when it decided: what matched, by which line of which file, what was refused,
because of what and for whose sake, what would have counted if something else did
not come before it, what was loaded in which order, when and with which options,
what the kernel said, and what to do next.

A device is named by its path, with or without /sys, by the path's last part, or by
its node in /dev.
A modalias that no device has is answered with what would be done about it.`,
		Example: `  kmodctl why 0000:00:1f.6
  kmodctl why /sys/devices/pci0000:00/0000:00:1f.6
  kmodctl why e1000e
  kmodctl why /dev/video0
  kmodctl why 'usb:v0781p5581d0100dc00dsc00dp00ic08isc06ip50in00'`,
		Args: oneArgument("DEVICE, MODULE or MODALIAS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			subject := args[0]
			if strings.HasPrefix(subject, "/dev/") {
				// Of one whose driver sleeps only kmodd knows whose it is.
				if device, ok := findDevice(cmp.Or(inspected.Sys, "/sys"), subject); ok {
					subject = device
				}
			}
			return ask(cmd, o, control.MethodWhy, control.WhyRequest{Subject: subject}, func(w io.Writer, s control.Story) error {
				addKernelLog(&s)
				return printStory(w, s)
			})
		},
	}
}

// A story is a control.Story on its way to a reader.
type story struct {
	*bufio.Writer
	devices []control.DeviceWhy // that it tells of, as it does of the modules
	known   []control.ModuleWhy
	next    []string // advice, each once
}

func printStory(w io.Writer, s control.Story) error {
	t := &story{Writer: bufio.NewWriter(w), devices: s.Devices, known: s.Modules}
	for i, d := range s.Devices {
		if i > 0 {
			t.line("")
		}
		t.device(d)
	}
	if len(s.Devices) == 0 {
		t.line("No device is known that leads to %s.", s.Subject)
	}
	t.modules(s.Modules)
	t.section("Next", t.next)
	return t.Flush()
}

func (t *story) line(format string, args ...any) {
	fmt.Fprintf(t, format+"\n", args...)
}

// section prints lines below a heading, and nothing if there are none.
func (t *story) section(heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	t.line("\n%s", heading)
	for _, l := range lines {
		t.line("  %s", l)
	}
}

func (t *story) advise(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(t.next, s) {
		t.next = append(t.next, s)
	}
}

func (t *story) device(d control.DeviceWhy) {
	if d.Path == "" {
		t.line("No device here names itself %s.", d.Modalias)
		t.line("One that did would get: %s.", cmp.Or(strings.Join(d.Modules, ", "), "nothing"))
	} else {
		t.line("%s", d.Path)
		t.line("  %s device %s", d.Subsystem, d.Modalias)
		t.line("  %s", t.outcome(d))
	}
	if d.Denied {
		t.line("  The policy denies it: no driver may have it.")
	}
	if d.Assignment != "" {
		t.line("  What came of the policy: %s.", d.Assignment)
	}
	t.section("What the kernel said of it", d.Log)
	t.section("Firmware that is not installed", d.Firmware)
	if len(d.Firmware) > 0 {
		t.advise("install the firmware: kmodd notices, and has the driver try again")
	}
	t.section("What matched", places(d.Reasons))
	t.section("Who is to have it", preferred(d))
	t.refusals(d.Refused, d.Lost)
}

// refusals tells what was refused, and what else did not count.
func (t *story) refusals(refused []control.Refusal, lost []control.Reason) {
	t.section("What was refused", against(refused))
	t.section("What would have counted, but for something else", places(lost))
	for _, r := range refused {
		if r.Manual {
			t.advise("modprobe %s loads what waits for somebody to ask for it (as root)", r.Module)
		} else {
			t.advise("to allow what was refused, take away what stands against it there; kmodd notices")
		}
	}
}

// preferred says who is to take a device, one after the other.
func preferred(d control.DeviceWhy) []string {
	switch len(d.Prefer) {
	case 0:
		return nil
	case 1:
		return []string{d.Prefer[0]}
	}
	return []string{fmt.Sprintf("%s: the next one if it has not taken the device after %v", strings.Join(d.Prefer, ", then "), d.BindTimeout)}
}

// outcome says how a device stands, and leaves advice where it stands badly.
func (t *story) outcome(d control.DeviceWhy) string {
	switch d.Result {
	case control.Bound:
		return "Driver " + d.Driver + " has it."
	case control.Asleep:
		return "Its driver has left memory while nobody uses it."
	case control.Loading:
		t.advise("kmodctl monitor shows when the rest is in")
		return "Not everything that it needs is in yet."
	case control.HeldBack:
		t.advise("kmodctl release MODULE does not wait longer (as root)")
		return "Its module is deferred: it waits for " + d.WaitsFor + "."
	case control.Deferred:
		t.advise("/sys/kernel/debug/devices_deferred says which supplier is missing (as root)")
		return "Its driver is in, and waits for another device that this one needs."
	case control.Failed:
		t.advise("when the cause has gone, kmodctl reload tries again (as root)")
		return "It has no driver, for a module that it needs could not be loaded."
	case control.Refused:
		return "It has no driver, for what matches was refused."
	}
	if len(d.Modules) > 0 {
		return t.unbound(d)
	}
	t.advise("many devices need no driver; if this one does, its module is not installed, or depmod has not run since")
	return "It has no driver, for no installed module matches it."
}

// unbound says what became of the modules that match a device which no driver
// has.
func (t *story) unbound(d control.DeviceWhy) string {
	switch {
	case t.anyIs(control.Live, d.Modules):
		if len(d.Log) == 0 {
			t.advise("dmesg | grep %s may say why the driver did not take the device (as root)", path.Base(d.Path))
		}
		return "It has no driver: what matches is in, and did not take it."
	case t.anyIs(control.Stood, d.Modules):
		t.advise("modprobe.d has an install command for %s: whether it was to load it, its author knows", d.Modules[0])
		return "It has no driver: the install command of what matches ran, and did not load it."
	case t.anyIs(control.Declined, d.Modules):
		return "It has no driver: what matches found no hardware of its kind."
	}
	t.advise("modprobe %s brings it back (as root)", d.Modules[0])
	return "It has no driver, for what matches is not in the kernel any more: somebody took it out."
}

// anyIs tells whether any module of these names is in a state.
func (t *story) anyIs(state control.State, names []string) bool {
	return slices.ContainsFunc(t.known, func(m control.ModuleWhy) bool {
		return m.State == state && slices.Contains(names, m.Name)
	})
}

// places lists reasons as FILE:LINE: WORDS.
func places(reasons []control.Reason) []string {
	lines := make([]string, len(reasons))
	for i, r := range reasons {
		lines[i] = quoted(r)
	}
	return lines
}

// against tells of what was refused. A module that was wanted for another
// one's sake is named, and each of several.
func against(refused []control.Refusal) (lines []string) {
	for _, r := range refused {
		indent := ""
		switch {
		case r.For != "":
			lines = append(lines, r.Module+", which "+r.For+" asks for")
			indent = "  "
		case len(refused) > 1 && r.Module != "":
			lines = append(lines, r.Module)
			indent = "  "
		}
		for _, place := range places(r.Because) {
			lines = append(lines, indent+place)
		}
	}
	return lines
}

// modules tells of the modules in the order in which they went in. What went
// wrong, and what was written down about a module, is below its line.
func (t *story) modules(modules []control.ModuleWhy) {
	modules = slices.Clone(modules)
	slices.SortStableFunc(modules, func(a, b control.ModuleWhy) int {
		return cmp.Compare(turn(a.Module), turn(b.Module))
	})
	width := 0
	for _, m := range modules {
		width = max(width, len(m.Name))
	}
	var lines []string
	for _, m := range modules {
		lines = append(lines, fmt.Sprintf("%s %-*s  %s", bracketed(when(m.Module)), width, m.Name, fate(m)))
		below := places(m.Reasons)
		if m.Sleep != "" {
			below = append(below, m.Sleep)
		}
		if m.Unused != "" {
			below = append(below, m.Unused)
		}
		if m.Class != nil && t.matches(m.Name) {
			below = append(below, "of class "+m.Class.Name+": "+m.Class.Because)
		}
		if m.Probes != "" && t.matches(m.Name) {
			below = append(below, "its drivers probe "+m.Probes)
		}
		if m.Error != "" {
			below = append(below, m.Error)
		}
		if len(m.Firmware) > 0 {
			below = append(below, "names firmware that is not installed: "+strings.Join(m.Firmware, ", "))
		}
		for _, line := range m.Log {
			below = append(below, control.KernelLog+": "+line)
		}
		for _, b := range below {
			lines = append(lines, fmt.Sprintf("%14s %*s  %s", "", width, "", b))
		}
		if m.State == control.InLoad {
			t.advise("nothing can end a load; where one sleeps is in /proc/PID/task/*/stack of its kmodd-worker (as root)")
		}
	}
	t.section("Modules, in the order of their loads", lines)
	for _, m := range modules {
		t.refusals(m.Refused, m.Lost)
	}
}

// matches tells whether a module is more than what others need: a device asks
// for it, or nobody does.
func (t *story) matches(module string) bool {
	return len(t.devices) == 0 || slices.ContainsFunc(t.devices, func(d control.DeviceWhy) bool { return slices.Contains(d.Modules, module) })
}

// turn is a module's place in the order: the moment when it was live, or when
// its load began. What has neither comes last.
func turn(m control.Module) time.Duration {
	return cmp.Or(when(m), math.MaxInt64)
}

func when(m control.Module) time.Duration {
	if m.State == control.Live {
		return cmp.Or(m.Live, m.Began)
	}
	return m.Began
}

// fate is what became of a module, in one line.
func fate(m control.ModuleWhy) string {
	parts := []string{became(m.Module)}
	if m.For != "" {
		parts = append(parts, "for "+m.For)
	}
	if m.Pinned {
		parts = append(parts, "pinned, for it was loaded in the initramfs")
	}
	if m.Pin {
		parts = append(parts, "pinned by somebody")
	}
	if len(m.Needs) > 0 {
		parts = append(parts, "needs "+strings.Join(m.Needs, ", "))
	}
	if m.Options != "" {
		parts = append(parts, "with "+m.Options)
	}
	switch {
	case m.Stage != "":
		parts = append(parts, "stage "+m.Stage)
	case m.Critical:
		parts = append(parts, "critical")
	}
	return strings.Join(parts, "; ")
}

func became(m control.Module) string {
	switch {
	case m.State == control.Broken:
		return "failed"
	case m.State == control.Declined:
		return "found no hardware of its kind"
	case m.State == control.Stood:
		return "is not in the kernel, though its install command ran and ended well"
	case m.State == control.Forbidden:
		return "is refused by its install command"
	case m.State == control.Builtin:
		return "is built into the kernel"
	case m.State == control.Waiting:
		return "waits for what it needs, or for its turn"
	case m.State == control.InLoad:
		return "is being loaded"
	case m.State == control.Coming:
		return "is coming: its init still runs, and somebody else loads it"
	case m.State == control.Going:
		return "is going: it is being taken out"
	case m.State == control.Absent:
		return "is not in the kernel"
	case !m.Ours:
		return "live, loaded by somebody else or before kmodd started"
	}
	return "live after " + cmp.Or(took(m), "a moment")
}
