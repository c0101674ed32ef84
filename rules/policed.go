package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

// An Option changes what a [Set] decides by.
type Option func(*Set)

// WithPolicy has a set heed the operator's policy as well. Where modprobe.d is
// read as kmod does, there is none.
func WithPolicy(p *policy.Policy) Option {
	return func(s *Set) {
		if s.asKmod() {
			return
		}
		s.settings = p
		if len(p.Rules) > 0 {
			s.policy = p
		}
		s.warnings = append(s.warnings, p.Warnings...)
		s.byAll = slices.ContainsFunc(p.Rules, func(r *policy.Rule) bool { return len(r.Subsystem)+len(r.Env) > 0 })
	}
}

// Key returns what decides about a device as a string: devices with the same
// one get the same decision. It is the MODALIAS, unless there are rules that
// look at more.
func (s *Set) Key(d Device) string {
	if !s.byAll {
		return d.Modalias
	}
	return strings.Join(append([]string{d.Modalias, d.Subsystem}, d.Env...), "\x00")
}

// Variables returns the names of the variables of a device's uevent that rules
// ask for: what [Device.Env] must hold.
func (s *Set) Variables() []string {
	if s.policy == nil {
		return nil
	}
	return s.policy.Variables()
}

// policed are a plan's dealings with the policy: nil where there is none.
type policed struct {
	*policy.Policy
	device  *policy.Device // nil if a module is asked for by its name
	by      policy.Verdict // about the device
	prefers *policy.Rule   // by which it prefers what is considered, nil for none
	modules map[string]judged
}

// A judged is a module as the policy sees it, and what it says of it.
type judged struct {
	policy.Module
	policy.Verdict
}

// police looks up what the policy says of the device that a plan is for.
func (p *plan) police(d *Device, list []found) {
	if p.set.policy == nil {
		return
	}
	p.policed = &policed{Policy: p.set.policy, modules: make(map[string]judged)}
	if d == nil {
		return
	}
	p.policed.device = seenByPolicy(d)
	var matching []policy.Module
	for _, f := range list {
		matching = append(matching, p.judge(f.module).Module)
	}
	p.policed.by = p.policed.OfDevice(p.policed.device, matching)
}

// judge looks up what the policy says of a module, once for a plan.
func (p *plan) judge(name string) judged {
	if j, ok := p.policed.modules[name]; ok {
		return j
	}
	modalias := ""
	if p.policed.device != nil {
		modalias = p.policed.device.Modalias
	}
	class, _ := p.set.Class(name, modalias)
	m := policy.Module{Name: name, Class: class}
	j := judged{m, p.policed.OfModule(m, p.policed.device)}
	p.policed.modules[name] = j
	return j
}

// IsFirst tells whether a step goes before others when a device of that MODALIAS, ""
// for none, asks for it: as a rule says, or by the class of its module.
func (s *Set) IsFirst(step Step, modalias string) bool {
	if step.Stage != "" {
		return step.Stage == policy.Critical
	}
	return policy.IsFirst(policy.ClassName(s.below(step.File), modalias))
}

// IsBus tells whether a step's module drives what other devices hang on, which are not
// there before it is.
func (s *Set) IsBus(step Step) bool {
	return policy.IsBus(policy.ClassName(s.below(step.File), ""))
}

// Naming returns what kind of names the devices of a step's module get in the order of
// their probes, "" for none, when a device of that MODALIAS asks for it.
func (s *Set) Naming(step Step, modalias string) string {
	return policy.Naming(policy.ClassName(s.below(step.File), modalias))
}

// below is a module's file as seen from the module directory.
func (s *Set) below(file string) string {
	return strings.TrimPrefix(strings.TrimPrefix(file, s.tables.Dir()), "/")
}

// Class returns what a module drives, as rules see it when a device of that
// MODALIAS, "" for none, asks for it, and whether the module is installed.
func (s *Set) Class(module, modalias string) (c policy.Class, installed bool) {
	file := ""
	m := s.module(module)
	if m != nil {
		file = s.below(m.File)
	}
	return policy.ClassOf(file, modalias), m != nil
}

// Unused says how long nothing has called for a module when it is to go,
// policy.Never for never, and by what. That is said for all modules together: what
// rules say of devices counts for none that has none any more. A packet filter goes only
// by force: the kernel counts its rules as users (__do_replace(),
// net/ipv4/netfilter/ip_tables.c), but not a policy that denies all.
func (s *Set) Unused(module string) (timeout time.Duration, by Reason) {
	installed := s.module(module)
	filter := installed != nil && policy.ClassName(s.below(installed.File), "") == policy.Netfilter
	if s.policy != nil {
		class, _ := s.Class(module, "")
		m := policy.Module{Name: module, Class: class}
		if r := s.policy.OfModule(m, nil).First(policy.KeyIdle); r != nil && (!filter || r.Force) {
			return r.Idle, because(r, policy.KeyIdle, m)
		}
	}
	if filter {
		return policy.Never, Reason{Source: "kmodd", Says: "it may be what a firewall consists of, and only a rule that names it, with idle and force = true, passes over that"}
	}
	timeout, file, line := s.goneTimeout()
	return timeout, Reason{Source: file, Line: line, Says: "gone_timeout"}
}

