package usage

import (
	"bytes"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// arphrdCAN is the type of a CAN interface (ARPHRD_CAN).
const arphrdCAN = "280"

// network answers for a network interface: in use if it is up, part of another
// or has an address. Whether it is armed for wake-on-LAN the device above it
// says.
func network(q *inquiry, d *device) []Finding {
	flags, ok := parseFlags(q.walk.read(d.path + "/flags"))
	if !ok {
		if !q.walk.exists(d.path) {
			return nil // it has gone
		}
		return []Finding{d.finding(KindNetwork, Unknown, "the flags of %s can't be read", d.name())}
	}
	if flags&unix.IFF_UP != 0 {
		found := []Finding{d.finding(KindNetwork, InUse, "%s is up", d.name())}
		if string(q.walk.read(d.path+"/type")) == arphrdCAN {
			f := d.finding(KindNever, InUse, "%s is a CAN bus that is up", d.name())
			f.Never = true
			found = append(found, f)
		}
		return found
	}
	if d.upper != "" {
		return []Finding{d.finding(KindNetwork, InUse, "%s is part of %s", d.name(), d.upper)}
	}
	return []Finding{q.addressed(d)}
}

// addressed answers for an interface that is down and may have an address all the
// same. The IPv4 ones are in no file of /proc for those.
func (q *inquiry) addressed(d *device) Finding {
	list, err := os.ReadFile(q.proc("/net/if_inet6"))
	switch {
	case err != nil && (!errors.Is(err, os.ErrNotExist) || !kernfs.Exists(unix.AT_FDCWD, nul(q.proc("/net")))): // else a kernel without IPv6
		return d.finding(KindNetwork, Unknown, "whether %s has an IPv6 address can't be seen: %v", d.name(), err)
	case parseInet6(list, d.name()):
		return d.finding(KindNetwork, InUse, "%s is down and has an IPv6 address", d.name())
	}
	index, _ := strconv.Atoi(string(bytes.TrimSpace(q.walk.read(d.path + "/ifindex"))))
	has, err := q.kernel.address(d.name(), index)
	switch {
	case err != nil:
		return d.finding(KindNetwork, Unknown, "whether %s has an IPv4 address can't be seen: %v", d.name(), err)
	case has:
		return d.finding(KindNetwork, InUse, "%s is down and has an IPv4 address", d.name())
	}
	return d.finding(KindNetwork, Idle, "%s is down, part of no other interface, and has no address", d.name())
}

// otherNamespace answers for a device whose interfaces can't be seen, since they
// were moved into another network namespace.
func otherNamespace(_ *inquiry, d *device) []Finding {
	switch d.elsewhere {
	case "":
		return nil
	case "net":
		return []Finding{d.finding(KindNetwork, Unknown, "the network interface of %s is in another network namespace", d.name())}
	}
	return []Finding{d.finding(KindNetwork, Unknown, "the radio of %s is in another network namespace", d.name())}
}
