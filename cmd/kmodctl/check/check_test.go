package check_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/check"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
	"github.com/kmodd/kmodd/match/kofile/signature/trust"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

const (
	release = "6.1.0-9"
	magic   = "vermagic=" + release + " SMP preempt mod_unload modversions "
)

// kallsyms is the kernel's as root sees it: printk is for all, queue for GPL modules.
const kallsyms = `ffffffff82460180 R __start___ksymtab
ffffffff82461968 r __ksymtab_printk
ffffffff8246ea90 R __start___ksymtab_gpl
ffffffff8246ea98 r __ksymtab_queue
ffffffff8246eaa8 r __ksymtab_apart
ffffffff8246eab8 r __ksymtab_rare
ffffffff8247ed20 R __stop___ksymtab_gpl
ffffffffc0000000 r __ksymtab_given	[gives]
`

// own is a module of the kernel's that is in: it tells the versions of what it uses.
var own = kofiletest.Module{
	Info: []string{"name=own", "license=GPL", "intree=Y", magic, "import_ns=APART"}, Needs: needs("printk", "queue", "apart"),
	Versions: []kofile.Version{{Name: "module_layout", CRC: 1}, {Name: "printk", CRC: 2}, {Name: "apart", CRC: 4}},
}

// plain is one more, that uses no namespace.
var plain = kofiletest.Module{
	Info:     []string{"name=plain", "license=GPL", "intree=Y", magic},
	Versions: []kofile.Version{{Name: "printk", CRC: 2}, {Name: "queue", CRC: 3}, {Name: "module_layout", CRC: 1}},
}

var gives = kofiletest.Module{
	Info:    []string{"name=gives", "license=GPL", magic},
	Exports: []kofile.Export{{Name: "given", CRC: 5}, {Name: "freely", CRC: 6, GPL: true}, {Name: "spaced", CRC: 7, Namespace: "SPACE"}},
}

func needs(names ...string) (list []kofile.Need) {
	for _, name := range names {
		list = append(list, kofile.Need{Name: name})
	}
	return list
}

// A tree is a system in a directory of its own.
type tree struct {
	dir    string
	system *check.System
}

func newTree(t testing.TB, files map[string]string) *tree {
	t.Helper()
	dir := t.TempDir()
	modules := "lib/modules/" + release + "/"
	all := map[string]string{
		"proc/kallsyms": kallsyms, "proc/modules": "own 4096 0 - Live 0x0\ngives 4096 0 - Live 0x0\n", "proc/cmdline": "quiet module_blacklist=banned\n",
		"proc/sys/kernel/arch": "x86_64\n", "proc/keys": "1 I------     1 perm 1f030000     0     0 asymmetri Somebody: 7ef7: X509.rsa 1bee []\n",
		"sys/module/own/initstate": "live\n", "sys/module/own/taint": "\n", "sys/module/gives/initstate": "live\n",
		"sys/module/module/parameters/sig_enforce": "N\n",
		modules + "own.ko":                         own.String(), modules + "plain.ko": plain.String(), modules + "gives.ko": gives.String(),
		modules + "broken.ko": "no module",
	}
	for name, content := range files {
		all[name] = content
	}
	for name, content := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tables, err := match.Parse(filepath.Join(dir, modules), map[string]string{
		"modules.dep": "own.ko:\nplain.ko:\ngives.ko:\nbroken.ko:\nwants.ko: broken.ko\n", "modules.symbols": "alias symbol:given gives\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	return &tree{dir, &check.System{
		Kernel: kernel.System{Sys: dir + "/sys", Proc: dir + "/proc", Lib: dir + "/lib"}, Release: release, Tables: tables,
	}}
}

