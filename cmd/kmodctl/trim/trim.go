package trim

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/kmodd/kmodd/cmd/kmodctl/plan"
	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/control/decided"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/match/kofile/unpack"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/dropin"
)

// A Board is a machine that the image is for.
type Board struct {
	Name    string     // of its list
	Rules   *rules.Set // with its kernel command line
	Devices []rules.Device
	Loaded  []string    // modules that were in its kernel
	Wanted  []core.Want // what is put in whatever devices there are
}

// A Trim is what an image needs. Its JSON is what kmodctl trim --json prints;
// docs/trim.md explains it. Lists are sorted by name.
type Trim struct {
	Tables   string     `json:"tables"` // the directory of the modules
	Modules  []*Module  `json:"modules"`
	Firmware []Firmware `json:"firmware"`
	// Missing are the names of firmware of which nothing is installed.
	Missing []Missing `json:"firmware_missing,omitempty"`
	// Refused are modules that something asks for, and that are left out.
	Refused []Refused `json:"refused,omitempty"`
	// Unknown are modules that were in a board's kernel, and are not installed.
	Unknown []Unknown `json:"not_installed,omitempty"`
	Summary Summary   `json:"summary"`

	root    string // of the system that this is about
	tables  *match.Tables
	release string
	builtin map[string]bool // parts of the kernel that devices lead to
}

// A Module is one that is kept, and what for.
type Module struct {
	Name    string           `json:"module"`
	File    string           `json:"file"`
	Size    int64            `json:"bytes"`
	Devices []Place          `json:"devices,omitempty"` // that it matches
	Needed  []string         `json:"needed_by,omitempty"`
	Softdep []string         `json:"softdep_of,omitempty"`
	Weakdep []string         `json:"weakdep_of,omitempty"`
	Lines   []control.Reason `json:"wanted_by,omitempty"` // of modules-load.d
	Added   bool             `json:"added,omitempty"`     // the caller has named it
	Loaded  []string         `json:"loaded_on,omitempty"` // boards
}

// A Place is a device of a board.
type Place struct {
	Board     string `json:"board"`
	Path      string `json:"path"`
	Subsystem string `json:"subsystem"`
}

// A Refused is a module that does not go in on a board.
type Refused struct {
	Board string `json:"board"`
	control.Refusal
}

// An Unknown is a module that is not installed.
type Unknown struct {
	Module string   `json:"module"`
	Boards []string `json:"boards"`
}

// A Summary counts, in bytes of files.
type Summary struct {
	Boards    int `json:"boards"`
	Devices   int `json:"devices"`
	Modules   int `json:"modules"`
	Installed int `json:"installed"`
	Firmware  int `json:"firmware"`

	ModuleBytes            int64 `json:"module_bytes"`
	InstalledBytes         int64 `json:"installed_bytes"`
	FirmwareBytes          int64 `json:"firmware_bytes"`
	InstalledFirmwareBytes int64 `json:"installed_firmware_bytes"`
	Saved                  int64 `json:"saved_bytes"`
}

// Make finds out what boards need of the modules in tables, which are in a system below
// root, and further modules by their names or aliases. Links are followed as they are where
// that system runs. What can't be read of a module is one of the warnings. An error is about
// a further module.
func Make(root string, tables *match.Tables, boards []Board, further []string) (t *Trim, warnings []string, err error) {
	m := &maker{
		Trim: &Trim{
			Tables: tables.Dir(), Modules: []*Module{}, Firmware: []Firmware{},
			root: cmp.Or(root, "/"), tables: tables, release: filepath.Base(tables.Dir()), builtin: make(map[string]bool),
		},
		kept: make(map[string]*Module), unknown: make(map[string][]string), awaited: make(map[string]bool),
	}
	for _, b := range boards {
		m.board(b)
	}
	for _, name := range further {
		if err := m.further(boards[0], name); err != nil {
			return nil, nil, err
		}
	}
	m.inspect()
	m.finish(boards)
	return m.Trim, m.warnings, nil
}

// A maker is a Trim in the making.
type maker struct {
	*Trim
	kept     map[string]*Module
	queue    []queued // kept modules whose files nobody has looked into
	unknown  map[string][]string
	awaited  map[string]bool // what waits to be asked for, and was
	asks     []asks          // for firmware
	warnings []string
}

