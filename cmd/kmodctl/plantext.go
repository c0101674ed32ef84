package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kmodd/kmodd/cmd/kmodctl/devicelist"
	"github.com/kmodd/kmodd/cmd/kmodctl/plan"
	"github.com/kmodd/kmodd/daemon/control"
)

// A planText is a plan on its way to a reader.
type planText struct {
	story
	plan.Plan
	devices map[string]plan.Device
}

// printPlan prints a plan for the devices in a list, or if that is nil for those
// that are here.
func printPlan(w io.Writer, list *devicelist.List, p plan.Plan) error {
	t := &planText{story: story{Writer: bufio.NewWriter(w)}, Plan: p, devices: make(map[string]plan.Device)}
	for _, d := range p.Devices {
		t.devices[d.Path] = d
	}
	t.line("A coldplug of %s, with the modules in %s", whose(list, len(p.Devices)), p.Tables)
	t.modules()
	t.section("What is refused", t.refused())
	t.section("Who is to have a device", t.preferred())
	t.section("Devices that no driver may have", t.denied())
	t.section("What modules-load.d names in vain", t.vain())
	t.line("\n%s", t.summary())
	t.line("Drivers bring devices to light, disks behind a controller for one: what those need")
	t.line("is not in this plan before they are there.")
	return t.Flush()
}

// whose says which devices a plan is for.
func whose(list *devicelist.List, n int) string {
	devices := plural(uint64(n), "device")
	if list == nil {
		return devices + " here and now"
	}
	says := devices + " of a list"
	if list.Kernel != "" {
		says += fmt.Sprintf(" made on Linux %s", list.Kernel)
	}
	if list.Machine != "" {
		says += fmt.Sprintf(" (%s)", list.Machine)
	}
	return says
}

// modules prints the loads in their order.
func (t *planText) modules() {
	if len(t.Modules) == 0 {
		t.line("\nNothing is to be loaded.")
		return
	}
	rows := [][]string{{"", "MODULE", "SIZE", "FOR", "FILE"}}
	number := 0
	for _, m := range t.Modules {
		turn := string(m.State)
		if m.ToLoad() {
			number++
			turn = fmt.Sprint(number)
		}
		rows = append(rows, []string{turn, m.Name, size(m), t.cause(m), cmp.Or(strings.TrimPrefix(m.File, t.Tables+"/"), "-")})
	}
	var width [5]int
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	t.line("")
	for i, row := range rows {
		t.line("%*s  %-*s  %*s  %-*s  %s", width[0], row[0], width[1], row[1], width[2], row[2], width[3], row[3], row[4])
		if i > 0 {
			t.details(width[0]+4, t.Modules[i-1])
		}
	}
}

// details prints what there is to say of few modules only.
func (t *planText) details(indent int, m plan.Module) {
	say := func(format string, args ...any) { t.line("%*s"+format, append([]any{indent, ""}, args...)...) }
	if m.Options != "" {
		say("options %s", m.Options)
	}
	if m.Install != "" {
		say("install command of %s: %s", place(*m.Because), m.Install)
	}
	if m.Stage != "" {
		say("stage %s", m.Stage)
	}
	if m.Missing {
		say("the file is missing: run depmod, or install it")
	}
}

// size is that of a module's file.
func size(m plan.Module) string {
	if m.Size == 0 {
		return "-"
	}
	return bytesOf(m.Size)
}

// bytesOf is a number of bytes in the unit in which it is read at a glance.
func bytesOf(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.0f kB", float64(n)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1000/1000)
}

// cause is what a module is for, in a few words.
func (t *planText) cause(m plan.Module) string {
	switch {
	case len(m.Lines) > 0:
		return place(m.Lines[0])
	case len(m.Devices) > 0:
		return andMore(t.named(m.Devices[0]), len(m.Devices)-1)
	case len(m.Needed) > 0:
		return andMore("needed by "+m.Needed[0], len(m.Needed)-1)
	case len(m.Softdep) > 0:
		return andMore("softdep of "+m.Softdep[0], len(m.Softdep)-1)
	}
	return "-"
}

