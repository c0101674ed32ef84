package check

import (
	"crypto/x509"
	"syscall"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
)

// A Result is what has come of one step.
type Result string

// The results.
const (
	OK      Result = "ok"
	Fails   Result = "fails"   // the kernel, or modprobe, will refuse
	Unknown Result = "unknown" // it can't be known here
)

// A Step is one thing that is looked at before a module is in.
type Step struct {
	Name   string   `json:"name"` // one of those below
	Result Result   `json:"result"`
	Says   []string `json:"says"` // what was found, a line each; one at least
	// Next is what to do if it fails, "" otherwise.
	Next string `json:"next,omitempty"`
	// Errno is what the load will say, 0 if the step does not fail, or if nobody would
	// get to a load.
	Errno syscall.Errno `json:"-"`
}

// The names of the steps, in the order in which they are looked at.
const (
	Permission    = "permission"
	Signature     = "signature"
	Format        = "format"
	Blacklist     = "module_blacklist"
	Magic         = "vermagic"
	Presence      = "presence" // whether it is in already
	Symbols       = "symbols"
	Parameters    = "parameters"
	Dependencies  = "dependencies"
	Configuration = "configuration"
	Init          = "init"
)

// A Report is what is known of a load before it is tried.
type Report struct {
	Module     string `json:"module"`               // the kernel's name of it
	File       string `json:"file"`                 // absolute path
	Parameters string `json:"parameters,omitempty"` // as the kernel would get them
	Steps      []Step `json:"steps"`                // all of them, in order
}

// Failed is the first step that fails: what would be refused. It is nil if none does.
func (r *Report) Failed() *Step {
	for i := range r.Steps {
		if r.Steps[i].Result == Fails {
			return &r.Steps[i]
		}
	}
	return nil
}

// A System is where a module is to be put in. The zero value is the running system, of
// which nothing is installed. It is safe for concurrent use.
type System struct {
	Kernel  kernel.System
	Release string // of the running kernel, as uname -r says it
	// Tables are those of the installed modules, nil if there are none.
	Tables *match.Tables
	// Rules are modprobe.d and kmodd.toml, nil if they have no say, as with insmod.
	Rules *rules.Set
	// Certificates are trusted beside what the kernel is known to trust.
	Certificates []*x509.Certificate
}

// A Load is one that may be tried.
type Load struct {
	File       string // the path of the module's file, compressed or not
	Parameters string // NAME=VALUE, with blanks between them
	// Force is what not to compare, as with insmod -f, which leaves parameters to the kernel, too.
	Force kernel.Force
	// Alone says that nothing is put in before it, as with insmod. What the module needs
	// must be in then; otherwise it must be installed, as for modprobe.
	Alone bool
	// Anew says that the module may be in, since it will be taken out first.
	Anew bool
}

// Run goes through all steps. It does not end at the first that fails, and needs no
// privilege, though it may know more with it. What can't be read is in the steps.
func (s *System) Run(l Load) Report {
	c := begin(s, l)
	defer c.end()
	return c.report()
}
