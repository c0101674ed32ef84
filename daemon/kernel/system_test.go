package kernel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/kofile/kofiletest"
)

// tree makes a system of a text archive with sys/, proc/, dev/ and lib/ in it.
func tree(t *testing.T, archive string) System {
	t.Helper()
	dir := t.TempDir()
	if err := txtar.Write(txtar.Parse([]byte(archive)), dir); err != nil {
		t.Fatal(err)
	}
	return System{Sys: dir + "/sys", Proc: dir + "/proc", Dev: dir + "/dev", Lib: dir + "/lib"}
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

func TestUses(t *testing.T) {
	s := tree(t, `
-- sys/module/used/refcnt --
3
-- sys/module/used/holders/b --
-- sys/module/used/holders/a --
-- sys/module/unused/refcnt --
0
-- sys/module/unknown/initstate --
live
`)
	for _, test := range []struct {
		module     string
		references int
		holders    []string
	}{{"not_there", -1, nil}, {"unknown", -1, nil}, {"unused", 0, nil}, {"used", 3, []string{"a", "b"}}} {
		references, holders := s.Uses(test.module)
		if diff := cmp.Diff([]any{test.references, test.holders}, []any{references, holders}); diff != "" {
			t.Errorf("%s: %s", test.module, diff)
		}
	}
}

func TestDrivesNamesADeviceThatADriverOfTheModuleHas(t *testing.T) {
	s := tree(t, "-- sys/bus/pci/drivers/card/bind --\n-- sys/bus/pci/drivers/idle/bind --\n-- sys/module/plain/refcnt --\n0\n"+
		"-- sys/module/unlisted/drivers --\n")
	link := func(name, to string) {
		name = filepath.Join(s.Sys, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	link("bus/pci/drivers/card/0000:01:00.0", "../../../../devices/pci0/0000:01:00.0")
	link("bus/pci/drivers/card/module", "../../../../module/card")
	link("bus/pci/drivers/idle/module", "../../../../module/idle")
	link("bus/mdio_bus/drivers/A!B/phy0", "../../../../devices/phy0")
	link("bus/mdio_bus/drivers/A!B/module", "../../../../module/unlisted")
	link("module/card/drivers/pci:card", "../../../bus/pci/drivers/card")
	link("module/idle/drivers/pci:idle", "../../../bus/pci/drivers/idle")
	for module, want := range map[string]string{"card": "0000:01:00.0", "unlisted": "phy0", "idle": "", "plain": "", "gone": ""} {
		if got := s.Drives(module); got != want {
			t.Errorf("%s drives %q, want %q", module, got, want)
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
		{"root of a container that says which", unix.EPERM,
			full + "-- proc/self/uid_map --\n0 100000 65536\n-- proc/1/root/run/systemd/container --\nlxc\n", "this process is in a container (lxc), whose", os.ErrPermission},
		{"a container without the capability", unix.EPERM,
			without + first + "-- proc/1/root/.dockerenv --\n", "this process is in a container (docker) and does not have CAP_SYS_MODULE", os.ErrPermission},
		{"a container that would draw on terminals", unix.EPERM,
			without + first + "-- proc/1/environ --\nPATH=/bin\x00container=\x1b[2J\x00", "in a container (?[2J)", os.ErrPermission},
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

// built is a module file with these fields.
func built(fields ...string) string { return kofiletest.Module{Info: fields}.String() }

// content is what a file holds.
func content(file string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(file), 0, int64(len(file)))
}

func TestLoadWords(t *testing.T) {
	const running = "-- proc/sys/kernel/arch --\nx86_64\n-- proc/sys/kernel/osrelease --\n6.1.0-9\n-- proc/sys/kernel/version --\n#1 SMP Debian\n"
	const magic = "6.1.0-9 SMP preempt mod_unload modversions "
	logged := func(text string) string { return running + "-- dev/kmsg --\n3,812,7089822,-;" + text + "\n" }
	whole := built("parmtype=n:int", "parmtype=flag:bool", "parmtype=name:charp")
	signed := kofiletest.Module{Appended: "~Module signature appended~\n"}.String()
	enforced := func(word string) string { return "-- sys/module/module/parameters/sig_enforce --\n" + word + "\n" }
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
		{"an empty file", unix.ENOEXEC, running, "", "the file is damaged, or no module: not an ELF file (at byte 0): reinstall it"},
		{"a text", unix.ENOEXEC, running, "#!/bin/sh\n", "the file is damaged, or no module: not an ELF file (at byte 0): reinstall it"},
		{"a compressed one", unix.ENOEXEC, running, "\x1f\x8b", "what its compressed file holds is not a module"},
		{"half a header", unix.ENOEXEC, running, built()[:40], "the file is cut short at byte 40: the ELF header would reach to byte 64: reinstall it"},
		{"half a file", unix.ENOEXEC, running, built()[:99], "the file is cut short at byte 99: the table of sections would reach to byte"},
		{"another machine's", unix.ENOEXEC, running, kofiletest.Module{Machine: 183}.String(), "it is built for aarch64 and this machine is x86_64: install the module for x86_64"},
		{"another kernel's", unix.ENOEXEC, running, built("vermagic=6.1.0-8 SMP \x1b[2Jevil"),
			`it is built for "6.1.0-8 SMP ?[2Jevil" and this kernel is "6.1.0-9 #1 SMP Debian": install the modules of 6.1.0-9`},
		{"nobody's", unix.ENOEXEC, running, built(), "it does not say which kernel it is built for; this one is 6.1.0-9 #1 SMP Debian"},
		{"another release's, in the kernel's words", unix.ENOEXEC, logged("m: version magic '6.1.0-8 SMP preempt mod_unload modversions ' should be '" + magic + "'"),
			built("vermagic=6.1.0-8 SMP preempt mod_unload modversions "),
			`its version magic is "6.1.0-8 SMP preempt mod_unload modversions" and this kernel's is "6.1.0-9 SMP preempt mod_unload modversions" ` +
				`(it has 6.1.0-8 where this kernel has 6.1.0-9): install the modules of 6.1.0-9, or build it for them`},
		{"one of a kernel that preempts otherwise", unix.ENOEXEC, logged("m: version magic '6.1.0-9 SMP mod_unload modversions ' should be '" + magic + "'"),
			built("vermagic=6.1.0-9 SMP mod_unload modversions "), `its version magic is "6.1.0-9 SMP mod_unload modversions" and this kernel's is "` + magic[:len(magic)-1] + `" (it lacks preempt)`},
		{"one with a word too many", unix.ENOEXEC, logged("m: version magic '" + magic + "RANDSTRUCT ' should be '" + magic + "'"),
			built("vermagic=" + magic + "RANDSTRUCT "), `its version magic is "` + magic + `RANDSTRUCT" and this kernel's is "` + magic[:len(magic)-1] + `" (it has RANDSTRUCT, which this kernel has not)`},
		{"words about another module", unix.ENOEXEC, logged("m2: version magic 'a' should be 'b'"), built("vermagic=a"), `it is built for "a" and this kernel is "6.1.0-9 #1 SMP Debian"`},
		{"a bad value of one knows what", unix.EINVAL, "", "", `the kernel refused the value of a parameter (options "n=many flag=y")`},
		{"a bad number", unix.EINVAL, "", whole, `its parameter n takes a value of type int, which "many" is not (-2147483648 to 2147483647): correct it in modprobe.d, or on the kernel command line (m.n=)`},
		{"a value that is too large", unix.ERANGE, "", built("parmtype=n:byte"), `its parameter n takes a value of type byte, which "many" is not (0 to 255)`},
		{"a bad value of no parameter that is known", unix.EINVAL, "", built("parmtype=flag:bool"), `the kernel refused the value of a parameter (options "n=many flag=y"), a symbol's version`},
		{"no symbol", unix.ENOENT, "", "", "it needs a symbol that no loaded module has"},
		{"no symbol, in the kernel's words", unix.ENOENT, logged("m: Unknown symbol gone_\x1b (err -2)"), "", "it needs the symbol gone_?, which neither the kernel nor a loaded module has"},
		{"no signature", unix.EKEYREJECTED, enforced("Y"), whole, "it is not signed, and this kernel takes only what is signed by a key that it trusts (module.sig_enforce)"},
		{"a signature that is not trusted", unix.EKEYREJECTED, enforced("Y"), signed, "its signature does not fit its content, or is by a key that this kernel does not trust"},
		{"a signature that does not fit", unix.EKEYREJECTED, enforced("N"), signed, "its signature does not fit its content, so the file is damaged: reinstall it"},
		{"a signature that was cut off", unix.EKEYREJECTED, enforced("Y"), signed[:99], "the file is cut short"},
		{"no hardware", unix.ENODEV, "", "", "its init found no hardware that it drives"},
		{"what nobody foresaw", unix.EIO, "", "", "its init refused (input/output error): look in dmesg for the driver's own words"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := Module{Name: "m", File: "/m.ko", Options: "n=many flag=y"}
			err := tree(t, tt.tree).failed(m, tt.errno, content(tt.image))
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
		err := s.failed(Module{Name: "m", File: "/m.ko"}, errno, content(""))
		if e := (*Error)(nil); !errors.As(err, &e) || e.Words == "" {
			t.Errorf("load: %v has no words", errno)
		}
		if unloadWords(errno) == "" {
			t.Errorf("unload: %v has no words", errno)
		}
	}
}

// Whatever a file holds, what is said of it is one line that can be shown, and
// no longer than a worker's answer may be.
func FuzzWordsAboutAFile(f *testing.F) {
	f.Add(built("vermagic=6.1.0-9 SMP ", "parmtype=n:int"), "n=many")
	f.Add(built("vermagic=\x1b[2J"), "")
	f.Add(built("parmtype=n:"+strings.Repeat("long", 1000)), "n=x")
	f.Add(kofiletest.Module{Machine: 75, Appended: "~Module signature appended~\n"}.String(), "")
	f.Add("\x7fELF", "")
	f.Fuzz(func(t *testing.T, file, value string) {
		m := Module{Name: "m", File: "/m.ko", Options: "n=" + value[:min(len(value), 100)]}
		for _, errno := range []syscall.Errno{unix.ENOEXEC, unix.EINVAL, unix.EKEYREJECTED} {
			err := System{Sys: "/nonexistent", Proc: "/nonexistent", Dev: "/nonexistent"}.failed(m, errno, content(file))
			words := strings.ReplaceAll(err.Error(), m.Options, "")
			if len(words) > 2000 || printable(words) != words {
				t.Errorf("%q", words)
			}
		}
	})
}

const firmwareTree = `
-- proc/sys/kernel/osrelease --
6.1.0-9
-- lib/firmware/plain.bin --
-- lib/firmware/vendor/packed.bin.xz --
-- lib/firmware/vendor/small.bin.zst --
-- lib/firmware/6.1.0-9/release.bin --
-- lib/firmware/updates/update.bin --
-- lib/firmware/updates/6.1.0-9/both.bin --
-- elsewhere/own.bin --
`

func TestMissingFirmware(t *testing.T) {
	many := make([]string, 700)
	for i := range many {
		many[i] = fmt.Sprintf("firmware=many/%03d.bin", i)
	}
	long := strings.Repeat("n", 101)
	tests := []struct {
		name   string
		fields []string
		want   Firmware
	}{
		{"none is named", []string{"license=GPL"}, Firmware{}},
		{"all is there, in all forms and places", []string{"firmware=plain.bin", "firmware=vendor/packed.bin", "firmware=vendor/small.bin",
			"firmware=release.bin", "firmware=update.bin", "firmware=both.bin", "firmware=own.bin"}, Firmware{}},
		{"one is missing", []string{"firmware=plain.bin", "firmware=vendor/gone.bin"}, Firmware{[]string{"vendor/gone.bin"}, 1}},
		{"names that are no files' names", []string{"firmware=brcm/*.bin", "firmware=../proc/version", "firmware=/etc/passwd", "firmware="}, Firmware{}},
		{"names that can't be shown are counted", []string{"firmware=\x1b2J", "firmware=" + long}, Firmware{nil, 2}},
		{"more than anybody would read", many, Firmware{[]string{"many/000.bin", "many/001.bin", "many/002.bin", "many/003.bin",
			"many/004.bin", "many/005.bin", "many/006.bin", "many/007.bin"}, 700}},
		{"a name is listed once", []string{"firmware=a", "firmware=a"}, Firmware{[]string{"a"}, 2}},
	}
	s := tree(t, firmwareTree)
	own := s.Lib + "/../elsewhere"
	path := s.sys("module/firmware_class/parameters/path")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(own+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := content(built(tt.fields...))
			got := s.Inspect(f, f.Size(), false)
			if diff := cmp.Diff(tt.want, got.Firmware); diff != "" || got.NamesFirmware != (tt.name != "none is named") {
				t.Errorf("it names any: %v; %s", got.NamesFirmware, diff)
			}
		})
	}
	if got := s.Inspect(content("no module"), 9, true); got.Firmware.Total != 0 || got.Requests != MayRequest {
		t.Errorf("%+v of a file that is none", got)
	}
}

// A file that can't be found anywhere is the same as one without content.
func TestAMissingProcIsNoObstacle(t *testing.T) {
	s := System{Sys: filepath.Join(t.TempDir(), "no"), Proc: filepath.Join(t.TempDir(), "no")}
	if s.State("m") != Absent || s.Compression() != "" || !s.has(unix.CAP_SYS_MODULE) || !s.firstUserNamespace() {
		t.Error("something was made up")
	}
}
