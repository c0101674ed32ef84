package daemon

import (
	"bytes"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kmsg"
)

// deferredList is where the kernel lists the devices whose probe waits for a
// supplier, one a line, the name before a tab (drivers/base/dd.c). It is there
// if debugfs is mounted.
const deferredList = "/sys/kernel/debug/devices_deferred"

// look says what has become of a device: which driver has it, or else whether
// one wants it but waits, and what the kernel said of it. After a coldplug that is asked of a hundred devices, so
// the usual answers leave no garbage.
//
// It must not read waiting_for_supplier, which would tell more: the kernel takes
// the device's lock to show it, a probe that ends well removes it while it holds
// that lock, and so both wait for ever (drivers/base/core.c:
// waiting_for_supplier_show, device_links_driver_bound). Nothing else of a
// device's that takes its lock may be read here either, since that would wait
// for a probe's end.
func (l *loop) look(e core.Look) core.Looked {
	dir := "/sys" + e.Path
	var link [512]byte // a driver's is some hundred bytes
	if n, err := unix.Readlink(dir+"/driver", link[:]); err == nil {
		driver := link[bytes.LastIndexByte(link[:n], '/')+1 : n]
		return core.Looked{Path: e.Path, Driver: intern(driver), Probing: registering(dir)}
	}
	name := filepath.Base(e.Path)
	return core.Looked{
		Path:     e.Path,
		Deferred: isDeferred(name),
		Log:      l.kmsg.About(kmsg.Question{Bus: e.Subsystem, Device: name}),
		Firmware: l.kmsg.Missing(e.Subsystem, name),
	}
}

// registering tells whether the driver of a device is still being registered.
// The kernel links it to its module when it has been offered all devices, and
// their probes have ended (drivers/base/bus.c: bus_add_driver). A built-in
// driver may never have that link.
func registering(device string) bool {
	return unix.Faccessat(unix.AT_FDCWD, device+"/driver/module", unix.F_OK, 0) == unix.ENOENT
}

func isDeferred(name string) bool {
	var first [1]byte
	if readStart(deferredList, first[:]) == 0 {
		return false
	}
	list, err := os.ReadFile(deferredList)
	return err == nil && lists(list, name)
}

// lists tells whether a line begins with the name.
func lists(list []byte, name string) bool {
	for line := range bytes.Lines(list) {
		first, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte("\t"))
		if string(first) == name {
			return true
		}
	}
	return false
}

// readStart reads the beginning of a file, and returns how much of it there
// is: 0 of one that can't be read.
func readStart(file string, buf []byte) int {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	n, _ := unix.Read(fd, buf)
	return max(n, 0)
}
