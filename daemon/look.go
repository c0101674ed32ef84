package daemon

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/daemon/core"
)

// deferredList is where the kernel lists the devices whose probe waits for a
// supplier, one a line, the name before a tab (drivers/base/dd.c). It is there
// if debugfs is mounted.
const deferredList = "/sys/kernel/debug/devices_deferred"

// look says what has become of a device: which driver has it, and whether one
// wants it but waits.
func look(path string) core.Looked {
	dir := "/sys" + path
	if driver, err := os.Readlink(dir + "/driver"); err == nil {
		return core.Looked{Path: path, Driver: filepath.Base(driver)}
	}
	return core.Looked{Path: path, Deferred: waitsForSupplier(dir) || isDeferred(filepath.Base(path))}
}

// waitsForSupplier reads what the driver core says of a device whose device
// links are not all there yet.
func waitsForSupplier(dir string) bool {
	word, err := os.ReadFile(dir + "/waiting_for_supplier")
	return err == nil && bytes.HasPrefix(word, []byte("1"))
}

func isDeferred(name string) bool {
	list, err := os.ReadFile(deferredList)
	if err != nil {
		return false
	}
	for line := range bytes.Lines(list) {
		first, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte("\t"))
		if string(first) == name {
			return true
		}
	}
	return false
}