// place is where a reason is.
func place(r control.Reason) string {
	if r.Line == 0 {
		return r.Source
	}
	return fmt.Sprintf("%s:%d", r.Source, r.Line)
}

func andMore(first string, more int) string {
	if more == 0 {
		return first
	}
	return fmt.Sprintf("%s and %d more", first, more)
}

// named is a device in short: kmodctl why knows it by the last part of its path.
func (t *planText) named(device string) string {
	return strings.TrimSpace(t.devices[device].Subsystem + " " + path.Base(device))
}

// A grouped is something that is said of several devices.
type grouped struct {
	says    []string
	devices []string
}

// group puts devices of which the same is said together, in the order of the
// first of each.
func (t *planText) group(about func(plan.Device) []string) (groups []grouped) {
	for _, d := range t.Devices {
		says := about(d)
		if len(says) == 0 {
			continue
		}
		i := slices.IndexFunc(groups, func(g grouped) bool { return slices.Equal(g.says, says) })
		if i < 0 {
			i = len(groups)
			groups = append(groups, grouped{says: says})
		}
		groups[i].devices = append(groups[i].devices, t.named(d.Path))
	}
	return groups
}

// sections are a line for the devices of each group, and below it what is said
// of them.
func sections(groups []grouped) (lines []string) {
	for _, g := range groups {
		lines = append(lines, andMore(g.devices[0], len(g.devices)-1))
		for _, s := range g.says {
			lines = append(lines, "  "+s)
		}
	}
	return lines
}

// refused tells of what matches and does not go in.
func (t *planText) refused() []string {
	return sections(t.group(func(d plan.Device) []string {
		if d.Result == plan.Denied {
			return nil
		}
		return againstEach(d.Refused)
	}))
}

// againstEach is against, which leaves the name out where there is only one.
func againstEach(refused []control.Refusal) (lines []string) {
	for _, r := range refused {
		name := r.Module
		if r.For != "" {
			name += ", which " + r.For + " asks for"
		}
		if r.Manual {
			name += ", which waits for somebody to ask for it: modprobe " + r.Module
		}
		if name != "" {
			lines = append(lines, name)
		}
		for _, place := range places(r.Because) {
			lines = append(lines, "  "+place)
		}
	}
	return lines
}

// preferred tells which of several drivers is to have a device.
func (t *planText) preferred() []string {
	return sections(t.group(func(d plan.Device) []string {
		return preferred(control.DeviceWhy{Prefer: d.Prefer, BindTimeout: d.BindTimeout})
	}))
}

// denied tells of the devices that the policy denies.
func (t *planText) denied() []string {
	return sections(t.group(func(d plan.Device) []string {
		if d.Result != plan.Denied {
			return nil
		}
		// All that matches is refused by the one rule, which comes last.
		because := d.Refused[0].Because
		return places(because[len(because)-1:])
	}))
}

// vain tells of the lines that nothing comes of.
func (t *planText) vain() (lines []string) {
	for _, w := range t.Wanted {
		if len(w.Modules) > 0 {
			continue
		}
		lines = append(lines, w.Name+" ("+quoted(w.By)+")")
		for _, l := range againstEach(w.Refused) {
			lines = append(lines, "  "+l)
		}
		if len(w.Refused) == 0 {
			lines = append(lines, "  no module of that name or alias is installed")
		}
	}
	return lines
}

// summary is the plan in one line.
func (t *planText) summary() string {
	s := t.Summary
	says := fmt.Sprintf("%s: %s to load, %s on disk", plural(uint64(s.Devices), "device"), plural(uint64(s.ToLoad), "module"), bytesOf(s.Bytes))
	if s.There > 0 {
		says += fmt.Sprintf(" (%d more in already)", s.There)
	}
	return says + fmt.Sprintf("; devices refused %d, denied %d, without a module %d (most need none)", s.Refused, s.Denied, s.NoModule)
}
