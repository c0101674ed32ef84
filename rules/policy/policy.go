package policy

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// DefaultBindTimeout is how long a preferred driver has to take its device if
// nothing says otherwise. Probes that wait for a disk or for firmware take a few
// seconds.
const DefaultBindTimeout = 5 * time.Second

// DefaultGoneTimeout is how long the hardware of a module has been gone when the
// module goes, if nothing says otherwise. kerneld, in 1995, waited that long too.
const DefaultGoneTimeout = time.Minute

// Never is a time to go that does not come: "off".
const Never time.Duration = math.MaxInt64

// A Policy is everything that was read. It is immutable.
type Policy struct {
	Rules    []*Rule
	Warnings []modprobed.Warning

	bindTimeout, goneTimeout setting
	prediction               *bool // nil if nothing is said of it
}

// A setting is a value at the top of a file, and where it stands.
type setting struct {
	value time.Duration
	place
}

// A place is where something was read.
type place struct {
	File string
	Line int
}

// String is a place as people write it.
func (p place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// A Stage is when a module is loaded, or whether.
type Stage string

// The stages. The first three say when what hardware asks for is loaded; see
// package core for what comes of it.
const (
	Critical Stage = "critical"
	Normal   Stage = "normal"
	Deferred Stage = "deferred"
	Manual   Stage = "manual"  // only when somebody asks for it by its name, or something needs it
	OnOpen   Stage = "on-open" // when somebody opens its device, once it is known what is opened of that
	Deny     Stage = "deny"    // never
)

// A Trigger is what a deferred module waits for: one of the constants, a time span, or
// the path of a file.
type Trigger string

// The triggers that have a name.
const (
	BootComplete Trigger = "boot-complete" // also if a rule does not say
	Request      Trigger = "request"
)

// Delay is how long a trigger is, if it is a time span.
func (t Trigger) Delay() (time.Duration, bool) {
	d, err := time.ParseDuration(string(t))
	return d, err == nil
}

// IsPath tells whether it is the path of a file.
func (t Trigger) IsPath() bool { return path.IsAbs(string(t)) }

// Stages are all of them.
var Stages = []Stage{Critical, Normal, Deferred, Manual, OnOpen, Deny}

// A Rule is one rule: what must hold, and what then counts.
type Rule struct {
	place
	Name string // "" if it has none

	// The conditions, patterns in the form of [modalias.Normalize] but for
	// Subsystem and Env, which are as the kernel writes them.
	Class, Module, Modalias, Subsystem []string
	Env                                []Variable

	Stage       Stage   // "" if the rule does not say
	After       Trigger // what a deferred module waits for
	Async       Probing
	Idle        time.Duration // for how long unused, until it goes; may be Never
	Force       bool          // Idle counts for what should never be called idle, too
	Identity    Identity      // of the devices that Idle is about
	Prefer      []string
	BindTimeout time.Duration
	Options     string

	has map[Key]int // the line of each key that it has
}

// An Identity says whether a driver that sleeps must find its device again.
type Identity string

// The identities. The zero value is SameIdentity.
const (
	SameIdentity Identity = "same" // a driver sleeps only while it has one device
	AnyIdentity  Identity = "any"  // one of its devices is as good as another
)

// A Variable is a condition on a variable of a uevent.
type Variable struct{ Name, Pattern string }

// A Key is something that rules say.
type Key string

// The keys that come of a rule.
const (
	KeyStage       Key = "stage"
	KeyAfter       Key = "after"
	KeyAsync       Key = "async"
	KeyIdle        Key = "idle"
	KeyPrefer      Key = "prefer"
	KeyBindTimeout Key = "bind_timeout"
	KeyOptions     Key = "options"
)

// Keys are all of them.
var Keys = []Key{KeyStage, KeyAfter, KeyAsync, KeyIdle, KeyPrefer, KeyBindTimeout, KeyOptions}

// Has tells whether a rule says anything about a key.
func (r *Rule) Has(k Key) bool { return r.has[k] != 0 }

// String names a rule for people.
func (r *Rule) String() string {
	if r.Name == "" {
		return "a rule without a name"
	}
	return fmt.Sprintf("rule %q", r.Name)
}

// A Device is what rules see of a device. Its Modalias has the form of
// [modalias.Normalize]; Env holds at least the variables of
// [Policy.Variables], each NAME=VALUE.
type Device struct {
	Modalias, Subsystem string
	Env                 []string
}

// A Module is what rules see of a module.
type Module struct {
	Name  string
	Class Class
}

// OnDevice tells whether a rule has a condition on the device.
func (r *Rule) OnDevice() bool { return len(r.Modalias)+len(r.Subsystem)+len(r.Env) > 0 }

// OnModule tells whether a rule has a condition on the module.
func (r *Rule) OnModule() bool { return len(r.Class)+len(r.Module) > 0 }

// MatchesDevice tells whether the conditions on the device hold; nil is no
// device.
func (r *Rule) MatchesDevice(d *Device) bool {
	if !r.OnDevice() {
		return true
	}
	return d != nil &&
		holds(r.Modalias, d.Modalias) &&
		holds(r.Subsystem, d.Subsystem) &&
		!slices.ContainsFunc(r.Env, func(v Variable) bool { return !v.holds(d.Env) })
}

// MatchesModule tells whether the conditions on the module hold.
func (r *Rule) MatchesModule(m Module) bool {
	return holds(r.Module, m.Name) && (len(r.Class) == 0 || slices.Contains(r.Class, m.Class.Name))
}

// holds tells whether any of the patterns of a condition matches, which they do
// if there is no condition.
func holds(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return modalias.Match(p, name) })
}

