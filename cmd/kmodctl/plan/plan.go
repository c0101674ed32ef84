// Package plan foretells a coldplug: what the daemon would load for the devices
// that are there, in which order and for what.
//
// Nothing of it is worked out anew. The decisions are those of package rules, and
// the order is that of the daemon's own machine (package core), which is told of
// the devices, by one scan, and of a kernel that has no module yet and takes each
// at once. With one load at a time it asks for the modules in the order in which
// they are wanted; the real daemon has several under way, and begins them in that
// order as far as one does not wait for another.
package plan

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/control/decided"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
)

// A Board is what a plan is made for.
type Board struct {
	Tables  string         // the directory of the modules, for who reads the plan
	Devices []rules.Device // one for each path; Env as [rules.Set.Variables] asks for
	// Wanted are to be put in whatever devices there are.
	Wanted []core.Want
	// Modules are those that are in the kernel, with their states. Others are
	// absent.
	Modules map[string]control.State
}

// A Plan is what a coldplug does. Its JSON is what kmodctl plan --json prints;
// docs/plan.md explains it.
type Plan struct {
	Tables  string   `json:"tables"`  // the directory of the modules
	Modules []Module `json:"modules"` // in the order of their loads
	Devices []Device `json:"devices"` // by path
	Wanted  []Want   `json:"wanted,omitempty"`
	Summary Summary  `json:"summary"`
}

// A Module is one that goes in, or is in already.
type Module struct {
	Name    string          `json:"module"`
	State   control.State   `json:"state"`           // now: absent, coming, live or going
	File    string          `json:"file,omitempty"`  // empty if there is only an install command
	Size    int64           `json:"bytes,omitempty"` // of the file, 0 if it is not known
	Missing bool            `json:"missing,omitempty"`
	Options string          `json:"options,omitempty"`
	Install string          `json:"install,omitempty"`    // the command that is run instead
	Because *control.Reason `json:"install_by,omitempty"` // where that command is
	Stage   policy.Stage    `json:"stage,omitempty"`
	Soft    bool            `json:"soft,omitempty"` // a softdep alone asks for it: its failure is nobody else's
	// What it is for: devices that it matches, modules that need it or name it
	// in a softdep, and lines that ask for it by its name.
	Devices []string         `json:"devices,omitempty"`
	Needed  []string         `json:"needed_by,omitempty"`
	Softdep []string         `json:"softdep_of,omitempty"`
	Lines   []control.Reason `json:"wanted_by,omitempty"`
}

// A Result says what a device gets.
type Result string

// The results.
const (
	Served   Result = "modules"   // at least one module that goes in, or is in
	Builtin  Result = "built in"  // what matches is part of the kernel
	Refused  Result = "refused"   // all that matches is refused
	Denied   Result = "denied"    // no driver may have it
	NoModule Result = "no module" // nothing matches: most such devices need nothing
)

// A Device is one with what was decided about it.
type Device struct {
	Path        string            `json:"path"`
	Subsystem   string            `json:"subsystem"`
	Modalias    string            `json:"modalias"`
	Driver      string            `json:"driver,omitempty"` // that has it, or had it when it was recorded
	Result      Result            `json:"result"`
	Modules     []string          `json:"modules,omitempty"` // that match, in priority order
	Refused     []control.Refusal `json:"refused,omitempty"`
	Prefer      []string          `json:"prefer,omitempty"`
	BindTimeout time.Duration     `json:"bind_timeout_ns,omitempty"`
}

// A Want is a line of modules-load.d, with what was decided about its name.
type Want struct {
	Name    string            `json:"name"`
	By      control.Reason    `json:"by"`
	Modules []string          `json:"modules,omitempty"`
	Refused []control.Refusal `json:"refused,omitempty"`
}

// A Summary counts.
type Summary struct {
	Devices  int   `json:"devices"`
	ToLoad   int   `json:"to_load"`
	Bytes    int64 `json:"bytes"` // of the files of those to load, as far as they are known
	There    int   `json:"there"` // modules of the plan that are in already, or on their way
	Refused  int   `json:"refused"`
	Denied   int   `json:"denied"`
	NoModule int   `json:"no_module"`
}

