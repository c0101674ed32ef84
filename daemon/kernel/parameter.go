package kernel

import (
	"fmt"
	"os"
	"strings"
)

// Parameter returns the value that a parameter of a module has now, as
// /sys/module/NAME/parameters shows it. Not shown are those whose driver hides them,
// and those that this process may not read.
func (s System) Parameter(module, name string) (value string, shown bool) {
	if strings.Contains(name, "/") {
		return "", false // names are from files that may be anybody's
	}
	text, err := os.ReadFile(s.sys("module/" + module + "/parameters/" + name))
	return strings.TrimSuffix(string(text), "\n"), err == nil
}

// Taints returns the letters by which the kernel remembers that a module is in, ""
// for none (Documentation/admin-guide/tainted-kernels.rst).
func (s System) Taints(module string) string { return firstLine(s.sys("module/" + module + "/taint")) }

// Parameters lists the parameters of a module that the kernel shows, sorted.
func (s System) Parameters(module string) (names []string) {
	entries, _ := os.ReadDir(s.sys("module/" + module + "/parameters")) // without any there is no directory
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Settable says whether root can set a parameter of a module while that is in.
func (s System) Settable(module, name string) bool {
	if strings.Contains(name, "/") {
		return false
	}
	info, err := os.Stat(s.sys("module/" + module + "/parameters/" + name))
	return err == nil && info.Mode()&0o200 != 0
}

// SetParameter sets a parameter of a module that is in. The error says what the kernel, or
// the module, has answered.
func (s System) SetParameter(module, name, value string) error {
	if !s.Settable(module, name) {
		return fmt.Errorf("set %s of %s: the module does not let anybody", name, module)
	}
	text := value
	if text == "" {
		text = "\x00" // of a write of nothing the kernel does not hear
	}
	if err := s.write(s.sys("module/"+module+"/parameters/"+name), text); err != nil {
		return fmt.Errorf("set %s of %s to %q: %w", name, module, value, err)
	}
	return nil
}
