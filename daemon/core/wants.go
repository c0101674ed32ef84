package core

import (
	"fmt"
	"slices"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/control/decided"
	"github.com/kmodd/kmodd/rules"
)

// A want is a module that the operator wants in the kernel whatever devices
// there are, and the decision about it.
type want struct {
	Want
	rules.Decision
	fresh bool // no scan has ended yet: it may be in the kernel already
}

// place is what wantedBy says of a module that was wanted for a want.
func (w *want) place() string {
	if w.By.Line == 0 {
		return w.By.Source
	}
	return fmt.Sprintf("%s:%d", w.By.Source, w.By.Line)
}

// newWants decides about all that is wanted. What was wanted before, is decided
// as before and came to an end is left alone: somebody may have taken it out
// since.
func (m *Machine) newWants(wanted []Want, unfinished map[string]bool) {
	before := m.wants
	m.wants = make([]*want, len(wanted))
	var again []*want
	for i := range wanted {
		w := &want{Want: wanted[i], Decision: m.set.Want(wanted[i].Name)}
		w.fresh = m.scanned == 0
		m.wants[i] = w
		was := slices.IndexFunc(before, func(old *want) bool { return old.Name == w.Name })
		if was < 0 {
			m.noteWant(w)
		}
		if was < 0 || unfinished[w.Name] || !slices.Equal(before[was].Modules, w.Modules) || m.otherCommand(w.Decision) {
			again = append(again, w)
		}
	}
	if m.scanned != 0 {
		m.serve(again, m.step)
	}
}

// unfinishedWants tells for which wants anything is still on its way or has
// failed.
func (m *Machine) unfinishedWants() map[string]bool {
	names := make(map[string]bool)
	for _, w := range m.wants {
		names[w.Name] = w.fresh || m.open(w.Decision)
	}
	return names
}

// noteWant says what was refused, and what leads to nothing.
func (m *Machine) noteWant(w *want) {
	if w.Elsewhere {
		return
	}
	by := control.Reason{Source: w.By.Source, Line: w.By.Line, Says: w.Name + " is wanted by " + w.place()}
	switch {
	case len(w.Refused) > 0:
		m.note("refused", "", w.Name, append([]control.Reason{by}, against(w.Refused)...)...)
	case len(w.Modules) == 0:
		m.note("failed", "", w.Name, by, reason("module tables", "no module of that name or alias is installed"))
	}
}

// serve puts in what is wanted, each after those before it, as if one modprobe
// after the other did it.
func (m *Machine) serve(wants []*want, since uint64) {
	var ahead []string
	for _, w := range wants {
		w.fresh = false
		if w.Elsewhere {
			continue
		}
		ahead = m.wantInTurn(w.Decision, w.place(), ahead, since)
	}
}

// serveFresh serves what was wanted before the first scan had ended.
func (m *Machine) serveFresh() {
	if slices.ContainsFunc(m.wants, func(w *want) bool { return w.fresh }) {
		m.serve(m.wants, m.scanBegan)
	}
}

// wantedIn lists the lines that want a module, or something that needs it.
func (m *Machine) wantedIn(name string) (lines []rules.Reason) {
	for _, w := range m.wants {
		if slices.ContainsFunc(w.Steps, func(s rules.Step) bool { return s.Module == name }) {
			lines = append(lines, w.By)
		}
	}
	return lines
}

// refusedWant returns the want of that name, if nothing came of it.
func (m *Machine) refusedWant(name string) *want {
	for _, w := range m.wants {
		if moduleName(w.Name) == name && len(w.Modules) == 0 {
			return w
		}
	}
	return nil
}

// why tells of a want that nothing came of.
func (w *want) why() control.ModuleWhy {
	return control.ModuleWhy{
		Module:  control.Module{Name: w.Name, State: control.Absent},
		Reasons: append(decided.Reasons([]rules.Reason{w.By}), against(w.Refused)...),
	}
}
