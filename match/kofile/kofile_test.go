package kofile_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
)

var sample = kofiletest.Module{
	Code: 100,
	Info: []string{"license=GPL", "firmware=a/one.bin", "firmware=two.bin", "depends=", "vermagic=6.1.0-56-amd64 SMP preempt mod_unload modversions "},
}

// changed is the sample with some bytes written over it.
func changed(at int, with ...byte) string {
	b := sample.Bytes()
	copy(b[at:], with)
	return string(b)
}

func TestWhatIsNoModuleFileIsRefusedWithThePlace(t *testing.T) {
	whole := sample.String()
	table := len(whole) - 4*64
	section := func(i, field int, with ...byte) string { return changed(table+64*i+field, with...) }
	tests := []struct {
		name, file, want string
		cut              bool
	}{
		{"an empty file", "", "not an ELF file (at byte 0)", false},
		{"a script", "#!/bin/sh\nexit\n", "not an ELF file (at byte 0)", false},
		{"the first bytes alone", whole[:7], "cut short at byte 7: the ELF header would reach to byte 64", true},
		{"half of the header", whole[:40], "cut short at byte 40: the ELF header would reach to byte 64", true},
		{"half of the file", whole[:200], "cut short at byte 200: the table of sections would reach to byte 563", true},
		{"all but a byte", whole[:len(whole)-1], "cut short at byte 562: the table of sections would reach to byte 563", true},
		{"no byte order", changed(5, 3), "an ELF file of no known byte order (at byte 5)", false},
		{"no class", changed(4, 0), "an ELF file of no known class (at byte 4)", false},
		{"a program", changed(16, 2), "an ELF file of type 2, not a relocatable object as modules are (at byte 16)", false},
		{"section headers of an odd length", changed(58, 63), "section headers of 63 bytes, not 64 (at byte 0)", false},
		{"no sections", changed(60, 0), "no sections with names (at byte 0)", false},
		{"names in a section that is not there", changed(62, 4), "no sections with names (at byte 0)", false},
		{"a table that wraps around", changed(40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "section headers beyond all bounds (at byte 0)", false},
		{"a section beyond the end", section(1, 32, 0, 0, 1), "cut short at byte 563: section 1 (\".text\") would reach to byte 65600", true},
		{"a section that wraps around", section(2, 32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "section 2 is beyond all bounds (at byte 435)", false},
		{"names beyond the end", section(3, 32, 0, 0, 1), "cut short at byte 563: section 3 (\".shstrtab\") would reach to byte 65817", true},
		{"names without bytes", section(3, 4, 8), "the sections' names has no bytes in the file (at byte 0)", false},
		{"no .modinfo", section(2, 0, 8), "an ELF file without .modinfo, so not a module (at byte 0)", false},
		{"names outside of the names", section(2, 0, 0xff, 0xff, 0xff, 0xff), "an ELF file without .modinfo, so not a module (at byte 0)", false},
		{"a .modinfo of no use to anybody", kofiletest.Module{Info: []string{strings.Repeat("x", 300<<10)}}.String(),
			".modinfo takes 307201 bytes, and a module's never more than 262144 (at byte 64)", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := kofile.New(strings.NewReader(tt.file), int64(len(tt.file)))
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if errors.Is(err, io.ErrUnexpectedEOF) != tt.cut {
				t.Errorf("cut short: %v, want %v", !tt.cut, tt.cut)
			}
		})
	}
}

// A file may also shrink, or its disk fail, while it is read.
func TestAFailingReadIsToldWithItsCause(t *testing.T) {
	_, err := kofile.New(strings.NewReader(sample.String()[:300]), int64(len(sample.String())))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "cut short at byte 499: the table of sections ended while it was read") {
		t.Errorf("a file that shrinks: %v", err)
	}
	_, err = kofile.New(failing{}, 1000)
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("a read that fails: %v", err)
	}
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, os.ErrPermission }

func TestFields(t *testing.T) {
	f := open(t, sample.Bytes())
	if got := f.Field("vermagic"); got != "6.1.0-56-amd64 SMP preempt mod_unload modversions " {
		t.Errorf("vermagic %q", got)
	}
	if got := slices.Collect(f.Fields("firmware")); !slices.Equal(got, []string{"a/one.bin", "two.bin"}) {
		t.Errorf("firmware %q", got)
	}
	for range f.Fields("firmware") {
		break // the walk ends with its reader
	}
	if got := f.Field("depends") + f.Field("nothing") + f.Field("licens"); got != "" {
		t.Errorf("%q of fields that are empty or not there", got)
	}
	if f.Signed {
		t.Error("signed, though nothing is appended")
	}
}

