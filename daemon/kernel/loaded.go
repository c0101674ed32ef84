package kernel

import (
	"os"
	"strconv"
	"strings"
)

// A Loaded is a module that is in the kernel, in any state.
type Loaded struct {
	Name       string
	Size       int64 // of its memory, in bytes; -1 if it has just gone
	References int   // as of [System.Uses]
}

// Loaded lists the modules in the kernel as /proc/modules does: the last one to
// come is the first.
func (s System) Loaded() ([]Loaded, error) {
	text, err := os.ReadFile(s.proc("modules"))
	if err != nil {
		return nil, err
	}
	var all []Loaded
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 2 {
			all = append(all, s.loaded(fields[0], fields[1]))
		}
	}
	return all, nil
}

// loaded is the module of a line. The size in it is, since Linux 3.3, no better
// than the one in sysfs, which does not count what is freed after the init.
func (s System) loaded(name, size string) Loaded {
	dir := s.sys("module/" + name)
	m := Loaded{Name: name, Size: -1, References: s.references(name)}
	if _, err := os.Stat(dir); err != nil {
		return m
	}
	if own := firstLine(dir + "/coresize"); own != "" {
		size = own
	}
	if n, err := strconv.ParseInt(size, 10, 64); err == nil {
		m.Size = n
	}
	return m
}

// references is a module's reference count, -1 where the kernel doesn't say.
func (s System) references(module string) int {
	n, err := strconv.Atoi(firstLine(s.sys("module/" + module + "/refcnt")))
	if err != nil {
		return -1
	}
	return n
}

// Holders lists the modules that use a module, in the order of the kernel.
func (s System) Holders(module string) []string {
	d, err := os.Open(s.sys("module/" + module + "/holders"))
	if err != nil {
		return nil
	}
	defer d.Close()
	holders, _ := d.Readdirnames(-1)
	return holders
}