func (v Variable) holds(env []string) bool {
	return slices.ContainsFunc(env, func(e string) bool {
		name, value, _ := strings.Cut(e, "=")
		return name == v.Name && modalias.Match(v.Pattern, value)
	})
}

// A Verdict is, for each key, the rules that match and say something about it:
// the first one counts, the others lost.
type Verdict map[Key][]*Rule

// First returns the rule that counts for a key, nil if none says anything.
func (v Verdict) First(k Key) *Rule {
	if len(v[k]) == 0 {
		return nil
	}
	return v[k][0]
}

// OfModule returns what the rules say of a module that a device asks for, or
// with nil somebody by its name.
func (p *Policy) OfModule(m Module, d *Device) Verdict {
	return p.verdict(func(r *Rule) bool { return r.MatchesDevice(d) && r.MatchesModule(m) })
}

// OfDevice returns what the rules say of a device which some modules match: a
// condition on the module holds if it does for any of them.
func (p *Policy) OfDevice(d *Device, matching []Module) Verdict {
	return p.verdict(func(r *Rule) bool {
		return r.MatchesDevice(d) && (!r.OnModule() || slices.ContainsFunc(matching, r.MatchesModule))
	})
}

func (p *Policy) verdict(matches func(*Rule) bool) Verdict {
	var v Verdict
	for _, r := range p.Rules {
		if !matches(r) {
			continue
		}
		if v == nil {
			v = make(Verdict)
		}
		for k := range r.has {
			v[k] = append(v[k], r)
		}
	}
	return v
}

// BindTimeout is how long a preferred driver has if its rule does not say.
func (p *Policy) BindTimeout() time.Duration {
	if p.bindTimeout.value == 0 {
		return DefaultBindTimeout
	}
	return p.bindTimeout.value
}

// GoneTimeout is how long the hardware of a module has been gone when the module
// goes, if no rule says anything of it, and where that is written, "" for nowhere.
func (p *Policy) GoneTimeout() (timeout time.Duration, file string, line int) {
	if p.goneTimeout.value == 0 {
		return DefaultGoneTimeout, "", 0
	}
	return p.goneTimeout.value, p.goneTimeout.File, p.goneTimeout.Line
}

// Prediction tells whether drivers are loaded that the last boots have loaded, before
// their devices are met.
func (p *Policy) Prediction() bool { return p.prediction != nil && *p.prediction }

// Variables returns the names of the variables that rules ask for, sorted.
func (p *Policy) Variables() []string {
	var names []string
	for _, r := range p.Rules {
		for _, v := range r.Env {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// LineOf returns the line where a rule has a key.
func (r *Rule) LineOf(k Key) int { return r.has[k] }

// Value returns what a rule says about a key, as TOML.
func (r *Rule) Value(k Key) string {
	switch k {
	case KeyStage:
		return strconv.Quote(string(r.Stage))
	case KeyAfter:
		return strconv.Quote(string(r.After))
	case KeyAsync:
		return r.Async.toml()
	case KeyIdle:
		if r.Idle == Never {
			return `"off"`
		}
		return strconv.Quote(r.Idle.String())
	case KeyPrefer:
		return strings.ReplaceAll(fmt.Sprintf("%q", r.Prefer), `" "`, `", "`)
	case KeyBindTimeout:
		return strconv.Quote(r.BindTimeout.String())
	}
	return strconv.Quote(r.Options)
}
