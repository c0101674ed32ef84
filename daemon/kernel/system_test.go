package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"
)

// tree makes a system of a text archive with sys/ and proc/ in it.
func tree(t *testing.T, archive string) System {
	t.Helper()
	dir := t.TempDir()
	if err := txtar.Write(txtar.Parse([]byte(archive)), dir); err != nil {
		t.Fatal(err)
	}
	return System{Sys: dir + "/sys", Proc: dir + "/proc"}
}

func TestState(t *testing.T) {
	s := tree(t, `
-- sys/module/a_live/initstate --
live
-- sys/module/a_coming/initstate --
coming
-- sys/module/a_going/initstate --
going
-- sys/module/no_file_yet/refcnt --
1
-- sys/module/odd/initstate --
unheard of
`)
	for module, want := range map[string]State{
		"not_there": Absent, "no_file_yet": Coming, "odd": Coming,
		"a_coming": Coming, "a_going": Going, "a_live": Live,
	} {
		if got := s.State(module); got != want {
			t.Errorf("%s is %s, want %s", module, got, want)
		}
	}
}

func TestCompression(t *testing.T) {
	if got := tree(t, "").Compression(); got != "" {
		t.Errorf("%q of a kernel that unpacks nothing", got)
	}
	if got := tree(t, "-- sys/module/compression --\nxz\n").Compression(); got != "xz" {
		t.Errorf("%q, want xz", got)
	}
}

func TestPacking(t *testing.T) {
	for content, want := range map[string]string{
		"": "", "\x1f": "", "\x7fELF\x02\x01": "", "\xfd7zXZ": "",
		"\x1f\x8b\x08": "gzip", "\xfd7zXZ\x00\x00": "xz", "\x28\xb5\x2f\xfd\x00": "zstd",
	} {
		if got := Packing(strings.NewReader(content)); got != want {
			t.Errorf("%q is %q, want %q", content, got, want)
		}
	}
}

// The capabilities of root, with and without CAP_SYS_MODULE (bit 16).
const (
	full    = "-- proc/self/status --\nName:\tkmodd\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n"
	without = "-- proc/self/status --\nName:\tkmodd\nCapEff:\t000001fffffeffff\nSeccomp:\t0\n"
	first   = "-- proc/self/uid_map --\n         0          0 4294967295\n"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		answer syscall.Errno
		tree   string
		want   string
		is     error
	}{
		{"a kernel without modules", unix.ENOSYS, full, "this kernel is built without support for modules", errors.ErrUnsupported},
		{"finit_module hidden by a filter", unix.ENOSYS,
			"-- proc/modules --\n-- proc/self/status --\nSeccomp:\t2\n", "hidden from this process by a seccomp filter", errors.ErrUnsupported},
		{"a kernel older than finit_module", unix.ENOSYS,
			"-- proc/modules --\n" + full, "boot Linux 3.8 or newer", errors.ErrUnsupported},
		{"no capability", unix.EPERM, without + first,
			"load modules: this process does not have CAP_SYS_MODULE: run it as root, or give its service CAP_SYS_MODULE", os.ErrPermission},
		{"switched off, which no capability helps against", unix.EPERM,
			without + first + "-- proc/sys/kernel/modules_disabled --\n1\n", "modules_disabled is 1", os.ErrPermission},
		{"root of a container", unix.EPERM,
			full + "-- proc/self/uid_map --\n0 100000 65536\n", "this process is in a container", os.ErrPermission},
		{"a system call filter", unix.EPERM,
			strings.Replace(full, "Seccomp:\t0", "Seccomp:\t2", 1) + first, "allow finit_module and init_module", os.ErrPermission},
		{"nothing to be seen", unix.EPERM, full + first, "look for a security module's words in dmesg", os.ErrPermission},
		{"no /proc at all", unix.EPERM, "", "look for a security module's words in dmesg", os.ErrPermission},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tree(t, tt.tree).check(tt.answer)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, tt.is) {
				t.Errorf("got %v, want %q and %v", err, tt.want, tt.is)
			}
		})
	}
	if err := tree(t, full).check(unix.EBADF); err != nil {
		t.Errorf("a kernel that looked at the file: %v", err)
	}
}

// elf is the beginning of a 64-bit little-endian ELF file with no section
// headers, and a body.
func elf(machine byte, body string) string {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	head[18], head[40] = machine, 64
	return string(head) + body
}

