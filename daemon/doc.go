// Package daemon is the running service: what lies between [core.Machine],
// which decides and does nothing, and the kernel.
//
// # Who does what
//
// One goroutine, the loop, owns the machine. Everything else tells it what
// happened and does what it says:
//
//   - the uevent source reads the kernel's socket and scans sysfs,
//   - the rulebook reads module tables and configuration, and reads them again
//     when they change,
//   - the worker pool makes the calls that may never return,
//   - the control server asks on behalf of people.
//
// Each of them is a [Task]. [Run] starts them all and ends when the first one
// fails or the context ends.
//
// # Order
//
// The source binds its socket before anything else happens, and waits until
// the first rules are read before it scans: so no device is missed, and each
// is decided about once.
//
// # Signs of life
//
// Where the service manager asks for them (WatchdogSec=, systemd.service(5)),
// each is a question that goes from the loop to the uevent source and back: a
// daemon in which either of them hangs gives none, and is started again. Nothing
// is lost by that, since all that counts is in the kernel.
//
// # Where there is no udevd
//
// Some jobs that systemd's services and udevd do elsewhere are the daemon's where
// nobody else does them. It looks around once, at its start: what
// modules-load.d names is loaded unless systemd is process 1
// (/run/systemd/system); the device nodes of modules.devname are made unless
// that is so or a udevd runs (/run/udev/control); and the kernel's requests for
// firmware are answered unless that is so or the kernel starts mdev.
package daemon

import "context"

// A Task is one long-running piece of the daemon.
type Task interface {
	// Run works until the context ends, which is no error, or until it can't
	// go on.
	Run(context.Context) error
	// Ready is closed when the task does its work.
	Ready() <-chan struct{}
	// String names the task for people.
	String() string
}
