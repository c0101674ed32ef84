package rules

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/rules/policy"
)

// A Device is what a uevent or a scan of sysfs says about one device, as far
// as deciding about its driver needs it.
type Device struct {
	Path      string // DEVPATH, below /sys, with its leading slash
	Subsystem string
	Modalias  string
	Driver    string // the driver bound to it, "" for none
	// Env holds the variables of its uevent that the policy asks for, each
	// NAME=VALUE.
	Env []string
}

// A Reason is one thing that a decision rests on, recorded where the decision
// was taken. Source is a file (or "kernel", "kernel command line"), Line its
// line, 0 where lines mean nothing.
type Reason struct {
	Source string
	Line   int
	Says   string
}

// String is a reason with its place, as compilers and grep -n write places.
func (r Reason) String() string {
	switch {
	case r.Source == "":
		return r.Says
	case r.Line == 0:
		return r.Source + ": " + r.Says
	}
	return fmt.Sprintf("%s:%d: %s", r.Source, r.Line, r.Says)
}

// A Step is one module to put in, as one line of modprobe -D.
type Step struct {
	Module  string // the kernel's name of it, with underscores
	File    string // absolute path of the .ko file, compressed or not; "" if only Install stands for it
	Options string // parameters, "" for none
	Install string // the modprobe.d install command that stands for it, "" for none
	// InstallBy is the line of that command, nil for none. It is shared: don't
	// change it.
	InstallBy *Reason
	Soft      bool // asked for by a softdep only: its failure is nobody else's
	Asked     bool // the module that was asked for, in an [Answer]
	Builtin   bool // there is nothing to do, unless there is an Install: see [Ask.Anew]

	// Stage is what the policy says of the time to load it, "" for nothing.
	Stage policy.Stage
	// Until is what it waits for if it is deferred.
	Until policy.Trigger

	// Async is what the policy says of how its drivers probe, "" for nothing.
	Async policy.Probing

	// Needs names the modules that must be live before this one goes in: its
	// line of modules.dep, without what is built in. Needs and After name
	// modules of earlier steps of the same decision only, so within one
	// decision waiting never goes in circles. They may share memory with other
	// decisions: don't change them.
	Needs []string
	// After names the modules that must have been tried before this one, with
	// whatever result: its pre-softdeps, or for a post-softdep the module that
	// named it.
	After []string
}

// Forbids tells whether an install command can do nothing but fail, which is how
// people forbid a module: "/bin/false", with whatever follows.
func Forbids(command string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	return path.Base(first) == "false" && !strings.ContainsAny(command, "|;&")
}

// A Decision says what is to be done about a name or a device, and why.
type Decision struct {
	// Modules are the modules that the look-up led to and that may be
	// loaded, in loading priority order, each once. Built-in ones are among
	// them and have no Step.
	Modules []string
	// Steps is everything to put in, dependencies before dependents: the list
	// that modprobe -D prints, each module once.
	Steps   []Step
	Refused []Refusal
	Reasons []Reason
	Lost    []Reason // what would have counted if something else did not come before it

	// Denied says that no driver may have the device, whether anything is
	// loaded for it or not.
	Denied bool
	// Prefer names the modules of which one is to have the device, the first
	// one first: each has BindTimeout to take it. Empty, the kernel's order
	// decides. They are among Modules, and what they need among Steps.
	Prefer      []Preference
	BindTimeout time.Duration

	// Sleeps are those of Modules that are to leave memory while nobody uses the
	// device, and to come back when somebody does.
	Sleeps []Sleep
}

// A Sleep says when a driver leaves memory though its device is there.
type Sleep struct {
	Module string
	After  time.Duration // for how long nobody has used it then
	Force  bool          // also if it is of a kind that should never be called idle
	Any    bool          // one of several devices is as good as another
	OnOpen bool          // it is not even loaded when the device appears
	By     Reason
}

// A Preference is one of the modules that are to have a device.
type Preference struct {
	Module string
	// Through is the number of steps that have it in, with what it needs, after
	// those of the preferences before it: Steps[:Through].
	Through int
}

// Preferred names the modules of Prefer.
func (d *Decision) Preferred() []string {
	var names []string
	for _, p := range d.Prefer {
		names = append(names, p.Module)
	}
	return names
}

func (d *Decision) prefers(module string) bool {
	return slices.ContainsFunc(d.Prefer, func(p Preference) bool { return p.Module == module })
}

// A Refusal is a module that was not taken, or that could not be found.
type Refusal struct {
	Module string // "" if what was asked for is not the name of any
	// For is the module that needs it, or names it in a softdep; "" if the
	// look-up led to it.
	For string
	// Because tells what led to it, and last what stood against it.
	Because []Reason
	// Manual says that it goes in when somebody asks for it by its name.
	Manual bool
}
