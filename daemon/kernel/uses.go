package kernel

import (
	"os"
	"slices"
)

// Drives names a device that a driver of a module has, "" if there is none. Its
// reference count does not tell: it does not count those.
func (s System) Drives(module string) string {
	dir := s.sys("module/" + module + "/drivers")
	drivers, _ := os.ReadDir(dir)
	for _, driver := range drivers {
		entries, _ := os.ReadDir(dir + "/" + driver.Name()) // what the link leads to
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