// Predicts tells whether drivers are loaded that the last boots have loaded, before their
// devices are met.
func (s *Set) Predicts() bool { return s.settings != nil && s.settings.Prediction() }

func (s *Set) goneTimeout() (time.Duration, string, int) {
	if s.settings == nil {
		return policy.DefaultGoneTimeout, "", 0
	}
	return s.settings.GoneTimeout()
}

// ruleOn returns the rule that counts for a module's key, and why in words; nil
// if the policy says nothing. The rules that it won over are noted.
func (p *plan) ruleOn(module string, k policy.Key) (*policy.Rule, Reason) {
	if p.policed == nil {
		return nil, Reason{}
	}
	j := p.judge(module)
	r := j.First(k)
	if r == nil {
		return nil, Reason{}
	}
	p.lose(j.Verdict[k], k, module)
	return r, because(r, k, j.Module)
}

// because says what a rule has to say about a key of a module.
func because(r *policy.Rule, k policy.Key, m policy.Module) Reason {
	says := fmt.Sprintf("%s: %s = %s", r, k, r.Value(k))
	if len(r.Class) > 0 && m.Name != "" {
		says += fmt.Sprintf(" (%s is of class %s: %s)", m.Name, m.Class.Name, m.Class.Because)
	}
	return Reason{r.File, r.LineOf(k), says}
}

// lose notes the rules that say something else, and come later.
func (p *plan) lose(rules []*policy.Rule, k policy.Key, about string) {
	for _, r := range rules[1:] {
		p.loses(Reason{r.File, r.LineOf(k), fmt.Sprintf("%s: %s = %s for %s does not count, for %s comes before it", r, k, r.Value(k), about, rules[0])})
	}
}

// denied tells whether the policy denies a module, and by what.
func (p *plan) denied(module string) (by Reason, ok bool) {
	r, because := p.ruleOn(module, policy.KeyStage)
	return because, r != nil && r.Stage == policy.Deny
}

// forbidden refuses a module that the policy does not let in, or that needs one
// which it does not let in. To a device it refuses what is loaded only when
// somebody asks for it, too.
func (p *plan) forbidden(f found) bool {
	if p.policed == nil {
		return false
	}
	r, because := p.ruleOn(f.module, policy.KeyStage)
	if r != nil && (r.Stage == policy.Deny || r.Stage == policy.Manual && p.policed.device != nil) {
		p.refuse(f.module, "", f.because, because)
		p.decision.Refused[len(p.decision.Refused)-1].Manual = r.Stage == policy.Manual
		return true
	}
	return p.needsDenied(f.module, "", f.because)
}

// needsDenied refuses a module that can't go in without one that is denied.
func (p *plan) needsDenied(module, named string, led Reason) bool {
	m := p.set.module(module)
	if m == nil {
		return false
	}
	for _, need := range m.Needs {
		by, denied := p.denied(need)
		if !denied {
			continue
		}
		p.refuse(need, module, Reason{m.Origin.File, m.Line, fmt.Sprintf("%s needs %s", module, need)}, by)
		p.refuse(module, named, led, Reason{m.Origin.File, m.Line, fmt.Sprintf("it needs %s, which is denied", need)})
		return true
	}
	return false
}

// forbiddenSoftdep refuses a softdep of a module in the same way. The module
// itself does not need it.
func (p *plan) forbiddenSoftdep(f found, named string, d *modprobed.Softdep) bool {
	if p.policed == nil {
		return false
	}
	if by, denied := p.denied(f.module); denied {
		p.refuse(f.module, named, reason(d.Rule), by)
		return true
	}
	return p.needsDenied(f.module, named, reason(d.Rule))
}

// denyDevice refuses all that matches a device which the policy denies.
func (p *plan) denyDevice(list []found) bool {
	if p.policed == nil {
		return false
	}
	r := p.policed.by.First(policy.KeyStage)
	if r == nil || r.Stage != policy.Deny || r.OnModule() {
		return false
	}
	p.decision.Denied = true
	by := because(r, policy.KeyStage, policy.Module{})
	p.lose(p.policed.by[policy.KeyStage], policy.KeyStage, "the device")
	for _, f := range list {
		p.refuse(f.module, "", f.because, by)
	}
	if len(list) == 0 {
		p.refuse("", "", by)
	}
	return true
}