func TestParametersAreMergedByName(t *testing.T) {
	info := kofile.Info(strings.Join([]string{
		"parm=without a colon", "parm=debug:verbose: 0 to 3", "license=GPL", "", "parmtype=quiet:bool", "parmtype=debug:int", "parmtype=debug:uint",
		"parm=mystery:", "parmtype=:charp", "param=no:no", "",
	}, "\x00"))
	want := []kofile.Parameter{
		{Name: "debug", Type: "uint", Described: true, Description: "verbose: 0 to 3"},
		{Name: "quiet", Type: "bool"},
		{Name: "mystery", Described: true},
		{Name: "", Type: "charp"},
	}
	if diff := cmp.Diff(want, info.Parameters()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWhatIsBuiltInSaysSomethingToo(t *testing.T) {
	text := "unix.license=GPL\x00unix.alias=net-pf-1\x00unix2.license=MIT\x00uni.x=y\x00unix.license=another\x00"
	if got := kofile.BuiltinInfo(text, "unix"); got != "license=GPL\x00alias=net-pf-1\x00" {
		t.Errorf("%q", got)
	}
	if got := kofile.BuiltinInfo(text, "nix"); got != "" {
		t.Errorf("%q", got)
	}
}

func TestLicencesAndTaints(t *testing.T) {
	for fields, want := range map[string]string{
		"":                                     "PO",
		"license=Proprietary\x00intree=Y":      "P",
		"license=gpl\x00intree=Y":              "P",
		"license=GPL":                          "O",
		"license=Dual MIT/GPL\x00intree=Y":     "",
		"license=GPL\x00intree=Y\x00staging=Y": "C",
		"license=GPL v2\x00livepatch=Y\x00test=Y\x00intree=Y": "KN",
	} {
		info := kofile.Info(fields)
		if got := info.Taints(); got != want || info.GPL() != !strings.Contains(want, "P") {
			t.Errorf("%q: %q and %t, want %q", fields, got, info.GPL(), want)
		}
	}
}

func TestASignatureIsSeen(t *testing.T) {
	m := sample
	m.Appended = "what openssl made" + strings.Repeat("\x00", 12) + "~Module signature appended~\n"
	if !open(t, m.Bytes()).Signed {
		t.Error("not seen")
	}
}

func open(t rapid.TB, b []byte) *kofile.File {
	t.Helper()
	f, err := kofile.New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPacking(t *testing.T) {
	for content, want := range map[string]string{
		"": "", "\x1f": "", "\x7fELF\x02\x01": "", "\xfd7zXZ": "",
		"\x1f\x8b\x08": "gzip", "\xfd7zXZ\x00\x00": "xz", "\x28\xb5\x2f\xfd\x00": "zstd",
	} {
		if got := kofile.Packing(strings.NewReader(content)); got != want {
			t.Errorf("%q is %q, want %q", content, got, want)
		}
	}
}

func TestArch(t *testing.T) {
	little, big := binary.ByteOrder(binary.LittleEndian), binary.ByteOrder(binary.BigEndian)
	for _, tt := range []struct {
		machine elf.Machine
		bits    int
		order   binary.ByteOrder
		want    string
	}{
		{elf.EM_VAX, 32, little, "machine 75"},
		{elf.EM_386, 32, little, "i386"},
		{elf.EM_X86_64, 64, little, "x86_64"},
		{elf.EM_ARM, 32, little, "arm"},
		{elf.EM_AARCH64, 64, little, "aarch64"},
		{elf.EM_MIPS, 32, little, "mips"},
		{elf.EM_MIPS, 64, little, "mips64"},
		{elf.EM_MIPS, 32, big, "mips"},
		{elf.EM_PARISC, 32, big, "parisc"},
		{elf.EM_PARISC, 64, big, "parisc64"},
		{elf.EM_PPC64, 64, little, "ppc64le"},
		{elf.EM_PPC64, 64, big, "ppc64"},
		{elf.EM_S390, 64, big, "s390x"},
		{elf.EM_RISCV, 32, little, "riscv32"},
		{elf.EM_RISCV, 64, little, "riscv64"},
		{elf.EM_LOONGARCH, 64, little, "loongarch64"},
	} {
		f := open(t, kofiletest.Module{Bits: tt.bits, Order: tt.order, Machine: uint16(tt.machine), Info: []string{"a=b"}}.Bytes())
		if f.Arch() != tt.want || f.Bits != tt.bits || f.Order != tt.order || f.Field("a") != "b" {
			t.Errorf("%v of %d bits, %v: %s, want %s", tt.machine, tt.bits, tt.order, f.Arch(), tt.want)
		}
	}
}

// Whatever debug/elf reads in Debian's modules is read here too.
func TestDebiansModules(t *testing.T) {
	kernel, err := debian.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	err = filepath.WalkDir(filepath.Join(kernel.Root, "lib/modules"), func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".ko") {
			count++
			compareWithStandardLibrary(t, path)
		}
		return err
	})
	if err != nil || count < 1000 {
		t.Errorf("%d modules, %v", count, err)
	}
}

func compareWithStandardLibrary(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	info, err := theirs.Section(".modinfo").Data()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.SplitSeq(string(info), "\x00") {
		if firmware, ok := strings.CutPrefix(line, "firmware="); ok {
			want = append(want, firmware)
		}
	}
	ours := open(t, b)
	if diff := cmp.Diff(want, slices.Collect(ours.Fields("firmware"))); diff != "" {
		t.Errorf("%s: firmware (-debug/elf +ours)\n%s", path, diff)
	}
	if !ours.Signed || ours.Machine != uint16(theirs.Machine) || !strings.HasSuffix(ours.Field("vermagic"), " SMP preempt mod_unload modversions ") {
		t.Errorf("%s: %+v", path, ours)
	}
	compareMemory(t, path, ours, theirs)
	names, err := theirs.Section(".strtab").Data()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"__request_module\x00", "snd_", string(names[len(names)/2 : len(names)/2+9]), "no such symbol"} {
		got, err := ours.Mentions("not this one", text)
		if want := bytes.Contains(names, []byte(text)); got != want || err != nil {
			t.Errorf("%s mentions %q: %t, %v, want %t", path, text, got, err, want)
		}
	}
}

