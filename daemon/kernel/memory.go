package kernel

import (
	"bytes"
	"strconv"
)

// own are the lines of /proc/meminfo that count memory of the kernel's own which it
// can't give up: what drivers have allocated by kmalloc, vmalloc and for each
// processor, modules' code and data among it. Pages that a driver takes one by one,
// as for transfers, are in none of them.
var own = [...]string{"SUnreclaim:", "VmallocUsed:", "Percpu:", "KernelStack:"}

// Size is how much of memory a module's code and data take, in bytes, 0 if the
// kernel doesn't say (/sys/module/NAME/coresize). What it has allocated is not in it.
func (s System) Size(module string) int64 {
	size, _ := strconv.ParseInt(firstLine(s.sys("module/"+module+"/coresize")), 10, 64)
	return size
}

// Memory is how much memory the kernel itself uses, in bytes, and whether that is
// known. Each processor counts for itself, and adds that up once a second; here they
// are told to do it at once, unless there are some that must not be disturbed.
func (s System) Memory() (size int64, known bool) {
	if firstLine(s.sys("devices/system/cpu/isolated")) == "" {
		read(s.proc("sys/vm/stat_refresh")) // an empty file: reading does it
	}
	text := read(s.proc("meminfo"))
	for line := range bytes.Lines([]byte(text)) {
		fields := bytes.Fields(line)
		if len(fields) < 2 {
			continue
		}
		for _, name := range own {
			if string(fields[0]) != name {
				continue
			}
			kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err != nil {
				return 0, false
			}
			size, known = size+kib<<10, true
		}
	}
	return size, known
}
