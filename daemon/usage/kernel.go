package usage

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A kernel answers what is no text in /sys or /proc.
type kernel interface {
	// address tells whether an interface has an IPv4 address. index is what /sys
	// says is its number.
	address(name string, index int) (bool, error)
	// bluetooth tells whether the controller hciN is up.
	bluetooth(n int) (up bool, err error)
	// stat tells the numbers of what a file below the directory at is, or leads to.
	stat(at int, name string) (file, error)
}

// A file is what a path leads to.
type file struct {
	on   number // the file system's device
	node number // its own, of a device node
	kind uint16 // unix.S_IFCHR and so on
}

// opens tells whether having the file open is having the device open.
func (f file) opens(n number) bool {
	switch f.kind {
	case unix.S_IFCHR, unix.S_IFBLK:
		return f.node == n
	}
	return f.on == n
}

// running is the kernel that runs.
type running struct{}

var _ kernel = running{}

// errElsewhere is the error for an interface of /sys that this process's network
// namespace has not.
var errElsewhere = errors.New("it is not in this process's network namespace")

// address asks over rtnetlink(7), which a service may be allowed whose system
// calls are filtered (systemd's RestrictAddressFamilies).
func (running) address(name string, index int) (has bool, err error) {
	there := false
	err = dump(syscall.RTM_GETLINK, syscall.AF_UNSPEC, func(m *syscall.NetlinkMessage) error {
		if m.Header.Type != syscall.RTM_NEWLINK || len(m.Data) < syscall.SizeofIfInfomsg || int(binary.NativeEndian.Uint32(m.Data[4:])) != index {
			return nil
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(m)
		there = there || slices.ContainsFunc(attributes, func(a syscall.NetlinkRouteAttr) bool {
			return a.Attr.Type == syscall.IFLA_IFNAME && unix.ByteSliceToString(a.Value) == name
		})
		return err
	})
	switch {
	case err != nil:
		return false, err
	case !there:
		return false, errElsewhere
	}
	err = dump(syscall.RTM_GETADDR, syscall.AF_INET, func(m *syscall.NetlinkMessage) error {
		if m.Header.Type == syscall.RTM_NEWADDR && len(m.Data) >= syscall.SizeofIfAddrmsg {
			has = has || m.Data[0] == syscall.AF_INET && int(binary.NativeEndian.Uint32(m.Data[4:])) == index
		}
		return nil
	})
	return has, err
}

// dump has each message looked at that answers a question for all there is. The package
// net would be 400 kB more for these two.
func dump(question, family int, look func(*syscall.NetlinkMessage) error) error {
	answer, err := syscall.NetlinkRIB(question, family)
	if err != nil {
		return os.NewSyscallError("ask over rtnetlink", err)
	}
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return os.NewSyscallError("read what rtnetlink says", err)
	}
	for i := range messages {
		if err := look(&messages[i]); err != nil {
			return os.NewSyscallError("read what rtnetlink says", err)
		}
	}
	return nil
}

// hciGetDevInfo is HCIGETDEVINFO, _IOR('H', 211, int) (net/bluetooth/hci_sock.h).
// How a number says that the kernel writes an int differs between
// architectures, and is as in RNDGETENTCNT, _IOR('R', 0, int).
const hciGetDevInfo = unix.RNDGETENTCNT&^0xffff | 'H'<<8 | 211

// Of struct hci_dev_info (include/net/bluetooth/hci_sock.h): the number, of two
// bytes, a name of 8, an address of 6, flags. All of it is 92 bytes.
const (
	hciFlags = 16
	hciUp    = 1 << 0
)

func (running) bluetooth(n int) (bool, error) {
	fd, err := unix.Socket(unix.AF_BLUETOOTH, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.BTPROTO_HCI)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	var info [128]byte
	binary.NativeEndian.PutUint16(info[:], uint16(n))
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), hciGetDevInfo, uintptr(unsafe.Pointer(&info[0]))); errno != 0 {
		return false, errno
	}
	return binary.NativeEndian.Uint32(info[hciFlags:])&hciUp != 0, nil
}

// stat does not wait for a server: AT_STATX_DONT_SYNC.
func (running) stat(at int, name string) (f file, err error) {
	var s unix.Statx_t
	err = unix.Statx(at, name, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &s)
	if errors.Is(err, unix.ENOSYS) { // before Linux 4.11
		return oldStat(at, name)
	}
	if err != nil {
		return f, err
	}
	f.kind = s.Mode & unix.S_IFMT
	f.on = number{block: s.Dev_major != 0, major: s.Dev_major, minor: s.Dev_minor}
	f.node = number{block: f.kind == unix.S_IFBLK, major: s.Rdev_major, minor: s.Rdev_minor}
	return f, nil
}

func oldStat(at int, name string) (f file, err error) {
	var s unix.Stat_t
	if err := unix.Fstatat(at, name, &s, 0); err != nil {
		return f, err
	}
	f.kind = uint16(s.Mode & unix.S_IFMT)
	dev, node := uint64(s.Dev), uint64(s.Rdev)
	f.on = number{block: unix.Major(dev) != 0, major: unix.Major(dev), minor: unix.Minor(dev)}
	f.node = number{block: f.kind == unix.S_IFBLK, major: unix.Major(node), minor: unix.Minor(node)}
	return f, nil
}

// mayWait tells whether a look at a file of a file system may wait for a server
// or another process.
func mayWait(fstype string) bool {
	switch fstype {
	case "9p", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "gfs2", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs":
		return true
	}
	return strings.HasPrefix(fstype, "fuse")
}
