package rules

import (
	"fmt"
	"slices"
	"sync"

	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// A plan is a decision in the making.
type plan struct {
	set      *Set
	how      *Ask // nil if it is for no Answer
	asked    wanted
	repeats  bool // a module has a step for each that needs it, as kmod has it
	decision Decision
	policed  *policed

	probed []probed // what was asked for, by the look-up or by a softdep
	done   []string // modules that are planned with their softdeps
}

// plans holds the memory of ended plans, which those to come use again.
var plans = sync.Pool{New: func() any { return new(plan) }}

// end returns p to the pool, without references. What was decided is a copy.
func (p *plan) end() {
	d := &p.decision
	*p = plan{
		decision: Decision{Modules: emptied(d.Modules), Steps: emptied(d.Steps), Refused: emptied(d.Refused), Reasons: emptied(d.Reasons), Lost: emptied(d.Lost), Prefer: emptied(d.Prefer), Sleeps: emptied(d.Sleeps)},
		probed:   emptied(p.probed),
		done:     emptied(p.done),
	}
	plans.Put(p)
}

func emptied[E any](list []E) []E {
	clear(list)
	return list[:0]
}

// A wanted is a module that something asks for.
type wanted struct {
	*module
	alias string // by which it was reached
	soft  bool   // by a softdep only
}

// A probed is a module as something asked for it. libkmod takes a module that
// was reached by an alias for another one than that of its own name, which
// shows where softdeps go in circles.
type probed struct{ module, alias string }

// probe plans a module with everything that belongs before and after it. A
// softdep that leads back to a module under way ends here.
func (p *plan) probe(w wanted) {
	if slices.Contains(p.probed, probed{w.Name, w.alias}) {
		p.require(w)
		return
	}
	p.probed = append(p.probed, probed{w.Name, w.alias})
	p.needs(w)
	p.withSoftdeps(w)
}

// needs plans what a module needs.
func (p *plan) needs(w wanted) {
	for _, need := range w.Needs {
		m := p.set.module(need)
		if m == nil {
			p.refuse(need, w.Name, Reason{w.Origin.File, w.Line,
				fmt.Sprintf("%s needs %s, which has no line of its own: run depmod", w.Name, need)})
			continue
		}
		p.withSoftdeps(wanted{module: m, soft: w.soft})
	}
}

// require makes sure that a module which was planned for a softdep's sake is
// not taken for dispensable when something really needs it.
func (p *plan) require(w wanted) {
	if w.soft {
		return
	}
	for _, name := range append([]string{w.Name}, w.Needs...) {
		if i := p.step(name); i >= 0 {
			p.decision.Steps[i].Soft = false
		}
	}
}

// withSoftdeps plans a module, which has all that it needs in the plan already,
// between its softdeps. One that is under way, and needed by its own pre-softdep,
// goes before that: need wins.
func (p *plan) withSoftdeps(w wanted) {
	if slices.Contains(p.done, w.Name) && !p.repeats {
		p.require(w)
		return
	}
	pre, post := p.softdeps(w.module)
	if len(pre)+len(post) > 0 && p.set.asKmod() {
		w.module = w.commandedBy(nil)
	}
	p.add(w, p.probeSoftdeps(pre))
	for _, name := range p.probeSoftdeps(post) {
		p.follow(name, w.Name)
	}
	p.done = append(p.done, w.Name)
}

// softdeps looks up what the softdeps of a module lead to.
func (p *plan) softdeps(m *module) (pre, post []found) {
	for _, d := range m.softdeps {
		pre = p.lookUp(pre, m.Name, d.Pre, d)
		post = p.lookUp(post, m.Name, d.Post, d)
	}
	return pre, post
}

// lookUp appends what the names in a module's softdep lead to.
func (p *plan) lookUp(list []found, named string, names []string, d *modprobed.Softdep) []found {
	for _, written := range names {
		name, err := modalias.Normalize(written)
		if err != nil {
			p.refuse("", named, reason(d.Rule), Reason{Source: "name", Says: err.Error()})
			continue
		}
		for _, f := range p.set.find(name) {
			if !p.forbiddenSoftdep(f, named, d) {
				list = append(list, f)
			}
		}
	}
	return list
}

// probeSoftdeps plans what softdeps lead to, and returns the modules. Blacklists
// say nothing about them.
func (p *plan) probeSoftdeps(list []found) (modules []string) {
	for _, f := range list {
		if m := p.softdep(f); m != nil {
			p.probe(wanted{module: m, alias: f.alias, soft: true})
			modules = append(modules, f.module)
		}
	}
	return modules
}

// loadable is [Set.loadable], with what is built in where that has steps.
func (p *plan) loadable(f found) *module {
	if m := p.set.loadable(f); m != nil || !p.shows(f.module) {
		return m
	}
	return p.set.bare(f.module)
}

// softdep is loadable for a softdep. Even one that has no step, since it is built
// in, has softdeps of its own that count. For kmod that holds for what is not
// installed, too.
func (p *plan) softdep(f found) *module {
	_, builtin := p.set.tables.Builtin(f.module)
	if m := p.loadable(f); m != nil && (!builtin || p.anew()) {
		return m
	}
	if builtin || p.set.asKmod() {
		return p.set.bare(f.module).commandedBy(nil)
	}
	return nil
}

// shows reports whether a module is built in and has a step all the same.
func (p *plan) shows(module string) bool {
	if !p.anew() {
		return false
	}
	_, builtin := p.set.tables.Builtin(module)
	return builtin
}

// add adds the step of a module, which waits for what it needs and for those
// of the modules in after that are before it. What is built in or not installed
// has no step.
func (p *plan) add(w wanted, after []string) {
	if w.File == "" && w.install == nil && !p.shows(w.Name) {
		return
	}
	at := p.step(w.Name)
	if at < 0 || p.repeats {
		at = len(p.decision.Steps)
		p.decision.Steps = append(p.decision.Steps, p.newStep(w))
	} else {
		p.require(w)
	}
	s := &p.decision.Steps[at]
	for _, name := range after {
		if i := p.step(name); i >= 0 && i < at {
			s.follow(name)
		}
	}
}

func (p *plan) newStep(w wanted) Step {
	m := w.module
	if p.set.hasOptions(w.alias) {
		m = p.set.describe(w.Module, w.alias).commandedBy(w.install)
	}
	p.decision.Reasons = append(p.decision.Reasons, m.because...)
	s := Step{Module: m.Name, File: m.File, Soft: w.soft, Asked: p.isAsked(w), Builtin: p.shows(m.Name), Needs: m.Needs}
	if p.repeats {
		s.Soft = !s.Asked && (w.alias != "" || !slices.Contains(p.asked.Needs, m.Name))
	}
	if m.install != nil {
		s.Install, s.InstallBy = m.install.Shell, m.installBy
	}
	p.treat(&s)
	s.Options = p.options(m, w)
	p.stepped(m)
	if slices.ContainsFunc(s.Needs, p.unplanned) {
		s.Needs = slices.DeleteFunc(slices.Clone(s.Needs), p.unplanned)
	}
	return s
}

// isAsked tells whether a module is the one that was asked for, and not the same
// by another alias.
func (p *plan) isAsked(w wanted) bool {
	return p.how != nil && w.Name == p.asked.Name && (w.alias == p.asked.alias || !p.repeats)
}

// follow makes the step of a post-softdep wait for the module that named it,
// unless it came earlier for another reason.
func (p *plan) follow(name, named string) {
	if i := p.step(name); i > p.step(named) {
		p.decision.Steps[i].follow(named)
	}
}

// follow makes a step wait for one before it, once.
func (s *Step) follow(name string) {
	if !slices.Contains(s.Needs, name) && !slices.Contains(s.After, name) {
		s.After = append(s.After, name)
	}
}

// step returns the index of the step of a module, -1 if it has none yet.
func (p *plan) step(name string) int {
	return slices.IndexFunc(p.decision.Steps, func(s Step) bool { return s.Module == name })
}

func (p *plan) unplanned(name string) bool { return p.step(name) < 0 }

// decided returns a copy of the decision, in no more memory than it needs:
// many are kept for long.
func (p *plan) decided() Decision {
	d := &p.decision
	return Decision{
		Modules: copied(d.Modules), Steps: copied(d.Steps), Refused: copied(d.Refused), Reasons: copied(d.Reasons), Lost: copied(d.Lost),
		Denied: d.Denied, Prefer: copied(d.Prefer), BindTimeout: d.BindTimeout, Sleeps: copied(d.Sleeps),
	}
}

// copied is a copy of a list that shares nothing with it, nil of an empty one.
func copied[E any](list []E) []E {
	if len(list) == 0 {
		return nil
	}
	return slices.Clone(list)
}
