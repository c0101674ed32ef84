package usage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// What is asked here is the machine that runs the tests.

func TestANodeThatThisProcessHasOpen(t *testing.T) {
	const device = "/devices/virtual/mem/full"
	if _, err := os.Stat("/sys" + device); err != nil {
		t.Skip(err)
	}
	mine := fmt.Sprintf("process %d (", os.Getpid())
	used := func() bool {
		f, used := NotIdle(System{}.Device(device))
		return used && f.State == InUse && strings.HasPrefix(f.Says, mine)
	}
	if used() {
		t.Error("it is in use before it is opened")
	}
	f, err := os.Open("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	if !used() {
		t.Error("it is not in use while it is open")
	}
	f.Close()
	if used() {
		t.Error("it is in use after it was closed")
	}
}

// What root file system there is is seen wherever it is on a disk.
func TestTheRootFileSystemIsInUse(t *testing.T) {
	f, err := running{}.stat(unix.AT_FDCWD, "/")
	if err != nil {
		t.Fatal(err)
	}
	link, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", f.on.major, f.on.minor))
	if err != nil {
		t.Skip("the root file system is not on one disk")
	}
	found, used := NotIdle(System{}.Device(filepath.Join("/sys/dev/block", link)[len("/sys"):]))
	if !used || found.State != InUse {
		t.Errorf("%+v of %s", found, link)
	}
}

// In a network namespace of its own the loopback interface is down, and has no
// address until it gets one.
func TestAnInterfaceOfAFreshNamespace(t *testing.T) {
	runtime.LockOSThread() // for good: the thread ends with the test
	sys := t.TempDir()
	if err := isolated(sys); err != nil {
		t.Skip(err)
	}
	defer func() { _ = unix.Unmount(sys, unix.MNT_DETACH) }()
	proc := t.TempDir()
	must(t, os.Symlink("/proc/thread-self/net", proc+"/net"))
	s := System{Sys: sys, Proc: proc}
	state := func() string { return lines(s.Device("/devices/virtual/net/lo")) }
	if diff := gocmp.Diff("idle       network: lo is down, part of no other interface, and has no address\n", state()); diff != "" {
		t.Error(diff)
	}
	must(t, configure("lo", func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{192, 0, 2, 1}) }, unix.SIOCSIFADDR))
	if diff := gocmp.Diff("in use     network: lo is down and has an IPv4 address\n", state()); diff != "" {
		t.Error(diff)
	}
	must(t, configure("lo", func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }, unix.SIOCSIFFLAGS))
	if diff := gocmp.Diff("in use     network: lo is up\n", state()); diff != "" {
		t.Error(diff)
	}
}

// isolated gives the thread namespaces of its own, in which the directory sys is
// a sysfs of them.
func isolated(sys string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("sysfs", sys, "sysfs", unix.MS_RDONLY, "")
}

func configure(name string, set func(*unix.Ifreq) error, request uint) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	return errors.Join(set(r), unix.IoctlIfreq(fd, request, r))
}

// An interface that is called the same in this process's namespace is another.
func TestAnAddressIsNotAskedOfAnotherInterface(t *testing.T) {
	if _, err := (running{}).address("lo", 4711); !errors.Is(err, errElsewhere) {
		t.Errorf("%v", err)
	}
	if has, err := (running{}).address("lo", 1); err != nil {
		t.Errorf("%v: %v", has, err)
	}
}

// All devices of the machine: nothing fails, and a look leaves little garbage.
func TestEveryDeviceOfTheMachine(t *testing.T) {
	roots, err := filepath.Glob("/sys/devices/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range roots {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		found := System{}.Device(strings.TrimPrefix(root, "/sys"))
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		garbage := (after.TotalAlloc - before.TotalAlloc) >> 10
		t.Logf("%s: %d findings, %v, %d KiB", root, len(found), took, garbage)
		if garbage > 2<<10 {
			t.Errorf("%d KiB of garbage for %d findings", garbage, len(found))
		}
		if i := slices.IndexFunc(found, func(f Finding) bool { return f.Kind == KindWalk }); i >= 0 {
			t.Errorf("%+v", found[i])
		}
		if !slices.IsSortedFunc(found, func(a, b Finding) int { return comparePaths(a.Device, b.Device) }) {
			t.Error("the findings are not in the order of their paths")
		}
	}
}

func BenchmarkOpenFiles(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		System{}.Device("/devices/virtual/mem/full")
	}
}
