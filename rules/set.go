package rules

import (
	"slices"
	"strings"
	"sync"

	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

// A Set is everything that decisions rest on. It is immutable and safe for
// concurrent use.
type Set struct {
	tables *match.Tables
	config *modprobed.Config

	policy   *policy.Policy // nil if there are no rules
	settings *policy.Policy // nil if none was given
	byAll    bool           // the policy looks at more of a device than its MODALIAS
	warnings []modprobed.Warning

	// mu guards known and names, which grow with what is asked and never beyond
	// the modules that are installed. Decisions share their strings and slices.
	mu    sync.Mutex
	known map[string]*module
	names map[string]string
}

// NewSet returns the set of tables and configuration. The tables must stay open
// as long as the set is used. In the dialect of kmod, which has no policy, none
// is heeded.
func NewSet(tables *match.Tables, config *modprobed.Config, options ...Option) *Set {
	s := &Set{
		tables: tables,
		config: config,
		known:  make(map[string]*module),
		names:  make(map[string]string),
	}
	for _, set := range options {
		set(s)
	}
	return s
}

// Warnings returns what was wrong with tables and configuration, a line each.
func (s *Set) Warnings() []string {
	lines := s.tables.Warnings()
	for _, w := range slices.Concat(s.config.Warnings, s.warnings) {
		lines = append(lines, w.String())
	}
	return lines
}

// Resolve decides about a name as modprobe NAME does: a module or an alias.
func (s *Set) Resolve(name string) Decision { return s.decide(name, false, deviceNamed(name)) }

// Want decides about a name that is to be in the kernel whatever devices there
// are, as systemd-modules-load does: a blacklist holds for a module's own name,
// too.
func (s *Set) Want(name string) Decision { return s.decide(name, true, deviceNamed(name)) }

// deviceNamed is the device that somebody means who asks for a MODALIAS, nil if
// a name is none.
func deviceNamed(name string) *Device {
	if strings.IndexByte(name, ':') < 0 {
		return nil
	}
	return &Device{Modalias: name}
}

// Decide decides about a device that has appeared, as modprobe -b MODALIAS
// does. Without rules of the policy that look at more it is about the MODALIAS
// alone; a device without one needs nothing.
func (s *Set) Decide(d Device) Decision {
	if d.Modalias == "" {
		return Decision{}
	}
	if s.policy == nil {
		return s.decide(d.Modalias, true, nil)
	}
	whole := d
	return s.decide(d.Modalias, true, &whole)
}

// A module is what a set knows of one module file, or of an install line that
// stands for one, in the form in which decisions share it.
type module struct {
	match.Module
	options string
	because []Reason // the lines that have a part in it
	install *modprobed.Command
	// installBy is the line of install.
	installBy *Reason
	softdeps  []*modprobed.Softdep

	overridden []Reason // the options that do not count
}

// module returns the module of this name, nil if none is installed.
func (s *Set) module(name string) *module {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.known[name]; m != nil {
		return m
	}
	installed, ok := s.tables.Module(name)
	if !ok {
		return nil
	}
	installed.Name = s.shared(name)
	for i, need := range installed.Needs {
		installed.Needs[i] = s.shared(need)
	}
	m := s.describe(installed, "")
	s.known[m.Name] = m
	return m
}

// shared returns the one copy of a module's name, so that a short name never
// keeps a long line of a table in memory. The caller holds mu.
func (s *Set) shared(name string) string {
	if known, ok := s.names[name]; ok {
		return known
	}
	name = strings.Clone(name)
	s.names[name] = name
	return name
}

// loadable returns the module that the look-up led to, or, where none is
// installed, what an install line makes of the name; nil if there is neither.
func (s *Set) loadable(f found) *module {
	m := s.module(f.module)
	if m == nil {
		m = s.bare(f.module)
	}
	if f.install != nil {
		m = m.commandedBy(f.install)
	}
	if m.File == "" && m.install == nil {
		return nil
	}
	return m
}

// bare returns a module without a file.
func (s *Set) bare(name string) *module { return s.describe(match.Module{Name: name}, "") }

// commandedBy returns the module with another install line, or none.
func (m *module) commandedBy(c *modprobed.Command) *module {
	if m.install == c {
		return m
	}
	other := *m
	other.install = c
	return &other
}

// asKmod reports whether decisions are to be those of kmod.
func (s *Set) asKmod() bool { return s.config.Dialect == modprobed.Kmod }

// describe adds to what is installed what the configuration says of it, when it
// is asked for by an alias, or by its own name ("").
func (s *Set) describe(installed match.Module, alias string) *module {
	m := &module{Module: installed}
	m.Needs = slices.DeleteFunc(m.Needs, func(need string) bool {
		_, builtin := s.tables.Builtin(need)
		return builtin || need == m.Name
	})
	m.options, m.because, m.overridden = s.options(m.Name, alias, given{})
	m.install, _ = s.config.Install(m.Name)
	if m.install != nil {
		by := reason(m.install.Rule)
		m.installBy = &by
		m.because = append(m.because, by)
	}
	m.softdeps = s.softdepsOf(m.Name)
	for _, d := range m.softdeps {
		m.because = append(m.because, reason(d.Rule))
	}
	return m
}

// softdepsOf returns the softdep lines for a module: for kmod the first one only,
// even if it names nothing.
func (s *Set) softdepsOf(name string) (list []*modprobed.Softdep) {
	for i := range s.config.Softdeps {
		d := &s.config.Softdeps[i]
		if !modalias.Match(d.Pattern, name) {
			continue
		}
		if len(d.Pre)+len(d.Post) > 0 {
			list = append(list, d)
		}
		if s.asKmod() {
			break
		}
	}
	return list
}

// options returns the parameters for a module that was asked for by an alias,
// or by its own name (""). Those of the policy go between those of modprobe.d and
// of the kernel command line: the kernel lets the last one win.
func (s *Set) options(name, alias string, policy given) (values string, because, lost []Reason) {
	var files, cmdline []given
	for i := range s.config.Options {
		o := &s.config.Options[i]
		if o.Name != name && (alias == "" || o.Name != alias) {
			continue
		}
		if o.Values == "" {
			continue // in the dialect of kmod, from a word such as "module."
		}
		g := given{o.Values, reason(o.Rule)}
		if o.File == modprobed.KernelCommandLine {
			cmdline = append(cmdline, g)
		} else {
			files = append(files, g)
		}
		because = append(because, g.by)
	}
	if policy.values != "" {
		files = append(files, policy)
	}
	all := append(files, cmdline...)
	return joined(all), because, overridden(all)
}

// joined returns parameters as the kernel wants them.
func joined(list []given) string {
	values := make([]string, len(list))
	for i, g := range list {
		values[i] = g.values
	}
	return strings.Join(values, " ")
}

// hasOptions reports whether there are options for an alias.
func (s *Set) hasOptions(alias string) bool {
	return alias != "" && slices.ContainsFunc(s.config.Options, func(o modprobed.Options) bool { return o.Name == alias })
}

func reason(r modprobed.Rule) Reason { return Reason{r.File, r.Line, r.Text} }
