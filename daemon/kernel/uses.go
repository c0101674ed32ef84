package kernel

import (
	"os"
	"slices"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// Drives names a device that a driver of a module has, "" if there is none. Its
// reference count does not tell: it does not count those.
func (s System) Drives(module string) string {
	drivers, _ := kernfs.Drivers(s.sys(""), module)
	for _, driver := range drivers {
		entries, _ := os.ReadDir(s.sys(driver))
		for _, e := range entries {
			if e.Type()&os.ModeSymlink != 0 && e.Name() != "module" {
				return e.Name()
			}
		}
	}
	return ""
}

// Uses says who is using a module: its reference count, which counts open
// devices and modules that need it, and -1 where the kernel doesn't say; and the
// modules among those, sorted by name.
func (s System) Uses(module string) (references int, holders []string) {
	return s.references(module), slices.Sorted(slices.Values(s.Holders(module)))
}
