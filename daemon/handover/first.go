package handover

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// FirstFile is the name of one that the first daemon of a boot writes: the kernel's
// boot_id, and when that daemon began, in nanoseconds since the kernel's start.
const FirstFile = "first"

// First returns when the first daemon of this boot began. That is now, which is written
// down, if no other one has. Without a boot_id it is not known, and 0.
func First(dir, boot string, now time.Duration) (time.Duration, error) {
	if boot == "" {
		return 0, nil
	}
	name := filepath.Join(dir, FirstFile)
	text, _ := os.ReadFile(name) // without one this is the first
	of, at, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), " ")
	if n, err := strconv.ParseInt(at, 10, 64); err == nil && of == boot && 0 < n && n <= int64(now) {
		return time.Duration(n), nil
	}
	return now, Replace(name, fmt.Appendf(nil, "%s %d\n", boot, now))
}
