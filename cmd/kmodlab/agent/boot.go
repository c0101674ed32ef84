package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// A mount is one file system that the guest expects to find.
type mount struct {
	fstype, where string
	data          string
	optional      bool // the kernel may be built without it
}

var mounts = []mount{
	{fstype: "proc", where: "/proc"},
	{fstype: "sysfs", where: "/sys"},
	{fstype: "devtmpfs", where: "/dev"},
	{fstype: "tmpfs", where: "/run", data: "mode=0755"},
	{fstype: "tmpfs", where: "/tmp", data: "mode=1777"},
	{fstype: "debugfs", where: "/sys/kernel/debug", optional: true},
	{fstype: "tracefs", where: "/sys/kernel/tracing", optional: true},
}

// environment is what every process of the guest begins with.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "USER=root", "TERM=linux",
}

// boot is the life of process 1. It returns only if the guest can't work; the
// kernel then panics, and QEMU ends.
func boot() error {
	unix.Umask(0o022)
	if err := mountAll(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("lab")); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := os.MkdirAll("/run/lab", 0o755); err != nil {
		return err
	}
	serve := exec.Command("/proc/self/exe", "serve")
	serve.Env = environment
	serve.Stdout, serve.Stderr = os.Stdout, os.Stderr
	if err := serve.Start(); err != nil {
		return fmt.Errorf("start serve: %w", err)
	}
	go followSwitches()
	return reap(serve.Process.Pid)
}

func mountAll() error {
	for _, m := range mounts {
		err := os.MkdirAll(m.where, 0o755)
		if err == nil {
			err = unix.Mount(m.fstype, m.where, m.fstype, 0, m.data)
		}
		if err != nil && !m.optional {
			return fmt.Errorf("mount %s on %s: %w", m.fstype, m.where, err)
		}
	}
	return os.Chmod("/", 0o755) // the kernel makes the root for everybody to write, as any tmpfs
}

// loopbackUp switches the loopback interface on (netdevice(7)).
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket for lo: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("switch lo on: %w", err)
	}
	return nil
}

// reap collects every process that ends until the one that matters does.
func reap(last int) error {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for a process: %w", err)
		case pid == last:
			return fmt.Errorf("serve ended with status %#x", int(status))
		}
	}
}
