package sleep

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// A device that udevd has tagged so belongs to whoever sits at the screen: at each
// change of the session logind takes it from the one and gives it to the other
// (access control lists). It finds it by the tag, which goes with the device, or by
// links in a folder, which are meant for nodes that are there without a device
// (devnode_acl_all in src/login/logind-acl.c). Without such a link the one who has
// left could still open a camera that sleeps.
const seatTag = "Q:uaccess"

// seatFolder has the links. The service has it as its own below /run (RuntimeDirectory=).
const seatFolder = "/udev/static_node-tags/uaccess"

// keepSeat has logind see to a node while its device is away, if it does now.
func (s System) keepSeat(n kernel.Node) error {
	data, _ := os.ReadFile(s.udevData(n)) // without udevd there is no logind
	tagged := false
	for line := range strings.Lines(string(data)) {
		tagged = tagged || strings.TrimSuffix(line, "\n") == seatTag
	}
	if !tagged {
		return nil
	}
	link := s.seatLink(n)
	err := os.MkdirAll(path.Dir(link), 0o755)
	if err == nil {
		err = unlessThere(os.Symlink(s.dev(n.Name), link))
	}
	if err != nil {
		return fmt.Errorf("who has left would keep it: %w", err)
	}
	return nil
}

// leaveSeat ends that.
func (s System) leaveSeat(n kernel.Node) error {
	err := os.Remove(s.seatLink(n))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// seatLink is the link to a node, with the name that udevd would give it and an end
// that says whose it is.
func (s System) seatLink(n kernel.Node) string {
	return cmp.Or(s.Run, "/run") + seatFolder + "/" + strings.ReplaceAll(n.Name, "/", `\x2f`) + ".kmodd"
}
