package rules

import (
	"slices"

	"github.com/kmodd/kmodd/modalias"
)

// An Ask is how a person asks for a name, beside what [Set.Resolve] is.
type Ask struct {
	// Blacklist makes a blacklist hold for a module's own name, too: modprobe
	// -b, as hot-plug does.
	Blacklist bool
	// Bare passes over install and remove commands and softdeps of the modules
	// that the name leads to, not of those that they need: modprobe -i, which
	// is what such commands call.
	Bare bool
	// Anew decides as if nothing was in the kernel yet: what is built in has
	// steps too, and a blacklist holds for it. That is modprobe -D.
	Anew bool
}

// An Answer is the decision about one of the modules that a name leads to.
type Answer struct {
	Module      string
	Builtin     bool
	Blacklisted bool // and therefore refused, which whoever asked has agreed to
	Decision
}

// Found returns the modules that the look-up of a name leads to, in loading
// priority order, whether they may be loaded or not: modprobe -R. There are none
// for a name that nothing knows.
func (s *Set) Found(name string) (modules []string) {
	for _, f := range s.findAsked(name) {
		modules = append(modules, f.module)
	}
	return modules
}

// Ask decides about a name for a person who loads it with modprobe: about each
// of the modules that the look-up leads to by itself, in loading priority
// order. What two of them need is among the steps of both. In the dialect of kmod
// a module has a step again for each one that needs it; from the second on they
// find it live, unless nothing is done.
func (s *Set) Ask(name string, how Ask) (answers []Answer) {
	list := s.findAsked(name)
	for _, f := range list {
		answers = append(answers, s.answer(f, list, how, deviceNamed(name)))
	}
	return answers
}

// findAsked is find for a name as somebody wrote it.
func (s *Set) findAsked(written string) []found {
	name, err := modalias.Normalize(written)
	if err != nil {
		return nil
	}
	return s.find(name)
}

// answer decides about one of the modules that a look-up has led to.
func (s *Set) answer(f found, list []found, how Ask, d *Device) Answer {
	p := plans.Get().(*plan)
	defer p.end()
	p.set, p.how, p.repeats = s, &how, s.asKmod()
	a := Answer{Module: f.module}
	_, a.Builtin = s.tables.Builtin(f.module)
	if _, ok := s.config.Blacklisted(f.module); ok && (!a.Builtin || how.Anew) {
		a.Blacklisted = how.Blacklist || f.alias != ""
	}
	p.police(d, list)
	if !p.denyDevice(list) {
		p.consider(f, how.Blacklist)
	}
	a.Decision = p.decided()
	return a
}

func (p *plan) bare() bool { return p.how != nil && p.how.Bare }
func (p *plan) anew() bool { return p.how != nil && p.how.Anew }

// ask plans a module that was asked for.
func (p *plan) ask(w wanted) {
	if p.bare() {
		bare := *w.module
		bare.install, bare.softdeps = nil, nil
		w.module = &bare
	}
	if p.how != nil {
		p.asked = w
	}
	p.probe(w)
}

// An Out is one module to take out, and what goes with it.
type Out struct {
	Module  string
	Builtin bool   // it can't be taken out, but for a remove command
	Remove  string // the modprobe.d remove command that stands for it, "" for none
	// Before are its post-softdeps, the last one first. What is in use stays,
	// and the module itself goes all the same, if it can.
	Before []Out
	// Unused are the modules that it needs, in the order in which to take them
	// out after it: each of them only if nothing uses it any more.
	Unused []string
	// After are its pre-softdeps, the last one first, with the same proviso as
	// Before.
	After   []Out
	Reasons []Reason // the lines that have a part in it
}

// Removal says what is to be taken out for a name, as modprobe -r NAME does: an
// Out for each module that the look-up leads to. With bare their own remove
// commands and softdeps are passed over. Which modules are in the kernel, and
// which of them are in use, a Set can't know.
func (s *Set) Removal(name string, bare bool) (outs []Out) {
	var begun []string
	for _, f := range s.findAsked(name) {
		o := s.out(f.module, bare, &begun)
		o.Reasons = append([]Reason{f.because}, o.Reasons...)
		outs = append(outs, o)
	}
	return outs
}

// out says what goes with a module. Softdeps that lead back to one that was
// begun end there: for kmod, if it is under way, which kmod itself does not
// survive.
func (s *Set) out(name string, bare bool, begun *[]string) Out {
	o := Out{Module: name}
	before := len(*begun)
	*begun = append(*begun, name)
	if s.asKmod() {
		defer func() { *begun = (*begun)[:before] }()
	}
	if c, ok := s.config.Remove(name); ok && !bare {
		o.Remove = c.Shell
		o.Reasons = append(o.Reasons, reason(c.Rule))
	}
	if _, o.Builtin = s.tables.Builtin(name); o.Builtin && o.Remove == "" {
		return o
	}
	m := s.module(name)
	if m == nil {
		m = s.bare(name)
	}
	o.Unused = s.unusedOrder(m.Needs)
	if bare {
		return o
	}
	for _, d := range m.softdeps {
		o.Before = append(s.softdepsOut(d.Post, begun), o.Before...)
		o.After = append(s.softdepsOut(d.Pre, begun), o.After...)
		o.Reasons = append(o.Reasons, reason(d.Rule))
	}
	return o
}

// unusedOrder is the order in which to take out what a module has needed: what
// needs others of them goes first, so that nothing is left that only they have
// used. kmod goes the other way and leaves some.
func (s *Set) unusedOrder(needs []string) []string {
	needs = slices.Clone(needs)
	if !s.asKmod() {
		slices.Reverse(needs)
	}
	return needs
}

// softdepsOut is what the names of a softdep lead to, the last one first.
func (s *Set) softdepsOut(names []string, begun *[]string) (outs []Out) {
	for _, name := range slices.Backward(names) {
		for _, f := range slices.Backward(s.findAsked(name)) {
			if !slices.Contains(*begun, f.module) {
				outs = append(outs, s.out(f.module, false, begun))
			}
		}
	}
	return outs
}