// run checks a module that stands beside the others.
func (tr *tree) run(t testing.TB, content string, l check.Load) map[string]check.Step {
	t.Helper()
	l.File = filepath.Join(tr.dir, "lib/modules", release, "tried.ko")
	if err := os.WriteFile(l.File, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	r := tr.system.Run(l)
	steps := make(map[string]check.Step)
	for _, s := range r.Steps {
		steps[s.Name] = s
		if len(s.Says) == 0 || (s.Errno != 0) && s.Result != check.Fails || s.Result == "" {
			t.Errorf("a step that says too little: %+v", s)
		}
	}
	if len(steps) != 11 || len(r.Steps) != 11 {
		t.Errorf("%d steps: %+v", len(r.Steps), r.Steps)
	}
	return steps
}

// tried is a module to which nothing can be said, but for what is changed.
func tried(change func(m *kofiletest.Module)) string {
	m := kofiletest.Module{
		Info: []string{"name=tried", "license=GPL", "depends=gives", "parmtype=n:int", magic}, Needs: needs("printk", "given"),
		Versions: []kofile.Version{{Name: "module_layout", CRC: 1}, {Name: "printk", CRC: 2}, {Name: "given", CRC: 5}},
	}
	if change != nil {
		change(&m)
	}
	return m.String()
}

func info(fields ...string) func(*kofiletest.Module) {
	return func(m *kofiletest.Module) { m.Info = fields }
}

func TestEachStepSaysWhatTheKernelWould(t *testing.T) {
	enforced := map[string]string{"sys/module/module/parameters/sig_enforce": "Y\n"}
	for _, tt := range []struct {
		name  string
		files map[string]string
		file  string
		load  check.Load
		step  string
		want  check.Result
		errno syscall.Errno
		says  string
	}{
		{"not a module", nil, "no module", check.Load{}, check.Format, check.Fails, unix.ENOEXEC, "not an ELF file"},
		{"cut short", nil, tried(nil)[:500], check.Load{}, check.Format, check.Fails, unix.ENOEXEC, "cut short at byte 500"},
		{"what follows of it is not known", nil, tried(nil)[:500], check.Load{}, check.Symbols, check.Unknown, 0, "the file can't be read"},
		{"another machine's", nil, tried(func(m *kofiletest.Module) { m.Machine = 183 }), check.Load{}, check.Format, check.Fails, unix.ENOEXEC, "built for aarch64, and this machine is x86_64"},
		{"unsigned where that is enforced", enforced, tried(nil), check.Load{}, check.Signature, check.Fails, unix.EKEYREJECTED, "signed by nobody"},
		{"unsigned in lockdown", map[string]string{"sys/kernel/security/lockdown": "none [integrity]\n"}, tried(nil), check.Load{}, check.Signature, check.Fails, unix.EPERM, "lockdown none [integrity]"},
		{"a signature that is none", enforced, tried(func(m *kofiletest.Module) { m.Appended = kofile.Mark }), check.Load{}, check.Signature, check.Fails, unix.EKEYREJECTED, "can't be read"},
		{"unsigned", nil, tried(nil), check.Load{}, check.Signature, check.OK, 0, "by nobody"},
		{"named by module_blacklist=", nil, tried(info("name=banned", magic)), check.Load{}, check.Blacklist, check.Fails, unix.EPERM, "names banned"},
		{"built for nothing", nil, tried(info("name=tried")), check.Load{}, check.Magic, check.Fails, unix.ENOEXEC, "does not say"},
		{"built for another preemption", nil, tried(info("name=tried", "vermagic=6.1.0-8 SMP mod_unload modversions")), check.Load{}, check.Magic, check.Fails, unix.ENOEXEC, "as own, which is in, says: it has 6.1.0-8 where this kernel has 6.1.0-9 preempt"},
		{"another release does not matter to a module with versions", nil, tried(info("name=tried", "vermagic=6.1.0-8 SMP preempt mod_unload modversions")), check.Load{}, check.Magic, check.OK, 0, ""},
		{"and does to one without", nil, tried(func(m *kofiletest.Module) {
			m.Versions, m.Info = nil, []string{"vermagic=6.1.0-8 SMP preempt mod_unload modversions"}
		}), check.Load{}, check.Magic, check.Fails, unix.ENOEXEC, "it has 6.1.0-8"},
		{"another build", nil, tried(func(m *kofiletest.Module) { m.Versions[0].CRC = 9 }), check.Load{}, check.Magic, check.Fails, unix.ENOEXEC, "module_layout is 0x00000009, and this kernel's is 0x00000001, as own"},
		{"in already", nil, tried(info("name=own", magic)), check.Load{Alone: true}, check.Presence, check.Fails, unix.EEXIST, "a module own is in"},
		{"in already, to be taken out first", nil, tried(info("name=own", magic)), check.Load{Alone: true, Anew: true}, check.Presence, check.OK, 0, "taken out first"},
		{"a symbol of nobody's", nil, tried(func(m *kofiletest.Module) { m.Needs = needs("nobodys") }), check.Load{}, check.Symbols, check.Fails, unix.ENOENT, "nobodys is exported by nobody"},
		{"a weak one of nobody's", nil, tried(func(m *kofiletest.Module) { m.Needs = []kofile.Need{{Name: "nobodys", Weak: true}} }), check.Load{}, check.Symbols, check.OK, 0, ""},
		{"a symbol for the GPL", nil, tried(func(m *kofiletest.Module) {
			m.Info[1], m.Needs = "license=Proprietary", needs("queue")
		}), check.Load{}, check.Symbols, check.Fails, unix.ENOENT, `queue is exported by the kernel for GPL modules only, and this one's licence is "Proprietary"`},
		{"another version of the kernel's", nil, tried(func(m *kofiletest.Module) { m.Versions[1].CRC = 9 }), check.Load{}, check.Symbols, check.Fails, unix.EINVAL, "printk of the kernel has the version 0x00000002, as own, which is in, says, and this module was built with 0x00000009"},
		{"another version of a module's", nil, tried(func(m *kofiletest.Module) { m.Versions[2].CRC = 9 }), check.Load{}, check.Symbols, check.Fails, unix.EINVAL, "given of gives has the version 0x00000005"},
		{"the last one counts", nil, tried(func(m *kofiletest.Module) { m.Versions[1].CRC, m.Needs = 9, needs("printk", "nobodys") }), check.Load{}, check.Symbols, check.Fails, unix.ENOENT, "nobodys"},
		{"a namespace that is not imported", nil, tried(func(m *kofiletest.Module) { m.Needs = needs("spaced") }), check.Load{}, check.Symbols, check.Fails, unix.EINVAL, "spaced of gives is in the namespace SPACE"},
		{"a namespace that is", nil, tried(func(m *kofiletest.Module) { m.Needs, m.Info = needs("spaced"), append(m.Info, "import_ns=SPACE") }), check.Load{}, check.Symbols, check.OK, 0, "1 of gives"},
		{"one that can't be told", nil, tried(func(m *kofiletest.Module) { m.Needs = needs("apart") }), check.Load{}, check.Symbols, check.Unknown, 0, "apart: whether it is in a namespace can't be told here"},
		{"a version that nobody has", nil, tried(func(m *kofiletest.Module) {
			m.Needs, m.Versions = needs("rare"), append(m.Versions, kofile.Version{Name: "rare", CRC: 9})
		}), check.Load{}, check.Symbols, check.Unknown, 0, "rare: its version can't be told here"},
		{"what is exported twice", nil, tried(func(m *kofiletest.Module) { m.Exports = []kofile.Export{{Name: "printk"}} }), check.Load{}, check.Symbols, check.Fails, unix.ENOEXEC, "printk is exported by the kernel, too"},
		{"of a module that is not in", map[string]string{"proc/kallsyms": strings.Replace(kallsyms, "ffffffffc0000000 r __ksymtab_given	[gives]\n", "", 1), "sys/module/gives/initstate": "going\n"},
			tried(nil), check.Load{Alone: true}, check.Symbols, check.Fails, unix.ENOENT, "given is exported by gives, which is not in"},
		{"of one that modprobe puts in", map[string]string{"proc/kallsyms": strings.Replace(kallsyms, "ffffffffc0000000 r __ksymtab_given	[gives]\n", "", 1), "sys/module/gives/initstate": "going\n"},
			tried(nil), check.Load{}, check.Symbols, check.OK, 0, "1 of gives, 1 of the kernel"},
		{"nothing but addresses of 0 to be seen", map[string]string{"proc/kallsyms": regexp.MustCompile("(?m)^[0-9a-f]*").ReplaceAllString(kallsyms, "0000000000000000")},
			tried(func(m *kofiletest.Module) { m.Info[1], m.Needs = "license=Proprietary", needs("printk") }), check.Load{}, check.Symbols, check.Unknown, 0, "printk: whether it is for GPL modules only can't be told; root can"},
		{"nor are they needed for a licence that goes with the GPL", map[string]string{"proc/kallsyms": regexp.MustCompile("(?m)^[0-9a-f]*").ReplaceAllString(kallsyms, "0000000000000000")},
			tried(func(m *kofiletest.Module) { m.Needs = needs("queue") }), check.Load{}, check.Symbols, check.OK, 0, "1 of the kernel"},
		{"no kallsyms", map[string]string{"proc/kallsyms": ""}, tried(nil), check.Load{}, check.Symbols, check.Unknown, 0, "printk: who exports it can't be told"},
		{"a parameter that is wrong", nil, tried(nil), check.Load{Parameters: "n=fast"}, check.Parameters, check.Fails, unix.EINVAL, `parameter n takes a value of type int, which "fast" is not (-2147483648 to 2147483647)`},
		{"one that is too large", nil, tried(nil), check.Load{Parameters: "n=4294967296"}, check.Parameters, check.Fails, unix.ERANGE, ""},
		{"one that is none", nil, tried(nil), check.Load{Parameters: "m=1"}, check.Parameters, check.OK, 0, "did you mean n?"},
		{"a dependency that is none", nil, tried(info("name=tried", "depends=broken", magic)), check.Load{}, check.Dependencies, check.Fails, unix.ENOEXEC, "broken fails itself: format"},
		{"one that is nowhere", nil, tried(info("name=tried", "depends=nosuch", magic)), check.Load{}, check.Dependencies, check.Fails, 0, "nosuch is not installed"},
		{"one that is in", nil, tried(nil), check.Load{}, check.Dependencies, check.OK, 0, "gives is in"},
		{"init", nil, tried(nil), check.Load{}, check.Init, check.Unknown, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := newTree(t, tt.files).run(t, tt.file, tt.load)[tt.step]
			if got.Result != tt.want || got.Errno != tt.errno || !strings.Contains(strings.Join(got.Says, "\n"), tt.says) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestNothingStandsAgainstWhatIsWell(t *testing.T) {
	for name, s := range newTree(t, nil).run(t, tried(nil), check.Load{Parameters: "n=5"}) {
		if s.Result != check.OK && name != check.Init && name != check.Permission {
			t.Errorf("%+v", s)
		}
	}
}

func TestTheHeadersTellWhatNoModuleDoes(t *testing.T) {
	tr := newTree(t, map[string]string{
		"lib/modules/" + release + "/build/Module.symvers": "0x00000009\trare\tvmlinux\tEXPORT_SYMBOL_GPL\tAPART\n0x00000001\tgiven\tvmlinux\tEXPORT_SYMBOL\t\n",
	})
	m := func(m *kofiletest.Module) {
		m.Needs, m.Versions = needs("rare"), append(m.Versions, kofile.Version{Name: "rare", CRC: 8})
	}
	if got := tr.run(t, tried(m), check.Load{})[check.Symbols]; got.Result != check.Fails || !strings.Contains(got.Says[0], "0x00000009, as Module.symvers of its headers says") {
		t.Errorf("%+v", got)
	}
	m8 := func(m *kofiletest.Module) {
		m.Needs, m.Versions = needs("rare"), append(m.Versions, kofile.Version{Name: "rare", CRC: 9})
	}
	if got := tr.run(t, tried(m8), check.Load{})[check.Symbols]; got.Result != check.Fails || !strings.Contains(got.Says[0], "in the namespace APART") {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsConfiguredCountsForModprobeOnly(t *testing.T) {
	tr := newTree(t, map[string]string{"etc/modprobe.d/a.conf": "blacklist own\noptions own n=many\ninstall plain /bin/false\n"})
	config := modprobed.Kmodd.Load(tr.dir, tr.system.Tables.Dir(), "")
	tr.system.Rules = rules.NewSet(tr.system.Tables, config)
	at := func(name string, alone bool) check.Report {
		return tr.system.Run(check.Load{File: filepath.Join(tr.dir, "lib/modules", release, name+".ko"), Alone: alone})
	}
	for _, tt := range []struct {
		module     string
		alone      bool
		parameters string
		says       string
	}{
		{"own", false, "n=many", "for a device it is not: own is refused: "},
		{"own", true, "", "for a device it is not"},
		{"plain", false, "", "an install command stands for it: /bin/false"},
		{"gives", false, "", "nothing stands against it"},
	} {
		r := at(tt.module, tt.alone)
		s := r.Steps[len(r.Steps)-2]
		if r.Parameters != tt.parameters || s.Name != check.Configuration || !strings.Contains(strings.Join(s.Says, "\n"), tt.says) {
			t.Errorf("%s: %q %+v", tt.module, r.Parameters, s)
		}
	}
}

func TestSignaturesAreHeldToWhatTheKernelKnows(t *testing.T) {
	signed, err := os.ReadFile("../testdata/signed.ko")
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile("../testdata/signing.pem")
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := trust.Certificates(pem)
	if err != nil {
		t.Fatal(err)
	}
	damaged := strings.Replace(string(signed), "license=", "licence=", 1)
	const key = "1 I------     1 perm 1f030000     0     0 asymmetri A key for tests: 7ef7: X509.rsa 1bee []\n"
	for _, tt := range []struct {
		name    string
		file    string
		keys    string
		enforce string
		trusted []*x509.Certificate
		want    check.Result
		says    string
	}{
		{"by somebody whom the kernel does not know", string(signed), "1 I 1 perm 0 0 0 asymmetri Other: 7: X509.rsa 1 []\n", "Y", nil, check.Fails, "the kernel has no key of that name"},
		{"and where that is not enforced", string(signed), "1 I 1 perm 0 0 0 asymmetri Other: 7: X509.rsa 1 []\n", "N", nil, check.OK, "of whom the kernel has no key"},
		{"by somebody of whom it has a key", string(signed), key, "Y", nil, check.Unknown, "can't be told"},
		{"where keys can't be seen", string(signed), "", "Y", nil, check.Unknown, "can't be told"},
		{"damaged, by somebody of whom it has a key", damaged, key, "N", certificates, check.Fails, "not as the signer left it"},
		{"damaged, where that is enforced", damaged, "1 I 1 perm 0 0 0 asymmetri Other: 7: X509.rsa 1 []\n", "Y", certificates, check.Fails, "not as the signer left it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, map[string]string{"proc/keys": tt.keys, "sys/module/module/parameters/sig_enforce": tt.enforce + "\n"})
			tr.system.Certificates = tt.trusted
			got := tr.run(t, tt.file, check.Load{})[check.Signature]
			if got.Result != tt.want || !strings.Contains(strings.Join(got.Says, "\n"), tt.says) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Whatever is in the file, all steps have an answer.
func FuzzRun(f *testing.F) {
	f.Add([]byte(tried(nil)), "n=5")
	f.Add([]byte("\x7fELF"), "")
	f.Add([]byte(tried(func(m *kofiletest.Module) { m.Bits, m.Machine = 32, 40 })), "n=x \"")
	tr := newTree(f, nil)
	f.Fuzz(func(t *testing.T, file []byte, parameters string) {
		tr.run(t, string(file), check.Load{Parameters: parameters})
	})
}
