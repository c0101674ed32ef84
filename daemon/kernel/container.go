package kernel

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// outside is the cure for all that a container lacks.
const outside = "run kmodd outside of the container: drivers are the host's business"

// secluded says why a process that may load modules can't keep drivers in step
// with the hardware, or finds nothing. What a container has of its own besides
// (process numbers, files) does no harm.
func (s System) secluded() (found, cure string) {
	switch {
	case readOnly(s.sys("")):
		return "/sys is mounted read-only, as container managers do for whom devices are none of their business" +
			inParentheses(s.Container()), outside
	case !s.hearsHardware():
		return "the kernel tells of hardware in network namespaces of the system's own user namespace only, " +
			"and this process is in another one" + inParentheses(s.Container()), outside
	}
	return "", ""
}

// readOnly says whether the file system there is mounted read-only.
func readOnly(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
}

// hearsHardware says whether uevents of hardware reach the network namespace of
// this process. They go to all whose owner is the first user namespace
// (uevent_net_init and uevent_net_broadcast_untagged in lib/kobject_uevent.c),
// so a network namespace of its own is no obstacle as such. The owner is asked
// for by ioctl_ns(2); what can't be found out is taken for yes.
func (s System) hearsHardware() bool {
	net, err := os.Open(s.proc("self/ns/net"))
	if err != nil {
		return true
	}
	defer net.Close()
	owner, err := unix.IoctlRetInt(int(net.Fd()), unix.NS_GET_USERNS)
	if err == unix.EPERM { // it is out of this process's sight
		return false
	}
	if err != nil { // before Linux 4.9
		return true
	}
	defer unix.Close(owner)
	var theirs, ours unix.Stat_t
	if unix.Fstat(owner, &theirs) != nil || unix.Stat(s.proc("self/ns/user"), &ours) != nil {
		return true
	}
	return theirs.Ino == ours.Ino
}

// Container is the kind of container that this process is in, such as docker,
// as far as the container's manager says so, and "" if none does. The first two
// places are those of systemd's container interface.
func (s System) Container() string {
	if kind := firstLine(s.proc("1/root/run/systemd/container")); kind != "" {
		return kind
	}
	for word := range strings.SplitSeq(read(s.proc("1/environ")), "\x00") {
		if kind, ok := strings.CutPrefix(word, "container="); ok && kind != "" {
			return kind
		}
	}
	for _, mark := range [...]struct{ file, kind string }{{".dockerenv", "docker"}, {"run/.containerenv", "podman"}} {
		if unix.Access(s.proc("1/root/"+mark.file), unix.F_OK) == nil {
			return mark.kind
		}
	}
	return ""
}

// inParentheses is an addition to a sentence, none for no words. They may come
// from a container.
func inParentheses(words string) string {
	if words == "" {
		return ""
	}
	return " (" + printable(words) + ")"
}
