package daemon

import (
	"unique"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/uevent"
	"github.com/kmodd/kmodd/rules"
)

// A sink turns what the uevent source reads into events of the machine. Only
// what the machine keeps is copied out of the source's buffers.
type sink struct{ loop *loop }

var _ uevent.Sink = sink{}

// Event passes a uevent on, if it is about a module or about a device that has
// a MODALIAS or may have had one. What somebody has written to a uevent file can
// ask for the driver of a device, as "udevadm trigger --action=add" does for all;
// all else of that kind has not happened.
func (s sink) Event(e *uevent.Event) {
	name, isModule := e.Module()
	switch {
	case (isModule || e.Action != uevent.Add) && isSynthetic(e):
		return
	case isModule:
		s.module(string(name), e.Action)
		return
	}
	switch e.Action {
	case uevent.Add:
		if len(e.Firmware) > 0 {
			s.loop.book.duties.answerFirmware("/sys", string(e.Path), string(e.Firmware), s.loop.log)
		}
		if len(e.Modalias) > 0 {
			s.loop.post(core.Seen{Device: s.device(e), Synthetic: isSynthetic(e)})
		}
	case uevent.Remove:
		s.loop.post(core.Gone{Path: string(e.Path)})
	case uevent.Move:
		s.loop.post(core.Moved{From: string(e.OldPath), To: string(e.Path)})
	case uevent.Bind:
		s.loop.post(core.Bound{Path: string(e.Path), Driver: intern(e.Driver)})
	case uevent.Unbind:
		s.loop.post(core.Bound{Path: string(e.Path)})
	}
}

// isSynthetic tells whether a uevent is one that somebody has written to a uevent file
// (Documentation/ABI/testing/sysfs-uevent).
func isSynthetic(e *uevent.Event) bool {
	_, synthetic := e.Variable("SYNTH_UUID")
	return synthetic
}

// module passes on a module's uevent. The kernel sends add when the init
// function has returned (do_init_module in kernel/module/main.c), so it means
// live.
func (s sink) module(name string, action uevent.Action) {
	switch action {
	case uevent.Add:
		s.loop.post(core.ModuleIs{Name: name, State: control.Live})
	case uevent.Remove:
		s.loop.post(core.ModuleIs{Name: name, State: control.Absent})
	}
}

// Device passes on what a scan has met.
func (s sink) Device(scan uint32, e *uevent.Event) {
	s.loop.post(core.Seen{Device: s.device(e), Scan: scan})
}

// Module passes on what a scan has met.
func (s sink) Module(scan uint32, name []byte, state string) {
	s.loop.post(core.ModuleIs{Name: string(name), State: control.State(state), Scan: scan})
}

// Scanned ends a scan.
func (s sink) Scanned(scan uint32, skipped int) {
	s.loop.post(core.Scanned{Scan: scan, Skipped: skipped})
}

// CaughtUp passes on that the kernel's socket was read to its end.
func (s sink) CaughtUp(mark uint32) {
	if mark == lifeMark {
		s.loop.watchdog.answered <- struct{}{}
		return
	}
	s.loop.post(core.CaughtUp{Mark: mark})
}

// Lost passes on that events were lost.
func (s sink) Lost() { s.loop.post(core.Lost{}) }

func (s sink) device(e *uevent.Event) rules.Device {
	return rules.Device{
		Path:      string(e.Path),
		Subsystem: intern(e.Subsystem),
		Modalias:  string(e.Modalias),
		Driver:    intern(e.Driver),
		Env:       s.variables(e),
	}
}

// variables are those of a device's variables that rules ask for.
func (s sink) variables(e *uevent.Event) (env []string) {
	names := s.loop.variables.Load()
	if names == nil {
		return nil
	}
	for _, name := range *names {
		if value, ok := e.Variable(name); ok {
			env = append(env, intern([]byte(name+"="+string(value))))
		}
	}
	return env
}

// intern keeps one copy of the few words that many devices share.
func intern(word []byte) string { return unique.Make(string(word)).Value() }
