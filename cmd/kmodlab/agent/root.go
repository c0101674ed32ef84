package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// newRoot is where the next root file system has to be mounted for a switch.
const newRoot = "/newroot"

// followSwitches has process 1 enter the new root whenever SIGUSR1 says so.
func followSwitches() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGUSR1)
	for range told {
		if err := enterNewRoot(); err != nil {
			fmt.Fprintln(os.Stderr, "agent: switch root:", err)
		}
	}
}

// enterNewRoot puts the new root over the old one and goes there, in the steps
// of switch_root(8). It does not empty the old root, and there is no other
// program to execute.
func enterNewRoot() error {
	if err := unix.Chdir(newRoot); err != nil {
		return fmt.Errorf("enter %s: %w", newRoot, err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s to /: %w", newRoot, err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// switchRoot moves the mounts that the system needs into the new root, has
// process 1 go there, and follows. All other processes keep the old root.
func switchRoot(ctx context.Context) error {
	root, err := os.Open(newRoot)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, m := range mounts {
		if m.optional {
			continue // below another one
		}
		to := filepath.Join(newRoot, m.where)
		if err := errors.Join(os.MkdirAll(to, 0o755), unix.Mount(m.where, to, "", unix.MS_MOVE, "")); err != nil {
			return fmt.Errorf("move %s to %s: %w", m.where, to, err)
		}
	}
	if err := unix.Kill(1, unix.SIGUSR1); err != nil {
		return fmt.Errorf("tell process 1: %w", err)
	}
	for !isRootOf1(int(root.Fd())) {
		if !pause(ctx) {
			return errors.New("process 1 has not entered the new root")
		}
	}
	if err := errors.Join(unix.Fchdir(int(root.Fd())), unix.Chroot(".")); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	return unix.Chdir("/")
}

// isRootOf1 tells whether a directory, which has a proc, is process 1's root.
func isRootOf1(fd int) bool {
	var here, there unix.Stat_t
	return unix.Fstat(fd, &here) == nil && unix.Fstatat(fd, "proc/1/root", &there, 0) == nil &&
		here.Dev == there.Dev && here.Ino == there.Ino
}