// A queued is a module with the board that it was kept for first.
type queued struct {
	*Module
	board Board
}

func (m *maker) board(b Board) {
	decisions := make(map[string]rules.Decision)
	for _, d := range b.Devices {
		key := b.Rules.Key(d)
		decision, known := decisions[key]
		if !known {
			decision = b.Rules.Decide(d)
			decisions[key] = decision
			m.take(b, decision)
		}
		m.lead(decision, func(mod *Module) {
			mod.Devices = append(mod.Devices, Place{b.Name, d.Path, d.Subsystem})
		})
	}
	for _, w := range b.Wanted {
		decision := b.Rules.Want(w.Name)
		m.take(b, decision)
		m.lead(decision, func(mod *Module) { mod.Lines = appendNew(mod.Lines, control.Reason(w.By)) })
	}
	for _, name := range b.Loaded {
		found := m.ask(b, name, func(mod *Module) { mod.Loaded = appendNew(mod.Loaded, b.Name) })
		if !found {
			m.unknown[name] = append(m.unknown[name], b.Name)
		}
	}
}

func (m *maker) further(b Board, name string) error {
	if !m.ask(b, name, func(mod *Module) { mod.Added = true }) {
		return fmt.Errorf("no module is called %s, and no alias of one matches it; install it, or correct --add", name)
	}
	return nil
}

// lead notes something of the modules that a look-up has led to, and of those
// that wait for somebody to ask for them.
func (m *maker) lead(d rules.Decision, note func(*Module)) {
	for _, name := range d.Modules {
		if mod := m.kept[name]; mod != nil {
			note(mod)
		} else if _, is := m.tables.Builtin(name); is {
			m.builtin[name] = true
		}
	}
	for _, r := range d.Refused {
		if r.Manual {
			m.note(r.Module, note)
		}
	}
}

// ask keeps what somebody gets who asks for a name, also where an install command
// forbids it, and tells whether there is anything of that name.
func (m *maker) ask(b Board, name string, note func(*Module)) bool {
	answers := b.Rules.Ask(name, rules.Ask{})
	for _, a := range answers {
		m.take(b, a.Decision)
		m.bare(b, a.Module)
		if mod := m.kept[a.Module]; mod != nil {
			note(mod)
		}
	}
	return len(answers) > 0
}

// take keeps what a decision loads, and notes what it refuses.
func (m *maker) take(b Board, d rules.Decision) {
	out := make(map[string]bool) // what an install command forbids, and what needs it
	for _, s := range d.Steps {
		lacks := slices.IndexFunc(s.Needs, func(need string) bool { return out[need] })
		switch {
		case rules.Forbids(s.Install):
			out[s.Module] = true
			m.refuse(b, rules.Refusal{Module: s.Module, Because: []rules.Reason{*s.InstallBy}})
		case lacks >= 0:
			out[s.Module] = true
			because := rules.Reason{Source: m.Tables, Says: "it needs " + s.Needs[lacks] + ", which is left out"}
			m.refuse(b, rules.Refusal{Module: s.Module, Because: []rules.Reason{because}})
		case s.Install != "":
			m.bare(b, s.Module)
		default:
			m.keep(b, s)
		}
	}
	for _, r := range d.Refused {
		if r.Manual && m.kept[r.Module] == nil && !m.awaited[r.Module] {
			m.awaited[r.Module] = true // whatever a decision about its name says
			m.ask(b, r.Module, func(*Module) {})
		} else {
			m.refuse(b, r)
		}
	}
	plan.Relate(d, func(module, by string) {
		m.note(module, func(mod *Module) { mod.Needed = appendNew(mod.Needed, by) })
	}, func(module, by string) {
		m.note(module, func(mod *Module) { mod.Softdep = appendNew(mod.Softdep, by) })
	})
}

// bare keeps a module and what it needs, as the command gets them that stands for
// it.
func (m *maker) bare(b Board, name string) {
	for _, a := range b.Rules.Ask(name, rules.Ask{Bare: true}) {
		for _, s := range a.Steps {
			m.keep(b, s)
			for _, need := range s.Needs {
				m.note(need, func(mod *Module) { mod.Needed = appendNew(mod.Needed, s.Module) })
			}
		}
	}
}

