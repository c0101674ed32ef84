package modinfo_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/cmd/kmodctl/modinfo"
	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
)

// A peer is Debian's modinfo and ours, over the modules of one kernel.
type peer struct {
	theirs string
	kernel *debian.Kernel
}

func newPeer(tb testing.TB, arch debian.Architecture) *peer {
	tb.Helper()
	kernel, err := arch.LoadKernel(tb.Context(), os.Stderr)
	if err != nil {
		tb.Fatal(err)
	}
	theirs, err := debian.Need(tb.Context(), os.Stderr, "modinfo", "kmod")
	if err != nil {
		tb.Fatal(err)
	}
	return &peer{theirs, kernel}
}

// A said is what modinfo has said.
type said struct {
	Stdout, Stderr string
	Exit           int
}

// A fataler is what testing and rapid have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func (p *peer) ask(tb fataler, args []string) said {
	tb.Helper()
	cmd := exec.Command(p.theirs, args...)
	cmd.Args[0] = "modinfo"
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return said{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func we(args []string) said {
	var stdout, stderr bytes.Buffer
	exit := modinfo.Main(args, "1.0", &stdout, &stderr)
	return said{stdout.String(), stderr.String(), exit}
}

// same wants us to say what they say.
func (p *peer) same(t *testing.T, args []string) {
	t.Helper()
	want, got := p.ask(t, args), we(append([]string{"--compat=kmod"}, args...))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%.300s: - modinfo, + we:\n%.3000s", args, diff)
	}
}

// tree are the options that choose the kernel.
func (p *peer) tree() []string { return []string{"-b", p.kernel.Root, "-k", p.kernel.Version} }

// modules are the files of the kernel's modules.
func (p *peer) modules(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(p.kernel.Root, "lib/modules", p.kernel.Version), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".ko") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) < 1000 {
		t.Fatalf("%d modules, %v", len(paths), err)
	}
	return paths
}

func TestEveryModuleOfDebianIsShownAsByKmod(t *testing.T) {
	for _, arch := range []debian.Architecture{debian.AMD64, debian.ARM64, debian.ARMHF} {
		p := newPeer(t, arch)
		for files := range slices.Chunk(p.modules(t), 400) {
			p.same(t, files)
			p.same(t, append([]string{"-0"}, files...))
		}
	}
}

// By name, and by one of the aliases, which may lead to others as well.
func TestNamesAndAliasesLeadWhereTheyLeadKmod(t *testing.T) {
	for _, arch := range []debian.Architecture{debian.AMD64, debian.ARM64} {
		p := newPeer(t, arch)
		var names, aliases []string
		for i, path := range p.modules(t) {
			names = append(names, strings.TrimSuffix(filepath.Base(path), ".ko"))
			if i%20 == 0 {
				aliases = append(aliases, anAlias(t, path)...)
			}
		}
		if len(aliases) < 50 {
			t.Errorf("%d aliases", len(aliases))
		}
		p.same(t, append(append(p.tree(), "-n"), names...))
		p.same(t, append(append(p.tree(), "-n", "-m"), names...))
		p.same(t, append(append(p.tree(), "-n"), aliases...))
		p.same(t, append(append(p.tree(), "-m"), aliases...))
	}
}

// anAlias is a name that the first alias of a module matches.
func anAlias(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := kofile.New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	alias := f.Field("alias")
	if alias == "" || strings.Contains(alias, "[") {
		return nil
	}
	return []string{strings.NewReplacer("*", "0", "?", "0").Replace(alias)}
}

