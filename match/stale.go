package match

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// stamped are the files whose change makes other tables: all that this package
// reads, and those that package modprobed reads beside them.
var stamped = [...]string{
	"modules.dep", "modules.dep.bin",
	"modules.alias", "modules.alias.bin",
	"modules.symbols", "modules.symbols.bin",
	"modules.builtin", "modules.builtin.bin",
	"modules.builtin.modinfo", "modules.builtin.alias.bin",
	"modules.softdep", "modules.weakdep",
}

// A stamp tells one state of a file from another. It is zero for none.
type stamp struct {
	device, inode uint64
	size          int64
	changed       unix.Timespec
}

func takeStamps(dir string) []stamp {
	stamps := make([]stamp, len(stamped))
	for i, name := range stamped {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, name), &st) == nil {
			stamps[i] = stamp{uint64(st.Dev), uint64(st.Ino), int64(st.Size), st.Ctim}
		}
	}
	return stamps
}

// Stale reports whether the files in the directory are no longer those that
// the tables were made from: depmod ran, or began to. It asks the kernel about
// a dozen names, some ten microseconds altogether, and reads no file.
func (t *Tables) Stale() bool {
	if t.stamps == nil {
		return false
	}
	for i, now := range takeStamps(t.dir) {
		if now != t.stamps[i] {
			return true
		}
	}
	return false
}
