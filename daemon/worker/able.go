package worker

import (
	"encoding/json"
	"strings"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// A Question asks whether a driver can sleep.
type Question struct {
	Module string
	Files  []string // that it, and what it needs, would come from again
	Force  bool     // though it is of a kind that should never be called idle
	Any    bool     // though it has several devices
}

// A Survey is the answer: the devices that the module's drivers have, what is
// opened of them, which modules have to go too for an open() to ask for them, who
// uses any of it, and why it can't sleep; both "" if nothing stands against it.
type Survey struct {
	Devices  []string         `json:",omitempty"`
	Openings []kernel.Opening `json:",omitempty"`
	Must     []string         `json:",omitempty"`
	InUse    string           `json:",omitempty"`
	Says     string           `json:",omitempty"`
}

// Placeholders are what is done about those of some openings.
type Placeholders struct {
	How      Tending
	Openings []kernel.Opening
}

// A Tending is what is done about placeholders.
type Tending uint8

// The tendings.
const (
	Cover   Tending = iota + 1 // put them where the nodes are, and these aside
	Restore                    // put the nodes back, with the links that udevd has removed
	Uncover                    // take the nodes away, unless a device has them
	Make                       // make the nodes, which are not there yet
	Mend                       // make those again that have gone with another device of their numbers
)

// Survey asks whether a driver can sleep. Its result comes as that of a load does.
func (p *Pool) Survey(op uint64, q Question) {
	p.call(op, &call{request: request{task: surveyModule, module: kernel.Module{Name: q.Module}, able: asJSON(q)}})
}

// Tend sees to the placeholders of a module's devices. Its result comes as that of a load does.
func (p *Pool) Tend(op uint64, module string, what Placeholders) {
	p.call(op, &call{request: request{task: tendNodes, module: kernel.Module{Name: module}, able: asJSON(what)}})
}

// surveyed reads what a worker has found.
func surveyed(found string) *Survey {
	s := new(Survey)
	if found != "" && json.NewDecoder(strings.NewReader(found)).Decode(s) != nil {
		s.Says = "the worker's answer can't be read"
	}
	return s
}
