package daemon

import (
	"bytes"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/core"
)

// deferredList is where the kernel lists the devices whose probe waits for a
// supplier, one a line, the name before a tab (drivers/base/dd.c). It is there
// if debugfs is mounted.
const deferredList = "/sys/kernel/debug/devices_deferred"

// look says what has become of a device: which driver has it, and whether one
// wants it but waits. After a coldplug that is asked of a hundred devices, so
// the usual answers leave no garbage.
//
// It must not read waiting_for_supplier, which would tell more: the kernel takes
// the device's lock to show it, a probe that ends well removes it while it holds
// that lock, and so both wait for ever (drivers/base/core.c:
// waiting_for_supplier_show, device_links_driver_bound). Nothing else of a
// device's that takes its lock may be read here either, since that would wait
// for a probe's end.
func look(path string) core.Looked {
	dir := "/sys" + path
	var link [512]byte // a driver's is some hundred bytes
	if n, err := unix.Readlink(dir+"/driver", link[:]); err == nil {
		return core.Looked{Path: path, Driver: intern(link[bytes.LastIndexByte(link[:n], '/')+1 : n])}
	}
	return core.Looked{Path: path, Deferred: isDeferred(filepath.Base(path))}
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
