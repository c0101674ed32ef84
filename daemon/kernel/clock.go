package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// SinceBoot is the time since the kernel's start without that spent suspended, on
// CLOCK_MONOTONIC (clock_gettime(2)), which is the clock of dmesg. It is the same in all
// processes, so that what workers measure stands beside what the daemon does.
func SinceBoot() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails for unknown clocks only
	return time.Duration(ts.Nano())
}
