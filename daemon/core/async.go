package core

import (
	"fmt"
	"slices"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
)

// Async says how a module's drivers are to probe: see kernel.Async, whose numbers
// these are.
type Async uint8

// How they may probe.
const (
	AsyncNever   Async = iota
	AsyncUnasked       // as the driver prefers; but it is found out whether it could
	AsyncIfSafe
	AsyncAlways
)

// Requests says whether a module may have others loaded while its driver probes: see
// kernel.Requests, whose numbers these are.
type Requests uint8

// What is known of that.
const (
	MayRequest Requests = iota
	RequestsNone
	RequestsOthers
)

// A probing is how a module's drivers were had to probe, and why.
type probing uint8

const (
	probedAsOwn    probing = iota // nothing was decided yet
	probedByRule                  // asynchronously
	probedSafely                  // likewise
	ruledOut                      // not so, as all below
	kernelCannot                  // it does not know the parameter
	nobodyWaits                   // no device asked for it
	othersFollow                  // other drivers may take its device
	numbersDevices                // it has several devices
	keepsNames                    // the order of probes gives names
	returnsInOpen                 // it sleeps and wakes
	needMayRequest                // something that it needs may request others
	mayRequest                    // it may itself
	notLookedInto                 // its file is packed
)

var probingWords = [...]string{
	probedByRule:   "asynchronously, as a rule says",
	probedSafely:   "asynchronously: nothing speaks against it",
	ruledOut:       "one after the other, as a rule says",
	kernelCannot:   "one after the other: this kernel has no async_probe",
	nobodyWaits:    "one after the other: no device asked for it",
	othersFollow:   "one after the other: other drivers may take its device",
	numbersDevices: "one after the other: it has several devices, which get their numbers in the order of probes",
	keepsNames:     "one after the other: the order of probes gives its devices their names, and no udevd is there that would give them others",
	returnsInOpen:  "one after the other: somebody may wait for it in an open()",
	needMayRequest: "one after the other: what it needs may load other modules by itself, or nobody knows",
	mayRequest:     "one after the other: it may load other modules by itself",
	notLookedInto:  "one after the other: its file is packed, and was not looked into",
}

// chooseProbing says how a module that is about to go in is to have its drivers probe,
// and which files a worker must look into before it can say that this is safe.
// An asynchronous probe during which another module is requested may never end, if
// that one's load waits for all such probes (kernel/module/kmod.c,
// async_synchronize_full in kernel/module/main.c).
func (m *Machine) chooseProbing(mod *module) (how Async, look []string) {
	how = AsyncUnasked
	switch said := mod.step.Async; {
	case m.syncOnly:
		mod.probing = kernelCannot
		return AsyncNever, nil
	case mod.step.Install != "":
		return AsyncNever, nil
	case said == policy.Sync:
		mod.probing = ruledOut
	case said == policy.Async:
		mod.probing, how = probedByRule, AsyncAlways
	default:
		if mod.probing = m.unsafe(mod); mod.probing == probedAsOwn {
			return AsyncIfSafe, m.unknownNeeds(mod)
		}
	}
	return how, nil
}

// unsafe says what speaks against asynchronous probes, as far as that can be told
// without the module's file; probedAsOwn for nothing.
func (m *Machine) unsafe(mod *module) probing {
	dev := m.device(mod.wantedBy)
	switch {
	case dev == nil || !dev.matches(mod.name) || mod.step.Soft:
		return nobodyWaits
	case len(dev.verdict.Modules) > 1 || owned(&dev.verdict.Decision) || m.hasSiblings(dev):
		return othersFollow
	case m.matching(mod) > 1:
		return numbersDevices
	case m.limits.KeepNames && m.set.Naming(mod.step, dev.Modalias) != "":
		return keepsNames
	case m.restOf(mod) != nil || mod.outing != nil:
		return returnsInOpen
	}
	if m.anyModule(mod.step.Needs, func(need *module) bool { return need.requests == RequestsOthers }) {
		return needMayRequest
	}
	return probedAsOwn
}

// unknownNeeds are the files of the modules that one needs of which it is not known yet
// whether they may request others: their loads have not ended, or were not ours.
func (m *Machine) unknownNeeds(mod *module) (files []string) {
	for _, s := range m.device(mod.wantedBy).verdict.Steps {
		if slices.Contains(mod.step.Needs, s.Module) && m.module(s.Module).requests == MayRequest {
			files = append(files, s.File)
		}
	}
	return files
}

// isKnown tells whether there is nothing to find out about a module's file: it was looked
// into under these rules, and names no firmware, which may have come or gone since.
func (m *Machine) isKnown(mod *module) bool {
	return mod.requests != MayRequest && !mod.needy
}

// matching counts the devices that ask for a module themselves.
func (m *Machine) matching(mod *module) (n int) {
	for _, dev := range m.devices {
		if dev.matches(mod.name) {
			n++
		}
	}
	return n
}

// hasSiblings tells whether a device is one of several interfaces of a USB device,
// of which one driver may take more than one.
func (m *Machine) hasSiblings(dev *device) bool {
	switch {
	case dev.Subsystem != "usb":
		return false
	case m.sibling(dev) != nil:
		return true
	}
	i, _ := m.find(dev.Path)
	for _, next := range m.devices[i+1:] {
		if before := m.sibling(next); before != nil {
			return before == dev
		}
		if next.Subsystem != "usb" {
			continue
		}
		return false
	}
	return false
}

// probedSo takes in how a module's drivers were had to probe after all.
func (m *Machine) probedSo(mod *module, e Done) {
	if mod.known {
		e.Requests, e.NamesFirmware = mod.requests, mod.needy
	}
	mod.requests, mod.needy = e.Requests, e.NamesFirmware
	switch {
	case mod.probing != probedAsOwn || mod.step.Install != "":
	case e.Async:
		mod.probing = probedSafely
	case e.Requests == RequestsOthers:
		mod.probing = mayRequest
	case e.Requests == MayRequest:
		mod.probing = notLookedInto
	default:
		mod.probing = needMayRequest
	}
	if e.NoAsync && !m.syncOnly {
		m.syncOnly = true
		m.note("limits", "", "", reason("kernel", fmt.Sprintf("it does not know async_probe, which %s was loaded with: no other will be", mod.name)))
	}
}

// keepOrder has a module that a device matches come after the last one of those that
// give names to devices of the same kind, where nobody gives them others.
func (m *Machine) keepOrder(s rules.Step, by string) rules.Step {
	dev := m.asker(by)
	if !m.limits.KeepNames || dev == nil || !dev.matches(s.Module) {
		return s
	}
	kind := m.set.Naming(s, dev.Modalias)
	if kind == "" {
		return s
	}
	before := m.naming[kind]
	m.naming[kind] = s.Module
	if mod := m.modules[before]; mod != nil && before != s.Module && mod.pending() {
		s.After = append(s.After[:len(s.After):len(s.After)], before)
	}
	return s
}

// probingWords say how a module's drivers were had to probe, "" for nothing.
func (mod *module) probingWords() string {
	if !mod.ours && mod.state != control.InLoad {
		return ""
	}
	return probingWords[mod.probing]
}
