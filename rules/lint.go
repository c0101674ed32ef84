package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

// Lint returns what is written in the policy and can't come true on a system
// with these tables: rules that no module and no device can match, rules that
// others always come before, and names of what is not installed. What could not
// be read at all is in [Set.Warnings].
func (s *Set) Lint() []modprobed.Warning {
	if s.policy == nil {
		return nil
	}
	l := newLinter(s)
	for i, r := range s.policy.Rules {
		l.rule(r)
		l.shadowed(r, s.policy.Rules[:i])
	}
	return l.found
}

// A linter knows what there is.
type linter struct {
	set     *Set
	names   []string // of all modules, those that are built in and those of install lines among them
	classes map[string]bool
	found   []modprobed.Warning
}

func newLinter(s *Set) *linter {
	l := &linter{set: s, names: s.tables.Builtins(), classes: make(map[string]bool)}
	for _, m := range s.tables.Installed() {
		l.names = append(l.names, m.Name)
		class, _ := s.Class(m.Name, "")
		l.classes[class.Name] = true
	}
	for _, c := range s.config.Installs {
		l.names = append(l.names, c.Pattern)
	}
	return l
}

func (l *linter) say(r *policy.Rule, line int, format string, args ...any) {
	l.found = append(l.found, modprobed.Warning{File: r.File, Line: line, Says: fmt.Sprintf("%s: ", r) + fmt.Sprintf(format, args...)})
}

// rule looks at one rule for itself.
func (l *linter) rule(r *policy.Rule) {
	l.modules(r)
	l.devices(r)
	if r.Stage == policy.Deny && !r.OnDevice() && !r.OnModule() {
		l.say(r, r.LineOf(policy.KeyStage), "it has no condition, and denies every device of this machine")
	}
	if r.Stage == policy.Deny && !r.OnModule() && len(r.Prefer) > 0 { // else it denies one driver, and prefers another
		l.say(r, r.LineOf(policy.KeyPrefer), "its prefer can never count, for it denies the device")
	}
	for i, name := range r.Prefer {
		if slices.Contains(r.Prefer[:i], name) {
			l.say(r, r.LineOf(policy.KeyPrefer), "prefer names %s twice", name)
			continue
		}
		if !slices.Contains(l.names, name) {
			l.say(r, r.LineOf(policy.KeyPrefer), "module %s is not installed%s", name, l.instead(name))
		}
	}
}

func (l *linter) modules(r *policy.Rule) {
	never := 0
	for _, pattern := range r.Module {
		if !slices.ContainsFunc(l.names, func(name string) bool { return modalias.Match(pattern, name) }) {
			l.say(r, r.Line, "module %s is not installed%s", pattern, l.instead(pattern))
			never++
		}
	}
	if never > 0 && never == len(r.Module) {
		l.say(r, r.Line, "it can never match")
	}
	for _, class := range r.Class {
		if !l.classes[class] && !byCodeOnly(class) {
			l.say(r, r.Line, "no module of class %s is installed", class)
		}
	}
}

// byCodeOnly tells whether only devices tell of a class, and no directory.
func byCodeOnly(class string) bool { return class == "printer" }

// instead suggests the name of a module that is there.
func (l *linter) instead(name string) string {
	if near := policy.Nearest(name, l.names); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

func (l *linter) devices(r *policy.Rule) {
	never := 0
	for _, pattern := range r.Modalias {
		if !fitsAny(pattern) {
			l.say(r, r.Line, "no device's MODALIAS can match %s: see docs/buses.md for how they are written", pattern)
			never++
		}
	}
	if never > 0 && never == len(r.Modalias) {
		l.say(r, r.Line, "it can never match")
	}
}

// fitsAny tells whether any device id of any bus can match.
func fitsAny(pattern string) bool {
	for f := range modalias.Forms() {
		if f.Fits(pattern) {
			return true
		}
	}
	return false
}

// shadowed names the keys of a rule that can never count, since one of the rules
// before it has them and holds whenever this one does.
func (l *linter) shadowed(r *policy.Rule, before []*policy.Rule) {
	var by *policy.Rule
	var lost []string
	keys := 0
	for _, k := range policy.Keys {
		if !r.Has(k) {
			continue
		}
		keys++
		i := slices.IndexFunc(before, func(b *policy.Rule) bool { return b.Has(k) && b.Covers(r) })
		if i >= 0 {
			by = before[i]
			lost = append(lost, string(k))
		}
	}
	switch {
	case len(lost) == 0:
	case len(lost) == keys:
		l.say(r, r.Line, "it can never count, for %s in %s:%d comes before it and holds whenever it does", by, by.File, by.Line)
	default:
		l.say(r, r.Line, "its %s can never count, for %s in %s:%d comes before it and holds whenever it does",
			strings.Join(lost, " and "), by, by.File, by.Line)
	}
}
