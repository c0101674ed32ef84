package kernel

import (
	"os"
	"strings"
)

// Parameter returns the value that a parameter of a module has now, as
// /sys/module/NAME/parameters shows it, up to 4 KiB. Not shown are those whose
// driver hides them, and those that this process may not read.
func (s System) Parameter(module, name string) (value string, shown bool) {
	if strings.Contains(name, "/") {
		return "", false // names are from files that may be anybody's
	}
	file := s.sys("module/" + module + "/parameters/" + name)
	f, err := os.Open(file)
	if err != nil {
		return "", false
	}
	f.Close()
	return strings.TrimSuffix(read(file), "\n"), true
}

// Taints returns the letters by which the kernel remembers that a module is in, ""
// for none (Documentation/admin-guide/tainted-kernels.rst).
func (s System) Taints(module string) string { return firstLine(s.sys("module/" + module + "/taint")) }
