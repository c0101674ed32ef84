package kernel

import (
	"strconv"
	"strings"
	"time"
)

// Pressure is for how long, since the kernel's start, some task that could have run has
// waited for a processor, to the microsecond (Documentation/accounting/psi.rst), and
// whether the kernel tells: some are built, or booted, not to.
func (s System) Pressure() (stalled time.Duration, known bool) {
	some, _, _ := strings.Cut(read(s.proc("pressure/cpu")), "\n")
	_, total, _ := strings.Cut(some, "total=")
	us, err := strconv.ParseInt(total, 10, 64)
	return time.Duration(us) * time.Microsecond, err == nil && strings.HasPrefix(some, "some ")
}
