package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An Opening is what somebody opens of a device: a node or a network interface.
type Opening struct {
	// Alias is what the kernel asks for when nobody serves it: see [Node.Alias]
	// and [NetAlias].
	Alias string
	Name  string // of the node below /dev, or of the interface
	// Access is who may open the node: its mode in octal, user and group, with
	// blanks between them.
	Access string
	Links  []string // those below /dev that lead to the node
}

// A Node is a device node as sysfs tells of it.
type Node struct {
	Name         string // below /dev
	Block        bool
	Major, Minor uint32
}

// Alias is what the kernel asks for when somebody opens the node and nobody serves
// it (base_probe in fs/char_dev.c, blk_request_module in block/genhd.c).
func (n Node) Alias() string {
	kind := "char"
	if n.Block {
		kind = "block"
	}
	return fmt.Sprintf("%s-major-%d-%d", kind, n.Major, n.Minor)
}

// netAlias is what the kernel asks for when somebody brings up an interface that is
// not there (dev_load in net/core/dev_ioctl.c).
const netAlias = "netdev-"

// NetAlias is that of an interface.
func NetAlias(name string) string { return netAlias + name }

// NodeOf reads what an opening is about. It reports false of a network interface.
func NodeOf(o Opening) (Node, bool) {
	n := Node{Name: o.Name}
	rest, ok := strings.CutPrefix(o.Alias, "char-major-")
	if !ok {
		rest, n.Block = strings.CutPrefix(o.Alias, "block-major-")
		if !n.Block {
			return n, false
		}
	}
	major, minor, _ := strings.Cut(rest, "-")
	a, err1 := strconv.ParseUint(major, 10, 32)
	b, err2 := strconv.ParseUint(minor, 10, 32)
	n.Major, n.Minor = uint32(a), uint32(b)
	return n, errors.Join(err1, err2) == nil
}

// Rdev is the node's number as stat(2) has it.
func (n Node) Rdev() uint64 { return unix.Mkdev(n.Major, n.Minor) }

// IsAt tells whether a file is the node.
func (n Node) IsAt(st unix.Stat_t) bool {
	kind := uint32(unix.S_IFCHR)
	if n.Block {
		kind = unix.S_IFBLK
	}
	return uint32(st.Mode)&unix.S_IFMT == kind && uint64(st.Rdev) == n.Rdev()
}

// Serves returns the path of the device that has the node's number now, "" for
// none.
func (s System) Serves(n Node) string {
	kind := "char"
	if n.Block {
		kind = "block"
	}
	return devicePath(s.sys(fmt.Sprintf("dev/%s/%d:%d", kind, n.Major, n.Minor)))
}

// Has tells whether the device that has a node's number now is one whose node has that
// name. The numbers of sound cards are given out as they come: the one that was a
// control's may be a stream's the next time.
func (s System) Has(n Node) bool {
	at := s.Serves(n)
	return at != "" && s.isNamed(at, n)
}

// isNamed tells whether a device has a node's name. One that says nothing has.
func (s System) isNamed(devpath string, n Node) bool {
	name := s.NodeName(devpath)
	return name == "" || name == n.Name
}

// NodeName is the name below /dev of a device's node, by the kernel's own word (DEVNAME in
// the device's uevent); "" if it says nothing.
func (s System) NodeName(devpath string) string {
	text, _ := os.ReadFile(s.sys(devpath + "/uevent"))
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "DEVNAME="); ok {
			return name
		}
	}
	return ""
}

// Leads tells whether a link below /dev leads to a node. Of several devices that want it,
// one has it.
func (s System) Leads(link string, n Node) bool {
	if !fs.ValidPath(link) {
		return false
	}
	to, err := os.Readlink(s.dev(link))
	return err == nil && path.Join(path.Dir(link), to) == n.Name
}

// Lacks tells whether any of the nodes of what is opened is not there, and neither is
// its device.
func (s System) Lacks(openings []Opening) bool {
	return slices.ContainsFunc(openings, func(o Opening) bool {
		n, isNode := NodeOf(o)
		return isNode && unix.Access(s.dev(n.Name), unix.F_OK) != nil && s.Serves(n) == ""
	})
}

// Hide removes the nodes of what is opened whose devices are not there, and the links to
// them: they would soon lead to another device.
func (s System) Hide(openings []Opening) (failed error) {
	for _, o := range openings {
		n, isNode := NodeOf(o)
		if !isNode || !s.isNode(n) || s.Has(n) {
			continue
		}
		for _, link := range o.Links {
			if s.Leads(link, n) {
				failed = errors.Join(failed, os.Remove(s.dev(link)))
			}
		}
		failed = errors.Join(failed, os.Remove(s.dev(n.Name)))
	}
	return failed
}

// devicePath is that of the device that a link below /sys leads to.
func devicePath(link string) string {
	to, err := os.Readlink(link)
	if err != nil {
		return ""
	}
	i := strings.Index(to, "/devices/")
	if i < 0 {
		return ""
	}
	return to[i:]
}

