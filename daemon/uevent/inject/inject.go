// Package inject makes the kernel broadcast uevents for devices that do not
// exist, in a network namespace of its own. Tests and benchmarks use it; the
// daemon does not.
//
// A process that has CAP_SYS_ADMIN over its network namespace may hand the
// kernel a uevent, which the kernel broadcasts in that namespace as its own,
// with a SEQNUM appended (uevent_net_rcv_skb in lib/kobject_uevent.c, since
// Linux 4.18). It needs neither hardware nor root: a new user namespace gives
// the capability, and what happens in there reaches nobody outside.
package inject

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Message puts a uevent together as the kernel would: the header, the
// environment's first keys from it, and env, whose elements are KEY=VALUE.
func Message(action, devpath string, env ...string) []byte {
	pieces := append([]string{action + "@" + devpath, "ACTION=" + action, "DEVPATH=" + devpath}, env...)
	return []byte(strings.Join(pieces, "\x00") + "\x00")
}

// An Injector hands messages to the kernel. It serves one goroutine.
type Injector struct {
	fd  int
	buf []byte
}

// Open makes an Injector for the network namespace of the calling thread. Use
// it in a namespace that was made for it: in the machine's own, root would make
// udevd believe in the devices.
func Open() (*Injector, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("open a socket to inject uevents: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind a socket to inject uevents: %w", err)
	}
	return &Injector{fd: fd}, nil
}

// Close ends the Injector.
func (i *Injector) Close() error { return unix.Close(i.fd) }

// Send has the kernel broadcast a message as its own. When it returns, the
// message is in the queue of everyone who listens and has room for it. The
// kernel takes 2,048 bytes at most, with 16 of its header and what it appends.
func (i *Injector) Send(message []byte) error {
	i.frame(message)
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(i.fd, i.buf, 0, kernel); err != nil {
		return fmt.Errorf("inject a uevent: %w", err)
	}
	if err := i.answer(); err != nil {
		return fmt.Errorf("inject a uevent: the kernel says %w", err)
	}
	return nil
}

// Broadcast sends a message to everyone who listens without the kernel's
// doing, as no honest process would: its sender is this Injector.
func (i *Injector) Broadcast(message []byte) error {
	group := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}
	if err := unix.Sendto(i.fd, message, 0, group); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("broadcast a uevent: %w", err)
	}
	return nil
}

// frame puts a struct nlmsghdr before the message: length, type, flags,
// sequence number, port. The length is not rounded up as netlink's usually is,
// since the kernel broadcasts everything behind the header.
func (i *Injector) frame(message []byte) {
	i.buf = binary.NativeEndian.AppendUint32(i.buf[:0], uint32(unix.NLMSG_HDRLEN+len(message)))
	i.buf = binary.NativeEndian.AppendUint16(i.buf, unix.NLMSG_MIN_TYPE)
	i.buf = binary.NativeEndian.AppendUint16(i.buf, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	i.buf = binary.NativeEndian.AppendUint64(i.buf, 0)
	i.buf = append(i.buf, message...)
}

// answer reads what the kernel says of the message: a negated errno after the
// header, 0 for success (struct nlmsgerr, netlink(7)).
func (i *Injector) answer() error {
	var buf [4096]byte
	n, _, err := unix.Recvfrom(i.fd, buf[:], 0)
	if err != nil {
		return err
	}
	if n < unix.NLMSG_HDRLEN+4 {
		return errors.New("too little")
	}
	if errno := -int32(binary.NativeEndian.Uint32(buf[unix.NLMSG_HDRLEN:])); errno != 0 {
		return syscall.Errno(errno)
	}
	return nil
}

const inside = "KMODD_TEST_INSIDE"

// Inside tells whether this process was started by [Command].
func Inside() bool { return os.Getenv(inside) != "" }

// Command runs one test or benchmark of the calling test program once more, as
// root of a new user namespace and in a new network namespace. args are flags
// of the test program, which names the test by -test.run or -test.bench.
func Command(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	Isolate(cmd)
	return cmd
}

// Isolate has a program run as root of a new user namespace and in a new
// network namespace. A system may forbid unprivileged users to make these
// (kernel.apparmor_restrict_unprivileged_userns, user.max_user_namespaces):
// then cmd.Start says EPERM or ENOSPC, and root can run it.
func Isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
}
