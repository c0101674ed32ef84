package usage

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// block answers for a disk or a partition, by the first of its users that is
// found.
func block(q *inquiry, d *device) []Finding {
	if string(q.walk.read(d.path+"/hidden")) == "1" {
		return []Finding{d.finding(KindBlock, Unknown, "%s is a path to a disk that has several: who uses the disk is not asked", d.name())}
	}
	if !d.hasNode {
		return nil
	}
	for _, user := range []func(*device) string{q.mountOn, q.heldBy, q.swapOn, q.loopOn, q.superblockOn} {
		if says := user(d); says != "" {
			return []Finding{d.finding(KindBlock, InUse, "%s", says)}
		}
	}
	who, is, _ := q.open(d.number)
	switch {
	case is && who.onlyOn:
		return []Finding{d.finding(KindBlock, InUse, "%s has a file on %s open", who, d.name())}
	case is:
		return []Finding{d.finding(KindBlock, InUse, "%s has %s open", who, d.name())}
	}
	return []Finding{d.unless(q.unseenBlock(), KindBlock, "%s is not mounted, holds no swap space, is part of no other device, and nobody has it open", d.name())}
}

// unseenBlock says why a block device may have users that were not found.
func (q *inquiry) unseenBlock() string {
	if kernfs.Exists(unix.AT_FDCWD, nul(q.proc("/spl/kstat/zfs"))) {
		return "which disks ZFS uses can't be seen"
	}
	return cmp.Or(q.mounted().blind, q.openFiles().blind, q.hidden())
}

func (q *inquiry) mountOn(d *device) string {
	if words := q.mounted().on[d.number]; words != "" {
		return d.name() + " is " + words
	}
	return ""
}

// heldBy names the block device that is made of this one: md, dm, bcache.
func (q *inquiry) heldBy(d *device) string {
	if !d.held {
		return ""
	}
	if holders := q.walk.names(d.path + "/holders"); len(holders) > 0 {
		return fmt.Sprintf("%s is part of %s", d.name(), strings.Join(holders, ", "))
	}
	return ""
}

// swapOn tells of swap space on the device. That in a file is on a file system
// that is mounted.
func (q *inquiry) swapOn(d *device) (says string) {
	text, err := os.ReadFile(q.proc("/swaps")) // a kernel without swap has none
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		q.walk.fail(d.path, fmt.Sprintf("whether it holds swap space can't be seen: %v", err))
	}
	parseSwaps(text, func(file string) {
		if name, ok := strings.CutPrefix(file, "/dev/"); ok && q.nodeIs(name, d) {
			says = d.name() + " holds swap space"
		}
	})
	return says
}

// loopOn tells of a loop device whose file is the device.
func (q *inquiry) loopOn(d *device) string {
	for _, loop := range q.walk.names("/block") {
		if !strings.HasPrefix(loop, "loop") {
			continue
		}
		file := string(q.walk.read("/block/" + loop + "/loop/backing_file"))
		if name, ok := strings.CutPrefix(file, "/dev/"); ok && q.nodeIs(name, d) {
			return fmt.Sprintf("%s is what %s is on", d.name(), loop)
		}
	}
	return ""
}

// superblockOn tells of a file system that is on the device, mounted or not: one
// that was unmounted lazily, or by a namespace that has ended, lives on while it
// is used. File systems list theirs in /sys/fs by the device's name, btrfs and
// bcachefs by links; jbd2 lists the devices that hold nothing but a journal.
func (q *inquiry) superblockOn(d *device) string {
	for _, fs := range q.walk.names("/fs") {
		dir := "/fs/" + fs
		if q.walk.exists(dir + "/" + d.name()) {
			return fmt.Sprintf("a file system (%s) on %s is in use", fs, d.name())
		}
		if (fs == "btrfs" || fs == "bcachefs") && q.memberOf(dir, d) {
			return fmt.Sprintf("%s is part of a file system (%s) that is in use", d.name(), fs)
		}
	}
	if kernfs.Exists(unix.AT_FDCWD, nul(q.proc("/fs/jbd2/"+d.name()))) {
		return d.name() + " holds the journal of a file system that is in use"
	}
	return ""
}

// memberOf tells whether a file system with several devices has this one:
// btrfs/UUID/devices/sda1, bcachefs/UUID/dev-0/block.
func (q *inquiry) memberOf(dir string, d *device) bool {
	for _, uuid := range q.walk.names(dir) {
		if q.walk.exists(dir + "/" + uuid + "/devices/" + d.name()) {
			return true
		}
		for _, dev := range q.walk.names(dir + "/" + uuid) {
			if strings.HasPrefix(dev, "dev-") && path.Base(q.walk.link(dir+"/"+uuid+"/"+dev+"/block")) == d.name() {
				return true
			}
		}
	}
	return false
}

// scsiHost answers for a SCSI host, which is idle if its disks are, and so if it
// has none.
func scsiHost(_ *inquiry, d *device) []Finding {
	return []Finding{d.finding(KindBlock, Idle, "%s is used by its disks only", d.name())}
}