func TestLoadWords(t *testing.T) {
	const running = "-- proc/sys/kernel/arch --\nx86_64\n-- proc/sys/kernel/osrelease --\n6.1.0-9\n-- proc/sys/kernel/version --\n#1 SMP Debian\n"
	sectionsBeyond := []byte(elf(62, ""))
	sectionsBeyond[41] = 0xff
	tests := []struct {
		name  string
		errno syscall.Errno
		tree  string
		image string
		want  string
	}{
		{"blacklisted by name", unix.EPERM, full + first + "-- proc/cmdline --\nquiet module-blacklist=x,m root=/\n", "",
			"module_blacklist= on the kernel command line names it"},
		{"the last blacklist counts", unix.EPERM, full + first + "-- proc/cmdline --\nmodule_blacklist=m module_blacklist=other\n", "",
			"a security module (LoadPin, IMA, SELinux)"},
		{"locked down", unix.EPERM, full + first + "-- sys/kernel/security/lockdown --\nnone [integrity] confidentiality\n", "",
			"the kernel is locked down (none [integrity] confidentiality)"},
		{"not locked down", unix.EPERM, full + first + "-- sys/kernel/security/lockdown --\n[none] integrity confidentiality\n", "",
			"a security module (LoadPin, IMA, SELinux)"},
		{"IMA's refusal", unix.EACCES, full + first, "", "a security module (LoadPin, IMA, SELinux)"},
		{"no capability", unix.EPERM, without + first, "", "this process does not have CAP_SYS_MODULE: run it as root"},
		{"an empty file", unix.ENOEXEC, running, "", "it is not an ELF file: reinstall it"},
		{"a text", unix.ENOEXEC, running, "#!/bin/sh\n", "it is not an ELF file: reinstall it"},
		{"a compressed one", unix.ENOEXEC, running, "\x1f\x8b", "what its compressed file holds is not a module"},
		{"half a header", unix.ENOEXEC, running, elf(62, "")[:40], "it is cut short: reinstall it"},
		{"sections beyond the end", unix.ENOEXEC, running, string(sectionsBeyond), "it is cut short: reinstall it"},
		{"another machine's", unix.ENOEXEC, running, elf(183, ""), "it is built for aarch64 and this machine is x86_64"},
		{"another kernel's", unix.ENOEXEC, running, elf(62, "\x00vermagic=6.1.0-8 SMP \x1b[2Jevil\x00"),
			`it is built for "6.1.0-8 SMP ?[2Jevil" and this kernel is "6.1.0-9 #1 SMP Debian": install the modules of 6.1.0-9`},
		{"nobody's", unix.ENOEXEC, running, elf(62, "x"), "it does not say which kernel it is built for; this one is 6.1.0-9 #1 SMP Debian"},
		{"a bad value", unix.EINVAL, "", "", `the kernel refused the value of a parameter (options "n=many")`},
		{"no symbol", unix.ENOENT, "", "", "it needs a symbol that no loaded module has"},
		{"no hardware", unix.ENODEV, "", "", "its init found no hardware that it drives"},
		{"what nobody foresaw", unix.EIO, "", "", "its init refused: look in dmesg for the driver's own words"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := Module{Name: "m", File: "/m.ko", Options: "n=many"}
			err := tree(t, tt.tree).failed(m, tt.errno, strings.NewReader(tt.image))
			want := "load m from /m.ko: " + unix.ErrnoName(tt.errno) + ": " + tt.want
			if !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Error(cmp.Diff(want, err.Error()))
			}
			if !errors.Is(err, tt.errno) {
				t.Error("the errno is lost")
			}
		})
	}
}

// Every errno of the interface has words that say more than its name.
func TestEveryErrnoHasAWord(t *testing.T) {
	s := tree(t, full+first)
	for errno := syscall.Errno(1); errno < 134; errno++ {
		err := s.failed(Module{Name: "m", File: "/m.ko"}, errno, strings.NewReader(""))
		if e := (*Error)(nil); !errors.As(err, &e) || e.Words == "" {
			t.Errorf("load: %v has no words", errno)
		}
		if unloadWords(errno) == "" {
			t.Errorf("unload: %v has no words", errno)
		}
	}
}

func TestAVermagicIsFoundWhereverItLies(t *testing.T) {
	for _, at := range []int{0, 1 << 10, 64<<10 - 5, 64<<10 - 512, 128<<10 - 9, 1 << 20} {
		image := elf(62, strings.Repeat("x", at)+"\x00vermagic=6.1.0-9 SMP \x00rest")
		if f, fault := readELF(strings.NewReader(image)); f.vermagic != "6.1.0-9 SMP" || fault != "" {
			t.Errorf("at %d: %q %q", at, f.vermagic, fault)
		}
	}
}

func FuzzReadELF(f *testing.F) {
	f.Add(elf(62, "\x00vermagic=6.1.0-9 SMP \x00"))
	f.Add(elf(62, "\x00vermagic="))
	f.Add("\x7fELF")
	f.Add("")
	f.Fuzz(func(t *testing.T, image string) {
		file, fault := readELF(strings.NewReader(image))
		if fault != "" && file.vermagic != "" {
			t.Errorf("both %q and %q", fault, file.vermagic)
		}
		if len(file.vermagic) > 512 || strings.ContainsFunc(file.vermagic, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("a vermagic not fit to show: %q", file.vermagic)
		}
	})
}

// A file that can't be found anywhere is the same as one without content.
func TestAMissingProcIsNoObstacle(t *testing.T) {
	s := System{Sys: filepath.Join(t.TempDir(), "no"), Proc: filepath.Join(t.TempDir(), "no")}
	if s.State("m") != Absent || s.Compression() != "" || !s.has(unix.CAP_SYS_MODULE) || !s.firstUserNamespace() {
		t.Error("something was made up")
	}
}
