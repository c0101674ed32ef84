package kernel

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A CheckError says why no module at all can be loaded.
type CheckError struct {
	Found string // what was found, one clause
	Cure  string // what to do about it, one clause
	Err   error  // errors.ErrUnsupported (the kernel can't) or os.ErrPermission (this process may not)
}

var _ error = (*CheckError)(nil)

// Error is one line that ends with the cure.
func (e *CheckError) Error() string { return "load modules: " + e.Found + ": " + e.Cure }

// Unwrap gives Err.
func (e *CheckError) Unwrap() error { return e.Err }

// Check says whether this process may load modules into this kernel, and
// whether it can know of its devices. It asks the kernel itself, with a
// descriptor that can't be one: finit_module looks at permissions
// (kernel/module/main.c, may_init_module) before it looks at the file. The
// error is a [*CheckError].
func (s System) Check() error { return s.check(canLoad()) }

// MayLoad is the half of Check that is about loading.
func (s System) MayLoad() error { return s.mayLoad(canLoad()) }

func canLoad() syscall.Errno { return asErrno(unix.FinitModule(-1, "", 0)) }

func (s System) check(answer syscall.Errno) error {
	if err := s.mayLoad(answer); err != nil {
		return err
	}
	if found, cure := s.secluded(); found != "" {
		return &CheckError{Found: found, Cure: cure, Err: os.ErrPermission}
	}
	return nil
}

func (s System) mayLoad(answer syscall.Errno) error {
	switch answer {
	case unix.EBADF:
		return nil
	case unix.ENOSYS:
		found, cure := s.missing()
		return &CheckError{Found: found, Cure: cure, Err: errors.ErrUnsupported}
	}
	found, cure := s.forbidden()
	if found == "" {
		found, cure = "the kernel says "+answer.Error(), "look for a security module's words in dmesg"
	}
	return &CheckError{Found: found, Cure: cure, Err: os.ErrPermission}
}

// missing explains ENOSYS.
func (s System) missing() (found, cure string) {
	if _, err := os.Stat(s.proc("modules")); err != nil {
		return "this kernel is built without support for modules (there is no " + s.proc("modules") + ")",
			"boot one built with CONFIG_MODULES=y; in this one all drivers are built in, and there is nothing to load"
	}
	if s.status("Seccomp") != "0" {
		return "finit_module is hidden from this process by a seccomp filter",
			"allow finit_module and init_module in the container's or the service's system call filter"
	}
	return "this kernel has no finit_module", "boot Linux 3.8 or newer"
}

// forbidden explains EPERM from what every load goes through, or finds nothing.
// CAP_SYS_MODULE counts only in the first user namespace (capable(), not
// ns_capable()), so a container's root that seems to have it does not.
func (s System) forbidden() (found, cure string) {
	switch {
	case firstLine(s.proc("sys/kernel/modules_disabled")) == "1":
		return "module loading is switched off until the next boot (/proc/sys/kernel/modules_disabled is 1)",
			"find what writes kernel.modules_disabled, start kmodd before it, and boot again"
	case !s.firstUserNamespace():
		return "this process is in a container" + inParentheses(s.Container()) +
			", whose CAP_SYS_MODULE does not count (its user namespace is not the system's)", outside
	case !s.has(unix.CAP_SYS_MODULE) && s.Container() != "":
		return "this process is in a container" + inParentheses(s.Container()) + " and does not have CAP_SYS_MODULE", outside
	case !s.has(unix.CAP_SYS_MODULE):
		return "this process does not have CAP_SYS_MODULE",
			"run it as root, or give its service CAP_SYS_MODULE"
	case s.status("Seccomp") == "2":
		return "a seccomp filter forbids it, as containers and hardened services have",
			"allow finit_module and init_module in that system call filter"
	}
	return "", ""
}

// has says whether a capability is in the effective set. What can't be read is
// taken as present: another cause is looked for then.
func (s System) has(capability uint) bool {
	set, err := strconv.ParseUint(s.status("CapEff"), 16, 64)
	return err != nil || set>>capability&1 == 1
}

// CanHurry tells whether a thread of this process that has less priority than others can
// have it back (setpriority(2), getrlimit(2) RLIMIT_NICE).
func (s System) CanHurry() bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NICE, &limit); err == nil && limit.Cur >= 20 {
		return true
	}
	return s.has(unix.CAP_SYS_NICE)
}

// firstUserNamespace says whether uid_map is the identity, as it is in the
// system's own user namespace (user_namespaces(7)).
func (s System) firstUserNamespace() bool {
	text := read(s.proc("self/uid_map"))
	return text == "" || strings.Join(strings.Fields(text), " ") == "0 0 4294967295"
}

// status is the value of one line of /proc/self/status, "" if there is none.
func (s System) status(key string) string {
	for line := range strings.Lines(read(s.proc("self/status"))) {
		if name, value, ok := strings.Cut(line, ":"); ok && name == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
