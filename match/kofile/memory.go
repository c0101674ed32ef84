package kofile

import "strings"

// Of elf(5), what a section is in memory.
const (
	writable   = 1 // SHF_WRITE
	allocated  = 2 // SHF_ALLOC
	executable = 4 // SHF_EXECINSTR
)

// page is the size of pages on nearly all machines.
const page = 4096

// Memory says about how much memory the module's code and data will take while it is in
// the kernel, in bytes: of its sections, those that stay after its init function, in
// whole pages of code, of constants and of data (layout_sections in
// kernel/module/main.c). What the kernel keeps of its symbols comes on top, and
// what it allocates. The error is an [*Error].
func (f *File) Memory() (size int64, err error) {
	var parts [8]int64
	err = f.each(func(name string, s section) {
		discarded := strings.HasPrefix(name, ".init") || name == ".modinfo" || strings.HasPrefix(name, "__version")
		if s.flags&allocated != 0 && !discarded {
			parts[s.flags&(writable|executable)] += int64(min(s.bytes, 1<<40))
		}
	})
	for _, bytes := range parts {
		size += (bytes + page - 1) / page * page
	}
	return size, err
}
