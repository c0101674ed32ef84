package usage

import (
	"strconv"
	"strings"
)

// bluetooth answers for a controller: it is up or down. What else is of the class
// are connections, which are below a controller that is up.
func bluetooth(q *inquiry, d *device) []Finding {
	digits, ok := strings.CutPrefix(d.name(), "hci")
	n, err := strconv.ParseUint(digits, 10, 16)
	if !ok || err != nil {
		return []Finding{d.finding(KindBluetooth, InUse, "there is the connection %s", d.name())}
	}
	up, err := q.kernel.bluetooth(int(n))
	switch {
	case err != nil && !q.walk.exists(d.path):
		return nil // it has gone
	case err != nil:
		return []Finding{d.finding(KindBluetooth, Unknown, "whether %s is up can't be seen: %v", d.name(), err)}
	case up:
		return []Finding{d.finding(KindBluetooth, InUse, "%s is up", d.name())}
	}
	return []Finding{d.finding(KindBluetooth, Idle, "%s is down", d.name())}
}
