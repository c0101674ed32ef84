package daemon

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mapping is a range of addresses, of pages that a file has and nobody can
// write to.
type mapping struct{ from, to uintptr }

// ownFile finds where this program's file is mapped: its instructions and
// constants. It returns an empty list, not nil, if that can't be found out.
func ownFile() []mapping {
	parts := []mapping{}
	file, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return parts
	}
	// Addresses go up, and a program that is not relocated is at the lowest.
	var maps [1024]byte
	for line := range strings.Lines(string(maps[:readStart("/proc/self/maps", maps[:])])) {
		if m, ok := parseMapping(line, file); ok {
			parts = append(parts, m)
		}
	}
	return parts
}

// parseMapping reads a line of /proc/PID/maps (proc_pid_maps(5)), such as
//
//	00400000-0059c000 r-xp 00000000 08:01 5334    /usr/sbin/kmodd
//
// and reports whether it is about that file, and not writable.
func parseMapping(line, file string) (mapping, bool) {
	line, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "/")
	fields := strings.Fields(line)
	if "/"+path != file || len(fields) < 2 || strings.Contains(fields[1], "w") {
		return mapping{}, false
	}
	first, last, _ := strings.Cut(fields[0], "-")
	from, err := strconv.ParseUint(first, 16, strconv.IntSize)
	if err != nil {
		return mapping{}, false
	}
	to, err := strconv.ParseUint(last, 16, strconv.IntSize)
	if err != nil || from >= to {
		return mapping{}, false
	}
	return mapping{uintptr(from), uintptr(to)}, true
}

// release lets go of the pages. The kernel maps 16 of them at each fault, needed
// or not (fault_around_bytes in mm/memory.c), so that after some work nearly
// all of a file is. A page that is needed again costs another fault, and no
// reading from disk as long as the page cache has it.
func (m mapping) release() {
	// The only error is of a range that is not mapped.
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
}