// Make makes the plan of a board.
func Make(set *rules.Set, b Board) Plan {
	devices := slices.Clone(b.Devices)
	slices.SortFunc(devices, func(a, b rules.Device) int { return strings.Compare(a.Path, b.Path) })
	m := &maker{board: b, at: make(map[string]int)}
	m.plan = Plan{Tables: b.Tables, Modules: []Module{}, Devices: []Device{}}
	for _, step := range order(set, devices, b) {
		m.add(step)
	}
	for _, w := range b.Wanted {
		m.want(w, set.Want(w.Name))
	}
	decisions := make(map[string]rules.Decision)
	for _, d := range devices {
		key := set.Key(d)
		decision, known := decisions[key]
		if !known {
			decision = set.Decide(d)
			decisions[key] = decision
			m.relate(decision)
		}
		m.device(d, decision)
	}
	m.sum()
	return m.plan
}

// order has the daemon's machine do the coldplug, and returns what it loads.
// Install commands are taken to put their modules in, but for those that only
// forbid them.
func order(set *rules.Set, devices []rules.Device, b Board) (steps []rules.Step) {
	const scan = 1 // the first one, which new rules ask for
	m := core.New(core.Limits{Slots: 1, Patience: time.Hour})
	m.Details(false)
	out := m.Step(0, core.NewRules{Set: set, Wanted: b.Wanted}, nil)
	for _, d := range devices {
		out = m.Step(0, core.Seen{Device: d, Scan: scan}, out)
	}
	out = m.Step(0, core.Scanned{Scan: scan}, out)
	for ; len(out) > 0; out = out[1:] {
		switch e := out[0].(type) {
		case core.Load:
			done := core.Done{Op: e.Op, Module: e.Step.Module}
			if rules.Forbids(e.Step.Install) && b.Modules[done.Module] != control.Live {
				done.Errno, done.State = syscall.EPERM, control.Absent
			} else {
				steps = append(steps, e.Step)
			}
			out = m.Step(0, done, out)
		case core.Assign: // the first of the preferred drivers takes its device
			out = m.Step(0, core.Assigned{Op: e.Op, Module: e.Module}, out)
		}
	}
	return steps
}

// A maker is a plan in the making.
type maker struct {
	board Board
	plan  Plan
	at    map[string]int // of modules in the plan
}

// add takes in the next load.
func (m *maker) add(s rules.Step) {
	mod := Module{
		Name: s.Module, State: control.Absent, File: s.File,
		Options: s.Options, Install: s.Install, Stage: s.Stage, Soft: s.Soft,
	}
	if state, ok := m.board.Modules[s.Module]; ok {
		mod.State = state
	}
	if s.InstallBy != nil {
		by := control.Reason(*s.InstallBy)
		mod.Because = &by
	}
	if s.File != "" {
		info, err := os.Stat(s.File)
		mod.Missing = err != nil
		if err == nil {
			mod.Size = info.Size()
		}
	}
	m.at[s.Module] = len(m.plan.Modules)
	m.plan.Modules = append(m.plan.Modules, mod)
}

// relate notes which modules of a decision are there for others of it. It is told
// of each decision once, in the order of the loads.
func (m *maker) relate(d rules.Decision) {
	Relate(d, func(module, by string) {
		m.note(module, func(mod *Module) { mod.Needed = once(mod.Needed, by) })
	}, func(module, by string) {
		m.note(module, func(mod *Module) { mod.Softdep = once(mod.Softdep, by) })
	})
}

// Relate calls needed for each module of a decision that another one of it needs,
// and softdep for each that another one names in a softdep.
func Relate(d rules.Decision, needed, softdep func(module, by string)) {
	soft := make(map[string]bool)
	for _, s := range d.Steps {
		soft[s.Module] = s.Soft
		for _, need := range s.Needs {
			needed(need, s.Module)
		}
	}
	for _, s := range d.Steps {
		for _, first := range s.After {
			switch { // a pre-softdep, or a post-softdep
			case soft[first]:
				softdep(first, s.Module)
			case s.Soft:
				softdep(s.Module, first)
			}
		}
	}
}

