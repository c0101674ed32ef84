package kernel

import (
	"os"

	"golang.org/x/sys/unix"
)

// ProbeFile is the file that [System.Probe] writes to for devices of a bus.
func (s System) ProbeFile(bus string) string { return s.sys("bus/" + bus + "/drivers_probe") }

// Probe has the drivers of a bus try a device that none of them has, by writing
// its name to the bus's drivers_probe (drivers_probe_store in
// drivers/base/bus.c). It returns when they have, which may be never; whether
// one took the device, its driver link tells. The error is an [*Error].
func (s System) Probe(device string, f *os.File) error {
	_, err := unix.Write(int(f.Fd()), []byte(device))
	if err == nil {
		return nil
	}
	e := &Error{Op: "probe", Module: device, File: f.Name(), Errno: asErrno(err), Words: "look in dmesg"}
	if e.Errno == unix.ENODEV {
		e.Words = "the device has gone"
	}
	return e
}