// preferred returns what the policy wants for the device instead of what
// matches, in its order, and refuses the rest. A module need not match: drivers
// such as vfio_pci take what they are given. Without any that is installed what
// matches counts.
func (p *plan) preferred(list []found) []found {
	if p.policed == nil {
		return list
	}
	r := p.policed.by.First(policy.KeyPrefer)
	if r == nil {
		return list
	}
	by := because(r, policy.KeyPrefer, policy.Module{})
	p.lose(p.policed.by[policy.KeyPrefer], policy.KeyPrefer, "the device")
	var first []found
	for _, name := range r.Prefer {
		if p.set.loadable(found{module: name}) == nil {
			if _, builtin := p.set.tables.Builtin(name); !builtin {
				p.refuse(name, "", by, Reason{Source: p.set.tables.Dir(), Says: name + " is not installed"})
				continue
			}
		}
		first = append(first, found{module: name, because: by})
	}
	if len(first) == 0 {
		return list
	}
	p.policed.prefers = r
	for _, f := range list {
		if !slices.Contains(r.Prefer, f.module) {
			p.refuse(f.module, "", f.because, by)
		}
	}
	return first
}

// endTurn ends what is planned for one of the preferences, which it is not if
// the module may not be loaded after all.
func (p *plan) endTurn(module string) {
	d := &p.decision
	if p.policed == nil || p.policed.prefers == nil || !slices.Contains(d.Modules, module) || d.prefers(module) {
		return
	}
	d.Prefer = append(d.Prefer, Preference{module, len(d.Steps)})
	d.BindTimeout = p.bindTimeout(p.policed.prefers)
}

// bindTimeout is what the rule says that prefers, or the first other one that
// says anything, or what is set for all.
func (p *plan) bindTimeout(r *policy.Rule) time.Duration {
	if r.Has(policy.KeyBindTimeout) {
		return r.BindTimeout
	}
	return p.policed.BindTimeout()
}

// treat adds to a step what the policy says of its module.
func (p *plan) treat(s *Step) {
	if p.policed == nil {
		return
	}
	if r, by := p.ruleOn(s.Module, policy.KeyStage); r != nil {
		s.Stage = r.Stage
		p.decision.Reasons = append(p.decision.Reasons, by)
		p.hold(s, r)
	}
	if r, by := p.ruleOn(s.Module, policy.KeyAsync); r != nil {
		s.Async = r.Async
		p.decision.Reasons = append(p.decision.Reasons, by)
	}
	for _, k := range [...]policy.Key{policy.KeyAfter, policy.KeyIdle} {
		if r, by := p.ruleOn(s.Module, k); r != nil {
			p.decision.Reasons = append(p.decision.Reasons, by)
		}
	}
}

// hold says what a deferred module waits for, or that it must not.
func (p *plan) hold(s *Step, r *policy.Rule) {
	if r.Stage != policy.Deferred {
		return
	}
	class := p.judge(s.Module).Class
	if !policy.MayDefer(class.Name) {
		s.Stage = policy.Normal
		p.decision.Reasons = append(p.decision.Reasons, Reason{r.File, r.LineOf(policy.KeyStage),
			fmt.Sprintf("%s is not deferred: it is of class %s, on which others rest (%s)", s.Module, class.Name, class.Because)})
		return
	}
	s.Until = cmp.Or(r.After, policy.BootComplete)
}

// options returns the parameters of a module with those of the policy, and notes
// which values do not count.
func (p *plan) options(m *module, w wanted) string {
	r, by := p.ruleOn(m.Name, policy.KeyOptions)
	if r == nil {
		p.loses(m.overridden...)
		return m.options
	}
	p.decision.Reasons = append(p.decision.Reasons, by)
	values, _, lost := p.set.options(m.Name, w.alias, given{r.Options, by})
	p.loses(lost...)
	return values
}

// sleeps adds which drivers of a device are to sleep.
func (p *plan) sleeps() {
	if p.policed == nil || p.policed.device == nil {
		return
	}
	d := &p.decision
	for _, module := range d.Modules {
		j := p.judge(module)
		idle, stage := j.First(policy.KeyIdle), j.First(policy.KeyStage)
		s := Sleep{Module: module, After: policy.DefaultGoneTimeout}
		switch s.OnOpen = stage != nil && stage.Stage == policy.OnOpen; {
		case idle != nil && (s.OnOpen || idle.Idle != policy.Never):
			s.After, s.Force, s.Any = idle.Idle, idle.Force, idle.Identity == policy.AnyIdentity
			s.By = because(idle, policy.KeyIdle, j.Module)
		case s.OnOpen:
			s.By = because(stage, policy.KeyStage, j.Module)
		default:
			continue
		}
		d.Sleeps = append(d.Sleeps, s)
	}
}

// seenByPolicy is a device as the policy sees it.
func seenByPolicy(d *Device) *policy.Device {
	name, err := modalias.Normalize(d.Modalias)
	if err != nil {
		name = d.Modalias
	}
	return &policy.Device{Modalias: name, Subsystem: d.Subsystem, Env: d.Env}
}
