package uevent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// kernelGroup is the multicast group that the kernel sends to, as a bit of
	// nl_groups. udevd sends its own messages to the next one.
	kernelGroup = 1

	// messageMost is room for the longest message: the environment has at most
	// 2,048 bytes (UEVENT_BUFFER_SIZE), the DEVPATH before it at most PATH_MAX.
	messageMost = 8 << 10

	// bufferMost bounds the receive buffer. 16 MiB hold some 20,000 events;
	// the kernel takes that memory only while events are queued.
	bufferMost = 16 << 20
)

// errEmpty says that no message is waiting.
var errEmpty = errors.New("no message is waiting")

// A Socket hears the kernel's uevents in the network namespace of its maker.
// One goroutine reads it; [Socket.Interrupt] may be called from any.
type Socket struct {
	conn *netlink.Conn
	raw  syscall.RawConn

	// What recvmsg(2) fills in, and the headers that tell it where these are.
	// unix.Recvmsg would allocate the sender's address, twice.
	message [messageMost]byte
	from    unix.RawSockaddrNetlink
	control [64]byte // SCM_CREDENTIALS takes 32 at most
	iov     unix.Iovec
	header  unix.Msghdr

	// recv is receive, made once, since it would be an allocation for each
	// message; so its argument and its results are here.
	recv func(fd uintptr) (done bool)
	wait bool // whether recv waits for a message
	n    int  // bytes of it
	err  error
}

// Listen binds a socket to the kernel's group. From then on no event is missed
// unless the receive buffer overflows, which [Socket.Receive] tells. buffer is
// the size of the receive buffer in bytes, of which a process without
// CAP_NET_ADMIN gets net.core.rmem_max at most; see [Socket.Buffer].
func Listen(buffer int) (*Socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_KOBJECT_UEVENT, &netlink.Config{Groups: kernelGroup})
	if err != nil {
		return nil, fmt.Errorf("listen for uevents: %w%s", err, cure(err))
	}
	s := &Socket{conn: conn}
	s.recv = s.receive
	if err := s.set(buffer); err != nil {
		conn.Close()
		return nil, fmt.Errorf("listen for uevents: %w", err)
	}
	return s, nil
}

// set asks for credentials and for the receive buffer.
func (s *Socket) set(buffer int) error {
	if err := s.conn.SetReadBuffer(buffer); err != nil {
		return fmt.Errorf("set the receive buffer to %d bytes: %w", buffer, err)
	}
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	s.raw = raw
	failed := raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt SO_PASSCRED",
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
	})
	return errors.Join(failed, err)
}

// cure says what to do about an error of making the socket, "" if that is not
// known.
func cure(err error) string {
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT):
		return " (under systemd, RestrictAddressFamilies= must allow AF_NETLINK; else the kernel lacks CONFIG_NET)"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return " (no capability is needed for this: a seccomp filter or a security module forbids it)"
	}
	return ""
}

// Buffer returns the size of the receive buffer in bytes. The kernel grants
// twice of what it is asked for, to cover its own bookkeeping (socket(7)).
func (s *Socket) Buffer() (int, error) { return s.conn.ReadBuffer() }

// Close ends the socket. The goroutine that reads it calls it.
func (s *Socket) Close() error { return s.conn.Close() }

// Interrupt makes a Receive that is waiting, or else the next one, return an
// error that is [os.ErrDeadlineExceeded].
func (s *Socket) Interrupt() {
	// Any time that has passed. A closed socket needs no waking.
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
}

// Receive waits for the next message and reads it into e, whose fields are
// valid until the next call. Its errors are
//
//   - a [MessageError], after which the next message can be read;
//   - [unix.ENOBUFS] when messages were lost, after which it can as well;
//   - [os.ErrDeadlineExceeded] after [Socket.Interrupt], once for any number
//     of calls;
//   - anything else: the socket is of no use any more.
func (s *Socket) Receive(e *Event) error { return s.next(e, true) }

// next is Receive, and with wait false returns errEmpty instead of waiting.
func (s *Socket) next(e *Event, wait bool) error {
	s.wait = wait
	if err := s.raw.Read(s.recv); err != nil {
		return s.interrupted(err)
	}
	if s.err != nil {
		return s.err
	}
	message := s.message[:s.n]
	if err := s.check(message); err != nil {
		return err
	}
	return Parse(message, e)
}

// interrupted makes the socket readable again after an Interrupt.
func (s *Socket) interrupted(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		failed := s.conn.SetReadDeadline(time.Time{})
		if failed == nil {
			return err
		}
		err = failed
	}
	return fmt.Errorf("read a uevent: %w", err)
}

// receive reads one message. The runtime calls it again when the socket has
// become readable, as long as it returns false.
func (s *Socket) receive(fd uintptr) bool {
	for {
		n, errno := s.recvmsg(fd)
		switch errno {
		case 0:
			s.n, s.err = n, nil
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			s.err = errEmpty
			return !s.wait
		default:
			s.err = os.NewSyscallError("recvmsg", errno)
			return true
		}
	}
}

// recvmsg is recvmsg(2) into the Socket's own memory.
func (s *Socket) recvmsg(fd uintptr) (int, syscall.Errno) {
	s.from = unix.RawSockaddrNetlink{} // the kernel may leave it alone
	s.iov.Base = &s.message[0]
	s.iov.SetLen(len(s.message))
	s.header = unix.Msghdr{
		Name:    (*byte)(unsafe.Pointer(&s.from)),
		Namelen: unix.SizeofSockaddrNetlink,
		Iov:     &s.iov,
		Control: &s.control[0],
	}
	s.header.SetIovlen(1)
	s.header.SetControllen(len(s.control))
	n, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&s.header)), 0)
	return int(n), errno
}

// check refuses a message that was cut short or that is not from the kernel.
func (s *Socket) check(message []byte) error {
	foreign := ""
	switch {
	case s.from.Family != unix.AF_NETLINK:
		foreign = "it has no sender"
	case s.from.Pid != 0:
		foreign = fmt.Sprintf("sent from netlink port %d", s.from.Pid)
	case s.from.Groups != kernelGroup:
		foreign = fmt.Sprintf("sent to groups %#x", s.from.Groups)
	default:
		foreign = refuseUser(s.control[:s.header.Controllen])
	}
	if foreign != "" {
		return &MessageError{Err: ErrForeign, Says: foreign, Start: start(message)}
	}
	if s.header.Flags&unix.MSG_TRUNC != 0 {
		return malformed(message, fmt.Sprintf("longer than %d bytes", len(s.message)))
	}
	return nil
}

// refuseUser looks at the credentials of a message (unix(7), struct ucred: pid,
// uid, gid). The kernel's own messages carry uid 0. In a user namespace the
// uid is the one that it has there.
func refuseUser(control []byte) string {
	// The parser panics at less than a header.
	if len(control) < unix.CmsgLen(unix.SizeofUcred) {
		return "it has no credentials"
	}
	header, data, _, err := unix.ParseOneSocketControlMessage(control)
	if err != nil || header.Type != unix.SCM_CREDENTIALS || len(data) < unix.SizeofUcred {
		return "it has no credentials"
	}
	if uid := binary.NativeEndian.Uint32(data[4:]); uid != 0 {
		return fmt.Sprintf("sent by uid %d", uid)
	}
	return ""
}

// bufferFor returns the receive buffer that a machine with so much memory is
// asked for, both in bytes.
func bufferFor(memory uint64) int {
	return int(min(memory/64, bufferMost))
}
