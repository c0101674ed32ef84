package uevent

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketRefuses(t *testing.T) {
	kernel := unix.RawSockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}
	root := unix.UnixCredentials(&unix.Ucred{Pid: 1})
	tests := []struct {
		name    string
		from    unix.RawSockaddrNetlink
		control []byte
		flags   int32
		want    error
	}{
		{"no sender", unix.RawSockaddrNetlink{}, root, 0, ErrForeign},
		{"a sender of another family", unix.RawSockaddrNetlink{Family: unix.AF_UNIX}, root, 0, ErrForeign},
		{"another process", unix.RawSockaddrNetlink{Family: unix.AF_NETLINK, Pid: 4711, Groups: kernelGroup}, root, 0, ErrForeign},
		{"udevd's group", unix.RawSockaddrNetlink{Family: unix.AF_NETLINK, Groups: 2}, root, 0, ErrForeign},
		{"what is sent to this socket alone", unix.RawSockaddrNetlink{Family: unix.AF_NETLINK}, root, 0, ErrForeign},
		{"no credentials", kernel, nil, 0, ErrForeign},
		{"credentials cut short", kernel, root[:len(root)-8], 0, ErrForeign},
		{"rights instead of credentials", kernel, unix.UnixRights(0, 1, 2), 0, ErrForeign},
		{"another user", kernel, unix.UnixCredentials(&unix.Ucred{Uid: 1000}), 0, ErrForeign},
		{"a message cut short", kernel, root, unix.MSG_TRUNC, ErrMalformed},
		{"nothing of the kernel's", kernel, root, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Socket{from: tt.from, header: unix.Msghdr{Flags: tt.flags}}
			s.header.SetControllen(copy(s.control[:], tt.control))
			if err := s.check(usb); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestErrorOfListeningNamesTheCure(t *testing.T) {
	for err, want := range map[error]string{
		unix.EAFNOSUPPORT:    "RestrictAddressFamilies",
		unix.EPROTONOSUPPORT: "CONFIG_NET",
		unix.EPERM:           "seccomp",
		unix.EACCES:          "security module",
	} {
		if got := cure(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q does not mention %s", err, got, want)
		}
	}
	if got := cure(unix.EMFILE); got != "" {
		t.Errorf("EMFILE: %q, though nothing is known to cure it", got)
	}
}

func TestReceiveBufferFollowsMemory(t *testing.T) {
	for memory, want := range map[uint64]int{
		64 << 20: 1 << 20,
		1 << 30:  16 << 20,
		64 << 30: 16 << 20,
	} {
		if got := bufferFor(memory); got != want {
			t.Errorf("%d bytes of memory: %d, want %d", memory, got, want)
		}
	}
}