// What stays is the sections that are allocated and not for the init function, in
// pages of three kinds.
func compareMemory(t *testing.T, path string, ours *kofile.File, theirs *elf.File) {
	t.Helper()
	var sum int64
	for _, s := range theirs.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && !strings.HasPrefix(s.Name, ".init") && s.Name != ".modinfo" && s.Name != "__versions" {
			sum += int64(s.Size)
		}
	}
	got, err := ours.Memory()
	if err != nil || got < sum || got >= sum+3*4096 || got%4096 != 0 {
		t.Errorf("%s: %d bytes in memory, %v, of %d", path, got, err, sum)
	}
}

// Names longer than what is looked at in one go are found wherever they lie.
func TestNoNameIsMissedAtABorder(t *testing.T) {
	kernel, err := debian.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(kernel.Root, "lib/modules", kernel.Version, "kernel/drivers/gpu/drm/i915/i915.ko")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	names, err := theirs.Section(".strtab").Data()
	if err != nil || len(names) < 100_000 {
		t.Fatalf("%d bytes of names, %v", len(names), err)
	}
	rapid.Check(t, func(t *rapid.T) {
		at := 32<<10*rapid.IntRange(1, len(names)>>15).Draw(t, "border") - rapid.IntRange(0, 60).Draw(t, "before")
		text := string(names[at : at+rapid.IntRange(1, 40).Draw(t, "length")])
		if got, err := open(t, b).Mentions(text, strings.Repeat("x", 50)); !got || err != nil {
			t.Errorf("%q at %d: %t, %v", text, at, got, err)
		}
	})
}

// counting counts what is read.
type counting struct {
	io.ReaderAt
	bytes int
}

func (c *counting) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(b, at)
	c.bytes += n
	return n, err
}

// The code, which is nearly all of a file, is left alone.
func TestLittleIsRead(t *testing.T) {
	m := sample
	m.Code = 1 << 20
	b := m.Bytes()
	c := &counting{ReaderAt: bytes.NewReader(b)}
	if _, err := kofile.New(c, int64(len(b))); err != nil || c.bytes > 1000 {
		t.Errorf("%d bytes, %v", c.bytes, err)
	}
}

// However a file is damaged, it is read or refused, and one that is cut is refused.
func TestDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := sample.Bytes()
		for range rapid.IntRange(0, 3).Draw(t, "bytes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		_, _ = kofile.New(bytes.NewReader(b), int64(len(b)))
		whole := sample.Bytes()
		cut := whole[:rapid.IntRange(4, len(whole)-1).Draw(t, "cut")]
		if _, err := kofile.New(bytes.NewReader(cut), int64(len(cut))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut to %d bytes: %v", len(cut), err)
		}
	})
}

func FuzzNew(f *testing.F) {
	f.Add(sample.Bytes())
	f.Add(sample.Bytes()[:100])
	f.Add(kofiletest.Module{Bits: 32, Order: binary.BigEndian, Machine: 8, Info: []string{"a=b"}}.Bytes())
	f.Add([]byte(changed(60, 0xff, 0xff)))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := kofile.New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			var e *kofile.Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > int64(len(b)) || strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of no use: %#v", err)
			}
			return
		}
		for value := range file.Fields("firmware") {
			if !bytes.Contains(b, []byte("firmware="+value)) {
				t.Errorf("%q is made up", value)
			}
		}
	})
}