// Opens tells which of what is opened of devices is there, and works; and which is
// another device's now, and which one's. What is named in neither is not there.
func (s System) Opens(devices []string, openings []Opening) (works, other []string, says string) {
	for _, o := range openings {
		n, isNode := NodeOf(o)
		at := ""
		if isNode {
			at = s.Serves(n)
		} else {
			at = devicePath(s.sys("class/net/" + o.Name))
		}
		switch {
		case isNode && at != "" && !s.isNamed(at, n):
			other = append(other, o.Alias)
			says = fmt.Sprintf("the number of %s is that of %s now", o.Name, at)
		case at == "" || isNode && !s.isNode(n) || !isNode && s.Sys == "" && !hasLink(o.Name):
		case n.Block && !s.isDisk(at):
		case !slices.ContainsFunc(devices, func(d string) bool { return at == d || strings.HasPrefix(at, d+"/") }):
			other = append(other, o.Alias)
			says = fmt.Sprintf("%s is %s now, and was a device of %s", o.Name, at, strings.Join(devices, ", "))
		default:
			works = append(works, o.Alias)
		}
	}
	return works, other, says
}

// diskPause is how long a disk takes, amply, from the last that shows in sysfs until
// it can be opened.
const diskPause = 20 * time.Millisecond

// isDisk tells whether a disk can be opened. Its directory is there before that, and
// its bdi link right before (device_add_disk in block/genhd.c); nothing shows the
// moment itself but an open(), which would have the kernel ask whoever asks here.
func (s System) isDisk(devpath string) bool {
	if unix.Access(s.sys(devpath)+"/bdi", unix.F_OK) != nil {
		return false
	}
	time.Sleep(diskPause)
	return true
}

// hasLink tells whether an interface can be found by its name, which sysfs shows
// before that (dev_change_name in net/core/dev.c). It asks by rtnetlink(7): an ioctl
// would have the kernel ask its helper for one that is not there, and that asks
// whoever asks here.
func hasLink(name string) bool {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return true // it can't be told, and is nearly always so
	}
	defer unix.Close(fd)
	const header, info, attribute = unix.SizeofNlMsghdr, unix.SizeofIfInfomsg, unix.SizeofRtAttr
	size := header + info + attribute + len(name) + 1
	ask := make([]byte, (size+3)&^3)
	binary.NativeEndian.PutUint32(ask, uint32(size))
	binary.NativeEndian.PutUint16(ask[4:], unix.RTM_GETLINK)
	binary.NativeEndian.PutUint16(ask[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint16(ask[header+info:], uint16(attribute+len(name)+1))
	binary.NativeEndian.PutUint16(ask[header+info+2:], unix.IFLA_IFNAME)
	copy(ask[header+info+attribute:], name)
	if unix.Sendto(fd, ask[:size], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) != nil {
		return true
	}
	answer := make([]byte, 4<<10)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	return err != nil || n < header || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR
}

func (s System) isNode(n Node) bool {
	var st unix.Stat_t
	return unix.Lstat(s.dev(n.Name), &st) == nil && n.IsAt(st)
}

// Helper is the program that asks this daemon for what the kernel asks for: its own
// one under another name.
const Helper = "/usr/lib/kmodd/modprobe"

// modprobe is where the kernel has the name of its helper (kernel/module/kmod.c).
const modprobe = "sys/kernel/modprobe"

// AskFile is that file.
func (s System) AskFile() string { return s.proc(modprobe) }

// CanAsk tells whether this process can have the kernel ask our helper: a service or
// a container may have /proc/sys to read only.
func (s System) CanAsk() error {
	if err := unix.Access(s.proc(modprobe), unix.W_OK); err != nil {
		return fmt.Errorf("write %s: %w", s.proc(modprobe), err)
	}
	return nil
}

// Ask has the kernel ask our helper, unless it does already. Before that, keep gets
// who is asked now, "" for nobody; without having kept that it is asked all the same.
func (s System) Ask(keep func(before string) error) error {
	before := firstLine(s.proc(modprobe))
	if before == Helper {
		return nil
	}
	kept := keep(before)
	if err := s.write(s.proc(modprobe), Helper); err != nil {
		return errors.Join(kept, fmt.Errorf("have the kernel ask %s: write %s: %w", Helper, s.proc(modprobe), err))
	}
	return kept
}

// AskAgain has the kernel ask whom it asked before, "" for nobody, unless somebody
// has set another helper than ours since.
func (s System) AskAgain(before string) error {
	if firstLine(s.proc(modprobe)) != Helper {
		return nil
	}
	// To write nothing at all would change nothing (proc_dostring in kernel/sysctl.c).
	if err := s.write(s.proc(modprobe), before+"\n"); err != nil {
		return fmt.Errorf("have the kernel ask %q again: write %s: %w", before, s.proc(modprobe), err)
	}
	return nil
}
