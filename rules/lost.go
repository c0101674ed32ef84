package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// loses notes what would have counted, each once.
func (p *plan) loses(lost ...Reason) {
	for _, r := range lost {
		if !slices.Contains(p.decision.Lost, r) {
			p.decision.Lost = append(p.decision.Lost, r)
		}
	}
}

// passedOver notes what a name would have led to if the place at which the
// search ended knew nothing of it. After modules.alias come only modules that are
// in the kernel anyway, and after modules.symbols nothing: there it does not
// look, which is what nearly all devices are spared.
func (p *plan) passedOver(name string, at int, list []found) {
	switch at {
	case inConfig, inModules, inCommands:
	default:
		return
	}
	for _, look := range places[at+1:] {
		for _, hidden := range look(p.set, name) {
			if !slices.ContainsFunc(list, func(f found) bool { return f.module == hidden.module }) {
				p.loses(hidden.because.loses("%s", comesBefore(list[0].because)))
			}
		}
	}
}

// loses is a reason that does not count, and why.
func (r Reason) loses(format string, args ...any) Reason {
	r.Says += "; but " + fmt.Sprintf(format, args...)
	return r
}

func comesBefore(winner Reason) string {
	return fmt.Sprintf("%s (%s) comes before it", winner.place(), winner.Says)
}

// place is where a reason stands, as people write it.
func (r Reason) place() string {
	if r.Line == 0 {
		return r.Source
	}
	return fmt.Sprintf("%s:%d", r.Source, r.Line)
}

// stepped notes what would have counted for a module that is to be put in.
func (p *plan) stepped(m *module) {
	if m.install != nil {
		p.commanded(m)
	}
	if r, ok := p.set.config.Blacklisted(m.Name); ok {
		why := `another module needs it, or names it in a softdep, which only stage = "deny" in kmodd.toml heeds`
		if slices.Contains(p.decision.Modules, m.Name) {
			why = "it was asked for by its own name"
		}
		p.loses(reason(r).loses("%s", why))
	}
}

// commanded notes what an install line stands for, and the lines after it.
func (p *plan) commanded(m *module) {
	if m.File != "" {
		p.loses(Reason{m.Origin.File, m.Line, m.File}.loses("%s (%s) stands for it", reason(m.install.Rule).place(), m.install.Text))
	}
	for i := range p.set.config.Installs {
		c := &p.set.config.Installs[i]
		if c != m.install && modalias.Match(c.Pattern, m.Name) {
			p.loses(reason(c.Rule).loses("%s", comesBefore(reason(m.install.Rule))))
		}
	}
}

// A given is parameters of a module, as somebody gives them.
type given struct {
	values string
	by     Reason
}

// cumulative are the parameters of which the kernel takes every value: the
// control of debug messages (Documentation/admin-guide/dynamic-debug-howto.rst).
var cumulative = []string{"dyndbg"}

// overridden returns the values that later ones for the same parameters take
// the place of, as the kernel goes from left to right.
func overridden(list []given) (lost []Reason) {
	if len(list) == 0 || len(list) == 1 && !strings.ContainsAny(list[0].values, " \t") {
		return nil
	}
	type value struct {
		name, text string
		by         Reason
	}
	var values []value
	for _, g := range list {
		for text := range modprobed.Words(g.values) {
			// The kernel takes dashes for underscores (parameq in kernel/params.c).
			name, _, _ := strings.Cut(strings.ReplaceAll(text, "-", "_"), "=")
			values = append(values, value{name, text, g.by})
		}
	}
	for i, v := range values {
		for _, last := range slices.Backward(values[i+1:]) {
			if last.name != v.name {
				continue
			}
			if last.text != v.text && !slices.Contains(cumulative, v.name) {
				v.by.Says = v.text
				lost = append(lost, v.by.loses("%s in %s comes after it, and the kernel keeps the last value", last.text, last.by.place()))
			}
			break
		}
	}
	return lost
}