func (m *maker) note(name string, change func(*Module)) {
	if mod := m.kept[name]; mod != nil {
		change(mod)
	}
}

func (m *maker) keep(b Board, s rules.Step) {
	if s.File == "" || m.kept[s.Module] != nil {
		return
	}
	mod := &Module{Name: s.Module, File: s.File}
	m.kept[s.Module] = mod
	m.queue = append(m.queue, queued{mod, b})
}

// refuse notes a refusal, of a module on a board the first one.
func (m *maker) refuse(b Board, r rules.Refusal) {
	for _, known := range m.Refused {
		if known.Board == b.Name && known.Module == r.Module {
			return
		}
	}
	m.Refused = append(m.Refused, Refused{b.Name, decided.Refusals([]rules.Refusal{r})[0]})
}

// inspect looks into the files of all that is kept, which may lead to more.
func (m *maker) inspect() {
	for len(m.queue) > 0 {
		mod := m.queue[0]
		m.queue = m.queue[1:]
		if err := m.look(mod); err != nil {
			m.warnings = append(m.warnings, fmt.Sprintf("%s: %v; reinstall the file, or run depmod if it has moved", mod.File, err))
		}
	}
}

func (m *maker) look(mod queued) error {
	file, info, err := m.stat(mod.File)
	if err != nil {
		return dropin.Bare(err)
	}
	mod.Size = info.Size()
	image, err := unpack.OpenModule(file)
	if err != nil {
		return dropin.Bare(err)
	}
	defer image.Close()
	m.names(mod.Name, image.Fields("firmware"))
	for field := range image.Fields("weakdep") {
		for _, name := range strings.Fields(field) {
			m.ask(mod.board, name, func(of *Module) { of.Weakdep = appendNew(of.Weakdep, mod.Name) })
		}
	}
	return nil
}

func (m *maker) finish(boards []Board) {
	m.ofBuiltin()
	m.find()
	m.Modules = slices.AppendSeq(m.Modules, maps.Values(m.kept))
	slices.SortFunc(m.Modules, func(a, b *Module) int { return strings.Compare(a.Name, b.Name) })
	m.Refused = slices.DeleteFunc(m.Refused, func(r Refused) bool { return m.kept[r.Module] != nil })
	slices.SortStableFunc(m.Refused, func(a, b Refused) int {
		return cmp.Or(strings.Compare(a.Module, b.Module), strings.Compare(a.Board, b.Board))
	})
	for name, on := range m.unknown {
		m.Unknown = append(m.Unknown, Unknown{name, on})
	}
	slices.SortFunc(m.Unknown, func(a, b Unknown) int { return strings.Compare(a.Module, b.Module) })
	m.sum(boards)
}

func (m *maker) sum(boards []Board) {
	s := &m.Summary
	s.Boards, s.Modules, s.Firmware = len(boards), len(m.Modules), len(m.Firmware)
	for _, b := range boards {
		s.Devices += len(b.Devices)
	}
	for _, mod := range m.Modules {
		s.ModuleBytes += mod.Size
	}
	for _, mod := range m.tables.Installed() {
		s.Installed++
		if _, info, err := m.stat(mod.File); err == nil {
			s.InstalledBytes += info.Size()
		}
	}
	inside, outside := m.firmwareBytes()
	s.FirmwareBytes = inside + outside
	s.InstalledFirmwareBytes = m.below(filepath.Join(m.lib(), "firmware")) + outside
	s.Saved = s.InstalledBytes - s.ModuleBytes + s.InstalledFirmwareBytes - s.FirmwareBytes
}

// lib is the directory that modules and firmware are in.
func (t *Trim) lib() string { return filepath.Dir(filepath.Dir(t.Tables)) }

// real is where a file is that may be behind links. None leads out of the root: an
// absolute one begins there.
func (t *Trim) real(file string) (string, error) {
	within, err := filepath.Rel(t.root, file)
	if err != nil {
		return "", err
	}
	return securejoin.SecureJoin(t.root, within)
}

// stat is what is to be known of a file behind links.
func (t *Trim) stat(file string) (real string, info fs.FileInfo, err error) {
	if real, err = t.real(file); err == nil {
		info, err = os.Stat(real)
	}
	return real, info, err
}

func appendNew[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}