// note changes what is known of a module. One that is built in has no place in
// the plan.
func (m *maker) note(name string, change func(*Module)) {
	if i, ok := m.at[name]; ok {
		change(&m.plan.Modules[i])
	}
}

func once(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// want takes in what was decided about a line.
func (m *maker) want(w core.Want, d rules.Decision) {
	by := control.Reason(w.By)
	m.relate(d)
	for _, name := range d.Modules {
		m.note(name, func(mod *Module) { mod.Lines = append(mod.Lines, by) })
	}
	m.plan.Wanted = append(m.plan.Wanted, Want{w.Name, by, d.Modules, m.refusals(d)})
}

// device takes in what was decided about a device.
func (m *maker) device(d rules.Device, decision rules.Decision) {
	for _, name := range decision.Modules {
		m.note(name, func(mod *Module) { mod.Devices = append(mod.Devices, d.Path) })
	}
	dev := Device{
		Path: d.Path, Subsystem: d.Subsystem, Modalias: d.Modalias, Driver: d.Driver,
		Result: m.result(decision), Modules: decision.Modules, Refused: m.refusals(decision),
		Prefer: decision.Preferred(), BindTimeout: decision.BindTimeout,
	}
	m.plan.Devices = append(m.plan.Devices, dev)
}

func (m *maker) result(d rules.Decision) Result {
	stepped := func(name string) bool {
		return slices.ContainsFunc(d.Steps, func(s rules.Step) bool { return s.Module == name })
	}
	switch {
	case d.Denied:
		return Denied
	case slices.ContainsFunc(d.Modules, m.planned):
		return Served
	case !slices.ContainsFunc(d.Modules, stepped) && len(d.Modules) > 0:
		return Builtin
	case len(d.Modules)+len(d.Refused) > 0:
		return Refused
	}
	return NoModule
}

func (m *maker) planned(name string) bool {
	_, ok := m.at[name]
	return ok
}

// refusals are those of a decision, and those that are carried out by commands:
// of what an install command forbids, and of what needs that. nil if there are
// none.
func (m *maker) refusals(d rules.Decision) (list []control.Refusal) {
	if len(d.Refused) > 0 {
		list = decided.Refusals(d.Refused)
	}
	forbidden := make(map[string]rules.Reason)
	for _, s := range d.Steps {
		if rules.Forbids(s.Install) && s.InstallBy != nil && !m.planned(s.Module) {
			forbidden[s.Module] = *s.InstallBy
			list = append(list, control.Refusal{Module: s.Module, Because: decided.Reasons([]rules.Reason{*s.InstallBy})})
			continue
		}
		for _, need := range s.Needs {
			if by, ok := forbidden[need]; ok {
				says := rules.Reason{Source: by.Source, Line: by.Line, Says: "it needs " + need + ": " + by.Says}
				list = append(list, control.Refusal{Module: s.Module, Because: decided.Reasons([]rules.Reason{says})})
				break
			}
		}
	}
	return list
}

// sum counts what is in the plan.
func (m *maker) sum() {
	s := &m.plan.Summary
	s.Devices = len(m.plan.Devices)
	for _, mod := range m.plan.Modules {
		if mod.ToLoad() {
			s.ToLoad++
			s.Bytes += mod.Size
		} else {
			s.There++
		}
	}
	for _, d := range m.plan.Devices {
		switch d.Result {
		case Refused:
			s.Refused++
		case Denied:
			s.Denied++
		case NoModule:
			s.NoModule++
		}
	}
}

// ToLoad tells whether a module has to go in. One on its way in needs nothing,
// one on its way out has to come back.
func (m *Module) ToLoad() bool { return m.State != control.Live && m.State != control.Coming }
