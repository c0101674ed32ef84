package kernel

import (
	"io"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// loadWords says what a load's errno means here and what to do about it. The
// kernel's own, more exact words are in its log.
func (s System) loadWords(e *Error, m Module, image *io.SectionReader) string {
	switch e.Errno {
	case unix.EEXIST:
		return "the module is live already"
	case unix.EPERM, unix.EACCES:
		return s.permissionWords(m)
	case unix.EBUSY:
		return "another load of it, or of a module that it needs, is under way or has just failed: look at its state, then try once more"
	case unix.ENOENT:
		return s.symbolWords(m)
	case unix.EINVAL:
		return parameterWords(m, image)
	case unix.ERANGE, unix.ENOSPC: // a number, or a text, that is too large
		if words := refusedParameter(m, image); words != "" {
			return words
		}
	case unix.ENOEXEC:
		return s.formatWords(m, image)
	case unix.EKEYREJECTED:
		return s.signatureWords(image)
	case unix.EBADMSG:
		return "its signature block is malformed, so the file is damaged: reinstall it"
	case unix.EOPNOTSUPP:
		return "this kernel does not unpack compressed modules: unpack the file, or install kmodd-tools, which does"
	case unix.ETXTBSY:
		return "the file is open for writing: try again when what writes it has finished"
	case unix.ENOMEM:
		return "not enough memory for it: free some, then try again"
	case unix.ENOSYS:
		found, cure := s.missing()
		return found + ": " + cure
	case unix.ENODEV, unix.ENXIO:
		return "its init found no hardware that it drives, which is no fault where there is none; otherwise look in dmesg"
	}
	return "its init refused (" + e.Errno.Error() + "): look in dmesg for the driver's own words"
}

// permissionWords tells the causes of EPERM and EACCES apart.
func (s System) permissionWords(m Module) string {
	if found, cure := s.forbidden(); found != "" {
		return found + ": " + cure
	}
	if s.Blacklisted(m.Name) {
		return "module_blacklist= on the kernel command line names it: take it out there and boot again"
	}
	lockdown := firstLine(s.sys("kernel/security/lockdown"))
	if lockdown != "" && !strings.Contains(lockdown, "[none]") {
		return "the kernel is locked down (" + lockdown + ") and takes only modules signed by a trusted key: sign it, or switch Secure Boot off"
	}
	return "a security module (LoadPin, IMA, SELinux) refused this file: look in dmesg and the audit log for which"
}

// Blacklisted says whether module_blacklist= names the module. The kernel
// compares exact names (blacklisted() in kernel/module/main.c), takes a dash
// in the parameter's own name for an underscore, and the last one counts.
func (s System) Blacklisted(module string) bool {
	found := false
	for word := range strings.FieldsSeq(read(s.proc("cmdline"))) {
		key, list, ok := strings.Cut(word, "=")
		if !ok || strings.ReplaceAll(key, "-", "_") != "module_blacklist" {
			continue
		}
		found = false
		for name := range strings.SplitSeq(list, ",") {
			found = found || name == module
		}
	}
	return found
}

// unloadWords says what an unload's errno means.
func unloadWords(errno syscall.Errno) string {
	switch errno {
	case unix.EAGAIN:
		return "it is in use, or a module that needs it is in: see lsmod, and end what uses it"
	case unix.EBUSY:
		return "its init or exit has not finished, or it has no exit function: it stays until the next boot"
	case unix.ENOENT:
		return "it is not loaded"
	case unix.EPERM:
		return "it needs CAP_SYS_MODULE, and /proc/sys/kernel/modules_disabled to be 0"
	case unix.ENOSYS:
		return "this kernel can't unload modules (CONFIG_MODULE_UNLOAD is off)"
	}
	return "look in dmesg"
}
