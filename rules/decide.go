package rules

import (
	"slices"

	"github.com/kmodd/kmodd/modalias"
)

// decide is the one search. With hotplug, a blacklist holds for modules that
// were asked for by their own name, too. The device is nil if there is none.
func (s *Set) decide(asked string, hotplug bool, d *Device) Decision {
	p := plans.Get().(*plan)
	defer p.end()
	p.set = s
	name, err := modalias.Normalize(asked)
	if err != nil {
		p.refuse("", "", Reason{Source: "name", Says: err.Error()})
		return p.decided()
	}
	list, at := s.search(name)
	p.passedOver(name, at, list)
	p.police(d, list)
	if p.denyDevice(list) {
		return p.decided()
	}
	for _, f := range p.preferred(list) {
		p.consider(f, hotplug)
		p.endTurn(f.module)
	}
	p.sleeps()
	return p.decided()
}

// consider takes a module that the look-up led to into the plan, or says why
// not.
func (p *plan) consider(f found, hotplug bool) {
	s := p.set
	if slices.Contains(p.decision.Modules, f.module) {
		return
	}
	_, builtin := s.tables.Builtin(f.module)
	if builtin && !p.anew() {
		p.accept(f)
		return
	}
	if r, ok := s.config.Blacklisted(f.module); ok && (hotplug || f.alias != "") {
		p.refuse(f.module, "", f.because, reason(r))
		return
	}
	if r, ok := s.config.Refused(f.module); ok && !builtin && !s.asKmod() {
		p.refuse(f.module, "", f.because, reason(r))
		return
	}
	if !builtin && p.forbidden(f) {
		return
	}
	if m := p.loadable(f); m != nil && (m.File != "" || builtin || !p.bare()) {
		p.accept(f)
		p.ask(wanted{module: m, alias: f.alias})
		return
	}
	if s.asKmod() {
		// Nothing is amiss for it until the module itself is to be put in.
		p.accept(f)
		p.ask(wanted{module: s.bare(f.module), alias: f.alias})
	}
	p.refuse(f.module, "", f.because, Reason{Source: s.tables.Dir(), Says: f.module + " is not installed"})
}

func (p *plan) accept(f found) {
	p.decision.Modules = append(p.decision.Modules, f.module)
	if !slices.Contains(p.decision.Reasons, f.because) { // one rule may prefer several
		p.decision.Reasons = append(p.decision.Reasons, f.because)
	}
}

// refuse records a module that was not taken: for which other one it was
// wanted, what led to it, and what stood against it.
func (p *plan) refuse(module, by string, because ...Reason) {
	p.decision.Refused = append(p.decision.Refused, Refusal{Module: module, For: by, Because: because})
}
