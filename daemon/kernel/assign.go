package kernel

import (
	"errors"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// An Owner says who is to have a device.
type Owner uint8

// The owners of devices. The numbers travel to the workers.
const (
	Anybody  Owner = iota + 1 // whatever matches
	Nobody                    // no driver
	OfModule                  // the driver of a module
)

// An Assignment says who is to have which device.
type Assignment struct {
	Path   string // DEVPATH
	Bus    string // its subsystem
	Owner  Owner
	Module string // of OfModule
	Gently bool   // not if that takes it from a driver while it is in use
	// Ours says that what its driver_override holds now is, or may be, by our
	// doing. What somebody else has written there is not given another driver's
	// name, nor taken away.
	Ours bool
}

// An Assigned is what has come of an assignment, as far as it went.
type Assigned struct {
	// Module is the one whose driver has the device now, "" for none, or for
	// one that is built in and has no directory in /sys/module.
	Module string
	// Held says that something was done about the device that has to be undone
	// when the rules say nothing of it any more.
	Held bool
}

// OpInUse is the operation of an [*Error] of a device that was left alone
// because somebody uses it: its words say who.
const OpInUse = "use"

// overridden is the driver_override of a device that is for no driver: there is
// none of that name.
const overridden = "kmodd-denies-it"

// Assign sees to it who has a device. It takes the device's lock, so it returns
// when a probe that is under way has ended, and those of a driver that has just
// been registered have, which may be never. inUse says by
// whom the device, or what hangs below it, is used, "" by nobody. The error is an
// [*Error].
//
// Where the bus has one, driver_override keeps other drivers away (PCI, platform
// and others: Documentation/ABI/testing/sysfs-bus-pci), and of an interface of a
// USB device "authorized" keeps all (Documentation/usb/authorization.rst). On
// other buses a driver that comes later can take the device.
func (s System) Assign(a Assignment, inUse func(devpath string) string) (Assigned, error) {
	d := assignee{Assignment: a, system: s, dir: s.sys(a.Path), name: path.Base(a.Path)}
	if unix.Access(d.dir, unix.F_OK) != nil {
		return Assigned{}, d.fault(unix.ENODEV, "the device has gone")
	}
	err := d.refuseIfInUse(inUse)
	if err == nil {
		switch a.Owner {
		case Nobody:
			err = d.toNobody()
		case OfModule:
			err = d.toModule()
		default:
			err = d.toAnybody()
		}
	}
	return Assigned{Module: d.module(), Held: d.held(err)}, err
}

// An assignee is a device that is being assigned.
type assignee struct {
	Assignment
	system    System
	dir, name string
	wrote     bool // its driver_override
}

func (d *assignee) fault(errno error, words string) error {
	return &Error{Op: "assign", Module: d.name, Errno: asErrno(errno), Words: words}
}

// driver is the driver that has the device, "" for none.
func (d *assignee) driver() string { return linked(d.dir + "/driver") }

// module is the one that its driver belongs to.
func (d *assignee) module() string { return linked(d.dir + "/driver/module") }

// linked is the last part of what a link leads to, "" if there is none.
func linked(link string) string {
	to, err := os.Readlink(link)
	if err != nil {
		return ""
	}
	return path.Base(to)
}

// refuseIfInUse refuses to take a device that somebody uses from its driver.
func (d *assignee) refuseIfInUse(inUse func(string) string) error {
	if !d.Gently || d.Owner == Anybody || d.driver() == "" || d.Owner == OfModule && d.module() == d.Module {
		return nil
	}
	if by := inUse(d.Path); by != "" {
		return &Error{Op: OpInUse, Module: d.name, Words: by}
	}
	return nil
}

func (d *assignee) toNobody() error {
	if d.isInterface() { // which the kernel then takes from its driver
		if err := d.write("authorized", "0"); err != nil {
			return d.fault(err, "its bus can't be told that it is not authorized")
		}
		return nil
	}
	if d.has("driver_override") {
		if err := d.write("driver_override", overridden); err != nil {
			return d.fault(err, "its bus can't be told that no driver may have it")
		}
	}
	return d.unbind()
}

func (d *assignee) toAnybody() error {
	switch {
	case d.isInterface():
		if firstLine(d.dir+"/authorized") == "0" {
			if err := d.write("authorized", "1"); err != nil {
				return d.fault(err, "its bus can't be told that it is authorized")
			}
		}
	case d.has("driver_override") && d.Ours:
		if err := d.write("driver_override", "\n"); err != nil {
			return d.fault(err, "its bus can't be told that any driver may have it")
		}
	}
	if d.driver() != "" {
		return nil
	}
	// What comes of it the driver link tells: a probe's own failure is its own.
	err := d.system.write(d.busDir()+"/drivers_probe", d.name)
	if errors.Is(err, unix.ENODEV) {
		return d.fault(err, "the device has gone")
	}
	return nil
}

// toModule gives the device to the first driver of the module that takes it.
func (d *assignee) toModule() error {
	if d.module() == d.Module {
		return nil
	}
	drivers := d.drivers()
	if len(drivers) == 0 {
		return d.fault(unix.ENODEV, d.Module+" has no driver for devices of "+d.Bus)
	}
	var err error
	for _, driver := range drivers {
		if d.driver() == driver {
			return nil // of a driver that is built in
		}
		if err = d.toDriver(driver); err == nil {
			return nil
		}
	}
	return err
}

func (d *assignee) toDriver(driver string) error {
	if d.has("driver_override") {
		if by := d.override(); by != "" && by != overridden && !d.Ours {
			return d.fault(unix.EPERM, "somebody has given it to driver "+by+" by its driver_override, which counts for more")
		}
		d.wrote = true
		if err := d.write("driver_override", driver); err != nil {
			return d.fault(err, "its bus can't be told which driver may have it")
		}
	}
	if err := d.unbind(); err != nil {
		return err
	}
	err := d.system.write(d.busDir()+"/drivers/"+driver+"/bind", d.name)
	switch {
	case err == nil, d.driver() == driver:
		return nil
	case errors.Is(err, unix.ENODEV):
		return d.fault(err, "driver "+driver+" does not take it: it is not made for such a device, or its probe has found that it is not")
	case errors.Is(err, unix.EAGAIN):
		return d.fault(err, "driver "+driver+" waits for another device that this one needs")
	case errors.Is(err, unix.ENOENT):
		return d.fault(err, "driver "+driver+" can't be told to take a device")
	}
	return d.fault(err, "driver "+driver+" did not take it: look in dmesg")
}

// unbind takes the device from its driver, if it has one.
func (d *assignee) unbind() error {
	driver := d.driver()
	if driver == "" {
		return nil
	}
	dir := d.busDir() + "/drivers/" + driver
	d.awaitRegistered(driver, dir)
	err := d.system.write(dir+"/unbind", d.name)
	if err != nil && d.driver() == driver {
		return d.fault(err, "driver "+driver+" does not let go of it")
	}
	return nil
}

// awaitRegistered waits until a driver can be told to let go of a device. The
// uevent that it has taken one comes before that if others of its devices are
// probed after that one: bus_add_driver in drivers/base/bus.c makes the driver's
// uevent file, and then its unbind file if it has one, after all of them.
func (d *assignee) awaitRegistered(driver, dir string) {
	isRegistered := func() bool { return unix.Access(dir+"/uevent", unix.F_OK) == nil }
	if isRegistered() {
		return
	}
	for pause := 10 * time.Millisecond; !isRegistered() && d.driver() == driver; pause = min(2*pause, 5*time.Second) {
		time.Sleep(pause)
	}
	time.Sleep(10 * time.Millisecond) // between the two files
}

// drivers lists the drivers of the module on the device's bus. One that is
// built in has no list, and then a driver of its name is meant.
func (d *assignee) drivers() (names []string) {
	dirs, _ := kernfs.Drivers(d.system.sys(""), d.Module)
	for _, dir := range dirs {
		if driver, ok := strings.CutPrefix(dir, "/bus/"+d.Bus+"/drivers/"); ok {
			names = append(names, driver)
		}
	}
	if names != nil {
		return names
	}
	for _, name := range [...]string{d.Module, strings.ReplaceAll(d.Module, "_", "-")} {
		if unix.Access(d.busDir()+"/drivers/"+name, unix.F_OK) == nil {
			return []string{name}
		}
	}
	return nil
}

// held tells whether something has to be undone about the device when err is how
// its assignment has ended: on a bus that can't keep drivers away, the denied one
// has to be tried by them again.
func (d *assignee) held(err error) bool {
	switch {
	case d.isInterface():
		return firstLine(d.dir+"/authorized") == "0"
	case d.Owner == Nobody:
		return err == nil || d.override() == overridden
	}
	by := d.override()
	return by == overridden || by != "" && (d.wrote || d.Ours)
}

// override is the driver that its driver_override names, "" for none.
func (d *assignee) override() string {
	if by := firstLine(d.dir + "/driver_override"); by != "(null)" {
		return by
	}
	return ""
}

func (d *assignee) busDir() string { return d.system.sys("bus/" + d.Bus) }

func (d *assignee) has(file string) bool { return unix.Access(d.dir+"/"+file, unix.F_OK) == nil }

// isInterface tells whether it is an interface of a USB device that can be
// refused.
func (d *assignee) isInterface() bool { return d.has("bInterfaceNumber") && d.has("authorized") }

func (d *assignee) write(file, text string) error { return d.system.write(d.dir+"/"+file, text) }

// write writes to a file of sysfs that is there. It does not use package os, which
// would make a poller.
func (s System) write(file, text string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}
