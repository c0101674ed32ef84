package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match"
)

// duties are jobs that udevd, or programs that come with it, do elsewhere, and
// that are the daemon's where nobody else does them.
type duties struct {
	// modulesLoad is to load what modules-load.d names. Where systemd is process
	// 1, systemd-modules-load.service does it. Elsewhere a script may have done
	// it as well, and then there is nothing left to load.
	modulesLoad bool
	// nodes is to make the device nodes that lead to modules. Where systemd is
	// process 1, kmod-static-nodes.service has them made; and where another udevd
	// runs, such as eudev, its own script does, so that its rules say whose they
	// are.
	nodes bool
	// firmware is to answer the kernel when a driver asks user space for a file.
	// That was udevd's job once. mdev does it, if the kernel starts it for each
	// uevent.
	firmware bool
}

// dutiesBelow looks around, below a root ("" for "/").
func dutiesBelow(root string) duties {
	exists := func(name string) bool { return unix.Access(root+name, unix.F_OK) == nil }
	systemd := exists("/run/systemd/system") // sd_booted(3)
	udevd := exists("/run/udev/control")     // systemd's and eudev's
	var helper [2]byte
	mdev := readStart(root+"/proc/sys/kernel/hotplug", helper[:]) > 0 && helper[0] != '\n' && helper[0] != 0
	return duties{
		modulesLoad: !systemd,
		nodes:       !systemd && !udevd,
		firmware:    !systemd && !udevd && !mdev,
	}
}

// inInitramfs says whether the root is one to start from only: systemd and
// dracut mark theirs by a file, and what all have in common is that the kernel
// keeps them in memory (rootfs, which is a ramfs or a tmpfs).
func inInitramfs() bool {
	if unix.Access("/etc/initrd-release", unix.F_OK) == nil {
		return true
	}
	var root unix.Statfs_t
	if unix.Statfs("/", &root) != nil {
		return false
	}
	kind := uint32(root.Type) // 32 bits with a sign, without or 64, by architecture
	return kind == unix.RAMFS_MAGIC || kind == unix.TMPFS_MAGIC
}

// makeNodes makes device nodes below dev, usually /dev, and the folders above
// them, as systemd-tmpfiles does with what kmod static-nodes prints: nodes for
// root alone, folders for everybody to look into, and what is there already is
// left alone. devtmpfs keeps a node that it has not made (drivers/base/devtmpfs.c).
func makeNodes(dev string, nodes []match.Node, log *slog.Logger) {
	if _, err := os.Stat(dev); err != nil {
		return // not mounted yet: devtmpfs will hide whatever is made now
	}
	for _, n := range nodes {
		if err := makeNode(filepath.Join(dev, n.Path), n); err != nil && !errors.Is(err, fs.ErrExist) {
			log.Warn("can't make a device node", "node", n.Path, "module", n.Module, "error", err)
		}
	}
}

func makeNode(path string, n match.Node) error {
	mode := uint32(unix.S_IFCHR)
	if n.Block {
		mode = unix.S_IFBLK
	}
	dir := filepath.Dir(path)
	if unix.Access(dir, unix.F_OK) != nil {
		// Chmod, for the umask may be anything.
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			return err
		}
	}
	return os.NewSyscallError("mknod", unix.Mknod(path, mode|0o600, int(n.Number)))
}

// answerFirmware tells the kernel at once that nobody has a file that a driver
// asks user space for. It has looked in the firmware directories itself before
// it asks, and without an answer the driver waits for a minute
// (drivers/base/firmware_loader/fallback.c). When the file is installed later,
// the driver is asked to probe again.
//
// Only requests that the kernel sends an event for are answered, not what is
// found in /sys/class/firmware: some drivers leave theirs open there for an
// administrator's own file, and a place to upload to looks the same.
func (d duties) answerFirmware(sys, path, name string, log *slog.Logger) {
	if !d.firmware {
		return
	}
	loading := filepath.Join(sys, path, "loading")
	err := os.WriteFile(loading, []byte("-1"), 0)
	if err != nil {
		log.Warn("can't answer the kernel's request for firmware", "firmware", name, "error", err)
		return
	}
	log.Info("the kernel asks for firmware that is not installed: answered so", "firmware", name)
}
