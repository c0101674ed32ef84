package main

import (
	"path"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/kmsg"
)

// kernelLog is the kernel's log, of another kernel in tests.
var kernelLog = kmsg.File

// lastWords is how many lines of the kernel's log are shown of one subject.
const lastWords = 4

// addKernelLog adds to a story what the kernel's log has about its devices and
// modules, where the daemon has not kept it: it keeps what was said of what
// failed. Without CAP_SYSLOG there is nothing to add.
func addKernelLog(s *control.Story) {
	var devices, modules []int // those to add to
	for i, d := range s.Devices {
		if len(d.Log) == 0 && d.Path != "" {
			devices = append(devices, i)
		}
	}
	for i, m := range s.Modules {
		if len(m.Log) == 0 && m.State == control.Live {
			modules = append(modules, i)
		}
	}
	_ = kmsg.All(kernelLog, func(r kmsg.Record) {
		for _, i := range devices {
			if d := &s.Devices[i]; r.Is(d.Subsystem, path.Base(d.Path)) {
				d.Log = withLast(d.Log, string(r.Text))
			}
		}
		for _, i := range modules {
			if m := &s.Modules[i]; len(r.Device) == 0 && r.Names(m.Name) {
				m.Log = withLast(m.Log, string(r.Text))
			}
		}
	})
}

// withLast adds a line, and drops the first one if there are too many.
func withLast(lines []string, line string) []string {
	if len(lines) == lastWords {
		lines = lines[1:]
	}
	return append(lines, line)
}