// What is built in has no file.
func TestEveryBuiltinIsShownAsByKmod(t *testing.T) {
	for _, arch := range []debian.Architecture{debian.AMD64, debian.ARM64} {
		p := newPeer(t, arch)
		list, err := os.ReadFile(filepath.Join(p.kernel.Root, "lib/modules", p.kernel.Version, "modules.builtin"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for line := range strings.FieldsSeq(string(list)) {
			names = append(names, strings.TrimSuffix(filepath.Base(line), ".ko"))
		}
		for _, options := range [][]string{nil, {"-0"}, {"-p"}, {"-F", "alias"}, {"-F", "name"}, {"-n"}, {"-m"}} {
			p.same(t, slices.Concat(p.tree(), options, names))
		}
	}
}

// commandLines are those that modinfo must read and answer like kmod, behind the options
// that choose the kernel. FILE stands for a module's.
var commandLines = `

-x e1000e
-F
--field
--null=1 e1000e
--no-such-option
e1000e
-0 e1000e
-a e1000e
-d e1000e
-l e1000e
-p e1000e
-n e1000e
-0p e1000e
-0n e1000e
-a -l e1000e
-l -a e1000e
--author e1000e
--description e1000e
--license e1000e
--parameters e1000e
--filename e1000e
--fi e1000e
--par e1000e
--null -F alias e1000e
-F vermagic e1000e
-Fdepends e1000e
--field=firmware e100
-F parm e1000e
-F parmtype e1000e
-F filename e1000e
-F signature e1000e
-F sig_key e1000e
-F nothing e1000e
-F= e1000e
--field= e1000e
--field= unix
--field= -l e1000e
-m FILE
FILE
-F name e1000e
e1000e nosuch e100
nosuch
nosuch nosuch2
e1000e.ko
kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko
snd-hda-intel
snd_hda_intel
snd.hda
a]
a[b
-m snd-hda-intel.ko
-m e1000e nosuch
-m pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00
--modname unix
-n pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00
-n symbol:snd_pcm_new
-n char-major-10-200
-n net-pf-1 fs-ext4 fs-nothing
unix
-0 unix
-p unix
-n unix
-l unix
-p usbcore i915
i915
-- -n
-n -- e1000e
e1000e -n
-k 0.0 e1000e
-b /nowhere e1000e
-b ./ e1000e`

func TestSameWordsAndExitStatusAsKmod(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	file := filepath.Join(p.kernel.Root, "lib/modules", p.kernel.Version, "kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko")
	for line := range strings.SplitSeq(strings.ReplaceAll(commandLines, "FILE", file), "\n") {
		t.Run(line, func(t *testing.T) { p.same(t, append(p.tree(), strings.Fields(line)...)) })
	}
	t.Run("no name", func(t *testing.T) { p.same(t, []string{""}) })
	t.Run("the running kernel", func(t *testing.T) { p.same(t, []string{"-n", "no_such_module"}) })
}

// The path is shown as it was written.
func TestRelativePlacesAreShownAsByKmod(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	t.Chdir(filepath.Join(p.kernel.Root, "lib/modules"))
	p.same(t, []string{"-b", "../..", "-k", p.kernel.Version, "-n", "e1000e"})
	p.same(t, []string{"-b", ".././/../", "-k", p.kernel.Version, "-n", "e1000e"})
	p.same(t, []string{"-n", p.kernel.Version + "/kernel/drivers/net/../net/ppp/../tun.ko", "./" + p.kernel.Version + "//kernel/drivers/net/tun.ko"})
}

// packed are three modules in all packings, with the files that they are of.
func packed(t *testing.T, p *peer) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, path := range p.modules(t)[:3] {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		put := func(extension string, content []byte) {
			name := filepath.Join(dir, filepath.Base(path)+extension)
			if err := os.WriteFile(name, content, 0o644); err != nil {
				t.Fatal(err)
			}
			files[name] = path
		}
		put(".zst", zstandard(t, b))
		put(".xz", output(t, b, "xz", "--check=crc32", "--lzma2=dict=2MiB", "-c"))
		put(".gz", gzipped(t, b))
	}
	return files
}

func zstandard(t *testing.T, b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func gzipped(t *testing.T, b []byte) []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return packed.Bytes()
}

// output is what a program makes of bytes.
func output(t *testing.T, b []byte, program string, args ...string) []byte {
	t.Helper()
	path, err := debian.Need(t.Context(), os.Stderr, program, "xz-utils")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Debian's kmod does not know gzip: what it says of the same module unpacked is wanted.
func TestPackedModulesAreShownAsUnpackedOnes(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	files := packed(t, p)
	for file, plain := range files {
		if !strings.HasSuffix(file, ".gz") {
			p.same(t, []string{file})
		}
		want := p.ask(t, []string{plain})
		want.Stdout = strings.Replace(want.Stdout, plain, file, 1)
		if diff := cmp.Diff(want, we([]string{file})); diff != "" {
			t.Errorf("%s: - unpacked, + packed\n%s", file, diff)
		}
	}
}

// What no compiler would leave in .modinfo.
func TestOddFieldsAreShownAsByKmod(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	dir := t.TempDir()
	word := rapid.SampledFrom([]string{"", "a", "b", "debug", "a:b", "x y", "=", "ä", "\xff", "\n", "\x1b[2J", ":", "a::", "a=b"})
	key := rapid.SampledFrom([]string{"parm", "parmtype", "license", "a_key_longer_than_the_column", "fifteen_letters", "sixteen_letters_", "", "filename", "name"})
	field := rapid.Custom(func(t *rapid.T) string {
		switch f := key.Draw(t, "key"); {
		case f == "parmtype":
			return f + "=" + word.Draw(t, "value") + "int" // a type is never empty
		case rapid.IntRange(0, 9).Draw(t, "odd") == 0:
			return f
		default:
			return f + "=" + word.Draw(t, "value")
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		m := kofiletest.Module{Info: append([]string{"license=GPL"}, rapid.SliceOfN(field, 0, 12).Draw(t, "fields")...)}
		file := filepath.Join(dir, "odd-module.ko")
		if err := os.WriteFile(file, m.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		args := append(rapid.SampledFrom([][]string{nil, {"-0"}, {"-p"}, {"-F", "parmtype"}, {"-l", "-0"}, {"-F", "a_key_longer_than_the_column"}}).Draw(t, "options"), file)
		if diff := cmp.Diff(p.ask(t, args), we(append([]string{"--compat=kmod"}, args...))); diff != "" {
			t.Fatalf("%q: - modinfo, + we:\n%s", args, diff)
		}
	})
}

// What kmod can't read of a signature, or does not know, is no signature.
func TestOddSignaturesAreShownAsByKmod(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	t.Chdir(t.TempDir())
	says := func(algorithm, hash, kind, signer, key byte, length uint32) string {
		return string(binary.BigEndian.AppendUint32([]byte{algorithm, hash, kind, signer, key, 0, 0, 0}, length))
	}
	real := debianSignature(t, p)
	for _, tt := range []struct{ name, appended string }{
		{"only the mark", ""},
		{"nothing", says(0, 0, 2, 0, 0, 0)},
		{"garbage", "garbage" + says(0, 0, 2, 0, 0, 7)},
		{"longer than the file", says(0, 0, 2, 0, 0, 0x7fffffff)},
		{"an unknown kind", "Signer\x01\x02\x03SIGNATURE" + says(1, 4, 9, 6, 3, 9)},
		{"an unknown hash", "Signer\x01\x02\x03SIGNATURE" + says(1, 9, 1, 6, 3, 9)},
		{"an unknown algorithm", "Signer\x01\x02\x03SIGNATURE" + says(2, 4, 1, 6, 3, 9)},
		{"before Linux 4.3", "Signer\x01\x02\x03SIGNATURE" + says(1, 4, 1, 6, 3, 9)},
		{"PGP", "Signer\x01\x02\x03SIGNATURE" + says(0, 8, 0, 6, 3, 9)},
		{"no key", "SignerSIGNATURE" + says(1, 4, 1, 6, 0, 9)},
		{"no signer", "\x01\x02\x03SIGNATURE" + says(1, 4, 1, 0, 3, 9)},
		{"PKCS#7", real + says(0, 0, 2, 0, 0, uint32(len(real)))},
		{"PKCS#7 with names", "Signer\x01\x02\x03" + real + says(1, 4, 2, 6, 3, uint32(len(real)))},
		{"PKCS#7 cut short", real[:600] + says(0, 0, 2, 0, 0, 600)},
		{"PKCS#7 with SHA-3", strings.ReplaceAll(real, sha256, sha3) + says(0, 0, 2, 0, 0, uint32(len(real)))},
		{"PKCS#7 of somebody without a common name", strings.Replace(real, "\x55\x04\x03", "\x55\x04\x0a", 1) + says(0, 0, 2, 0, 0, uint32(len(real)))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := kofiletest.Module{Info: []string{"license=GPL"}, Appended: tt.appended + kofile.Mark}
			if err := os.WriteFile("signed.ko", m.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			p.same(t, []string{"signed.ko"})
		})
	}
}

// Two hash functions' object identifiers in DER.
const (
	sha256 = "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
	sha3   = "\x60\x86\x48\x01\x65\x03\x04\x02\x08"
)

// debianSignature is the PKCS#7 that a module of Debian's ends with.
func debianSignature(t *testing.T, p *peer) string {
	t.Helper()
	b, err := os.ReadFile(p.modules(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	end := len(b) - len(kofile.Mark)
	length := int(binary.BigEndian.Uint32(b[end-4:]))
	return string(b[end-12-length : end-12])
}

func TestABuiltinIsFoundByItsAliasesAsByKmod(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	text, err := os.ReadFile(filepath.Join(p.kernel.Root, "lib/modules", p.kernel.Version, "modules.builtin.modinfo"))
	if err != nil {
		t.Fatal(err)
	}
	var aliases []string
	for line := range strings.SplitSeq(string(text), "\x00") {
		_, field, _ := strings.Cut(line, ".")
		if alias, ok := strings.CutPrefix(field, "alias="); ok {
			aliases = append(aliases, strings.NewReplacer("*", "0", "?", "0").Replace(alias))
		}
	}
	if len(aliases) < 50 {
		t.Fatalf("%d aliases", len(aliases))
	}
	for _, options := range [][]string{{"-n"}, {"-m", "-n"}, {"-m", "-F", "name"}, {"-F", "name"}} {
		p.same(t, slices.Concat(p.tree(), options, aliases))
	}
}

// The first line is kmod's, and the next one says more.
func TestWhatIsNoModuleIsExplained(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	t.Chdir(t.TempDir())
	whole := kofiletest.Module{Code: 100, Info: []string{"license=GPL"}}.Bytes()
	for name, tt := range map[string]struct {
		content []byte
		hint    string
	}{
		"empty":   {nil, "the file is empty (at byte 0)"},
		"text":    {[]byte("this is the text of a poem"), "not an ELF file (at byte 0)"},
		"cut":     {whole[:100], "cut short at byte 100: the table of sections would reach to byte "},
		"no_info": {bytes.Replace(whole, []byte(".modinfo"), []byte(".madinfo"), 1), "an ELF file without .modinfo, so not a module (at byte 0)"},
		"zstd":    {zstandard(t, whole)[:50], "cut short at byte 50: unpack zstd: it ends after 0 unpacked bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			file := name + ".ko"
			if err := os.WriteFile(file, tt.content, 0o644); err != nil {
				t.Fatal(err)
			}
			if name != "zstd" { // of which kmod reads what it can
				p.same(t, []string{file})
			}
			want, got := p.ask(t, []string{file}), we([]string{file})
			dir, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			if name == "zstd" {
				want.Stderr = "modinfo: ERROR: could not get modinfo from 'zstd': Invalid argument\n"
			}
			if !strings.HasPrefix(got.Stderr, want.Stderr+fmt.Sprintf("modinfo: %s/%s: %s", dir, file, tt.hint)) {
				t.Errorf("got\n%swant\n%s%s", got.Stderr, want.Stderr, tt.hint)
			}
		})
	}
}

func TestWhatIsNoFileOfAModuleIsExplained(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("dir.ko", 0o755), os.WriteFile("module.bin", []byte("x"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, hint := range map[string]string{
		"./typo.ko":    "stat ./typo.ko: no such file or directory",
		"typo.ko.xz":   "stat typo.ko.xz: no such file or directory",
		"dir.ko":       "dir.ko is not a regular file",
		"/dev/null":    "/dev/null is not a regular file",
		"./module.bin": "the file ./module.bin is not looked at: the names of modules' files end in .ko, .ko.gz, .ko.xz, .ko.zst",
	} {
		got := we([]string{"-b", "/nowhere", name})
		want := said{"", "modinfo: ERROR: Module " + name + " not found.\nmodinfo: " + hint + "\n", 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestADirectoryWithoutTablesHasACure(t *testing.T) {
	got := we([]string{"-b", "/nowhere", "-k", "6.1", "e1000e"})
	want := said{"", "modinfo: ERROR: Module e1000e not found.\nmodinfo: no module tables in /nowhere/lib/modules/6.1: run depmod 6.1\n", 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheCommandLineIsExplained(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help", "e1000e"}} {
		if got := we(args); !strings.Contains(got.Stdout, "--parameters") || got.Exit != 0 {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := we([]string{"-V"}); got != (said{"kmodd version 1.0\n", "", 0}) {
		t.Errorf("%+v", got)
	}
	if got := we([]string{"--compat=busybox", "x"}); !strings.Contains(got.Stderr, "kmod is all there is") || got.Exit != 1 {
		t.Errorf("%+v", got)
	}
}
