package kofile_test

import (
	"bufio"
	"bytes"
	"cmp"
	"debug/elf"
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

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
	"github.com/kmodd/kmodd/match/kofile/unpack"
)

var giving = kofiletest.Module{
	Info: []string{"license=GPL"},
	Exports: []kofile.Export{
		{Name: "usb_register", CRC: 0x12345678},
		{Name: "usb_wake", CRC: 0xffffffff, GPL: true},
		{Name: "usb_hidden", CRC: 1, GPL: true, Namespace: "USB_STORAGE"},
	},
	Needs:    []kofile.Need{{Name: "printk"}, {Name: "maybe", Weak: true}},
	Versions: []kofile.Version{{Name: "module_layout", CRC: 0xaabbccdd}, {Name: "printk", CRC: 7}},
}

// places finds the sections of a module of kofiletest.
func places(t *testing.T, file []byte) map[string]elf.SectionHeader {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]elf.SectionHeader{"table": {Offset: binary.LittleEndian.Uint64(file[40:])}}
	for _, s := range f.Sections {
		found[s.Name] = s.SectionHeader
	}
	return found
}

func TestSymbolsThatCantBeAreRefusedWithThePlace(t *testing.T) {
	file := giving.Bytes()
	at := places(t, file)
	symtab, crcs := at[".symtab"].Offset, at["__kcrctab"].Offset
	row := func(i, field int) int { return int(symtab) + 24*i + field }
	header := func(i, field int) int { return int(at["table"].Offset) + 64*i + field }
	const crctab, tab, strtab = 6, 9, 10 // the sections' numbers
	tests := []struct {
		name string
		at   int
		with string
		want string
	}{
		{"no table", header(tab, 4), "\x08", "no table of symbols, without which no kernel loads a module (at byte 0)"},
		{"no names", header(strtab, 4), "\x08", "the symbols' names has no bytes in the file (at byte 0)"},
		{"an odd length", header(tab, 32), "\x01", fmt.Sprintf("a table of symbols of 257 bytes, which is no multiple of 24 (at byte %d)", symtab)},
		{"a name outside", row(2, 0), "\xff\xff", fmt.Sprintf("a symbol's name outside of the symbols' names (at byte %d)", row(2, 0))},
		{"a version in no section", row(1, 6), "\xff\x00", fmt.Sprintf("a version in section 255, and there are 12 (at byte %d)", symtab)},
		{"a version outside of its section", row(1, 8), "\xfd", fmt.Sprintf("a version at byte 253 of section %d, which is shorter (at byte %d)", crctab, crcs)},
		{"a version in a section without bytes", header(crctab, 4), "\x08", fmt.Sprintf("a version at byte 0 of section %d, which is shorter (at byte %d)", crctab, crcs)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			damaged := bytes.Clone(file)
			copy(damaged[tt.at:], tt.with)
			_, err := open(t, damaged).Symbols()
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestNamesWithoutEndAreRefused(t *testing.T) {
	for name, want := range map[string]string{
		strings.Repeat("x", 1024): "",
		strings.Repeat("x", 1025): "a symbol's name that does not end within 1024 bytes",
	} {
		for _, m := range []kofiletest.Module{
			{Info: []string{"a=b"}, Needs: []kofile.Need{{Name: name}}},
			{Info: []string{"a=b"}, Exports: []kofile.Export{{Name: name}}},
		} {
			_, err := open(t, m.Bytes()).Symbols()
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%d bytes: %v", len(name), err)
			}
		}
	}
}

// Rows may all have one name, so a small file can ask for much memory.
func TestManyRowsOfOneNameTakeBoundedMemory(t *testing.T) {
	needs := make([]kofile.Need, 5000)
	for i := range needs {
		needs[i].Name = strings.Repeat("x", 1000)
	}
	_, err := open(t, kofiletest.Module{Info: []string{"a=b"}, Needs: needs}.Bytes()).Symbols()
	if err == nil || !strings.Contains(err.Error(), "take more than 4 MiB") {
		t.Error(err)
	}
	needs = slices.Repeat([]kofile.Need{{Name: "x"}}, 1<<17+1)
	_, err = open(t, kofiletest.Module{Info: []string{"a=b"}, Needs: needs}.Bytes()).Symbols()
	if err == nil || !strings.Contains(err.Error(), "more than 131072 symbols are exported or needed") {
		t.Error(err)
	}
}

func TestVersionsOfAnOddLengthAreRefused(t *testing.T) {
	file := giving.Bytes()
	at := places(t, file)
	file[int(at["table"].Offset)+64*11+32] = 127
	_, err := open(t, file).Versions()
	want := fmt.Sprintf("__versions of 127 bytes, which is no multiple of 64 (at byte %d)", at["__versions"].Offset)
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// What Linux 6.14 and later write: names that __versions has no room for.
func TestVersionsOfLongNames(t *testing.T) {
	m := giving
	m.Long = true
	m.Versions = []kofile.Version{{Name: "module_layout", CRC: 0xaabbccdd}, {Name: strings.Repeat("_R", 300), CRC: 7}}
	b := m.Bytes()
	versions, err := open(t, b).Versions()
	if diff := gocmp.Diff(m.Versions, versions); diff != "" || err != nil {
		t.Error(err, diff)
	}
	at := places(t, b)
	for _, tt := range []struct {
		name  string
		row   int64
		bytes byte
		says  string
	}{
		{"half a CRC", 11, 7, fmt.Sprintf("__version_ext_crcs of 7 bytes, which is no multiple of 4 (at byte %d)", at["__version_ext_crcs"].Offset)},
		{"a name missing", 12, 14, fmt.Sprintf("__version_ext_names has 1 names, and __version_ext_crcs 2 versions (at byte %d)", at["__version_ext_names"].Offset)},
		{"a name cut short", 12, 20, fmt.Sprintf("__version_ext_names has 1 names, and __version_ext_crcs 2 versions (at byte %d)", at["__version_ext_names"].Offset)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			damaged := bytes.Clone(b)
			size := damaged[int64(at["table"].Offset)+64*tt.row+32:]
			size[0], size[1] = tt.bytes, 0
			if _, err := open(t, damaged).Versions(); err == nil || err.Error() != tt.says {
				t.Errorf("got %v\nwant %s", err, tt.says)
			}
		})
	}
}

// A flag outside of the table says nothing, as one that is not there.
func TestFlagsOutsideOfTheirTable(t *testing.T) {
	m := giving
	m.Flagged = true
	b := m.Bytes()
	b[int64(places(t, b)["table"].Offset)+64*11+32] = 0
	symbols, err := open(t, b).Symbols()
	if err != nil || len(symbols.Exports) != len(m.Exports) {
		t.Fatal(symbols, err)
	}
	for _, e := range symbols.Exports {
		if e.GPL {
			t.Errorf("%s is for GPL modules only, and nothing says so", e.Name)
		}
	}
}

func TestModulesWithoutVersions(t *testing.T) {
	m := giving
	m.Versions = nil
	if versions, err := open(t, m.Bytes()).Versions(); len(versions) != 0 || err != nil {
		t.Errorf("%v, %v", versions, err)
	}
	// A kernel without CONFIG_MODVERSIONS, and then a file whose local symbols are stripped.
	for _, tt := range []struct {
		hide []string
		want []kofile.Export
	}{
		{[]string{"__crc_"}, []kofile.Export{{Name: "usb_register"}, {Name: "usb_wake", GPL: true}, {Name: "usb_hidden", GPL: true, Namespace: "USB_STORAGE"}}},
		{[]string{"__crc_", "__ksymtab_u", "__kstrtabns_"}, []kofile.Export{{Name: "usb_register"}, {Name: "usb_wake"}, {Name: "usb_hidden"}, {Name: "USB_STORAGE"}}},
	} {
		file := m.Bytes()
		for _, name := range tt.hide {
			file = bytes.ReplaceAll(file, []byte(name), bytes.Repeat([]byte{'x'}, len(name)))
		}
		got, err := open(t, file).Symbols()
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(tt.want, got.Exports); diff != "" {
			t.Errorf("without %s (-want +got)\n%s", tt.hide, diff)
		}
	}
}

// In modules for kernels before 5.19 a version is its symbol's own value.
func TestVersionsThatAreAbsolute(t *testing.T) {
	file := giving.Bytes()
	row := file[places(t, file)[".symtab"].Offset+24:]
	copy(row[6:], "\xf1\xff\xef\xbe\xad\xde")
	got, err := open(t, file).Symbols()
	if err != nil || got.Exports[0] != (kofile.Export{Name: "usb_register", CRC: 0xdeadbeef}) {
		t.Errorf("%+v, %v", got.Exports, err)
	}
}

// STT_SPARC_REGISTER says which registers are used.
func TestRegistersOfSPARCAreNotNeeded(t *testing.T) {
	m := kofiletest.Module{Info: []string{"a=b"}, Machine: uint16(elf.EM_SPARCV9), Order: binary.BigEndian, Needs: []kofile.Need{{Name: "reg"}, {Name: "printk"}}}
	file := m.Bytes()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	file[f.Section(".symtab").Offset+24+4] |= 13
	got, err := open(t, file).Symbols()
	if err != nil || len(got.Needs) != 1 || got.Needs[0].Name != "printk" {
		t.Errorf("%v, %v", got, err)
	}
}

// generated are modules of all classes and byte orders.
func generated(t *rapid.T) kofiletest.Module {
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z_][a-zA-Z0-9_.]{0,40}`), 0, 40, rapid.ID).Draw(t, "names")
	m := kofiletest.Module{
		Bits:  rapid.SampledFrom([]int{32, 64}).Draw(t, "bits"),
		Order: rapid.SampledFrom([]binary.ByteOrder{binary.LittleEndian, binary.BigEndian}).Draw(t, "order"),
		Info:  []string{"license=GPL"},
		Long:  rapid.Bool().Draw(t, "long"), Flagged: rapid.Bool().Draw(t, "flagged"),
	}
	for i, name := range names {
		crc := uint64(rapid.Uint32().Draw(t, "crc"))
		if i%2 == 0 {
			m.Needs = append(m.Needs, kofile.Need{Name: "n" + name, Weak: crc&1 > 0})
			m.Versions = append(m.Versions, kofile.Version{Name: "n" + name, CRC: crc})
		} else {
			space := rapid.SampledFrom([]string{"", "", "CRYPTO_INTERNAL"}).Draw(t, "namespace")
			m.Exports = append(m.Exports, kofile.Export{Name: name, CRC: crc, GPL: crc&2 > 0, Namespace: space})
		}
	}
	return m
}

func TestSymbolsOfAllClassesAndByteOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := generated(t)
		b := m.Bytes()
		f, err := kofile.New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Exports)+len(m.Needs) == 0 {
			return // then it has no table
		}
		symbols, err := f.Symbols()
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(kofile.Symbols{Exports: m.Exports, Needs: m.Needs}, symbols); diff != "" {
			t.Errorf("symbols (-want +got)\n%s", diff)
		}
		versions, err := f.Versions()
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(m.Versions, versions); diff != "" {
			t.Errorf("versions (-want +got)\n%s", diff)
		}
	})
}

func FuzzSymbols(f *testing.F) {
	f.Add(giving.Bytes())
	big := giving
	big.Bits, big.Order = 32, binary.BigEndian
	f.Add(big.Bytes())
	big.Long, big.Flagged = true, true
	f.Add(big.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := kofile.New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		_, _ = file.Symbols()
		_, _ = file.Versions()
		_, _ = file.Taken()
	})
}

// trees are Debian's modules for 64-bit and 32-bit machines.
func trees(t testing.TB) map[debian.Architecture]string {
	dirs := make(map[debian.Architecture]string)
	for _, arch := range []debian.Architecture{debian.AMD64, debian.ARM64, debian.ARMHF} {
		kernel, err := arch.LoadKernel(t.Context(), os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		dirs[arch] = filepath.Join(kernel.Root, "lib/modules", kernel.Version)
	}
	return dirs
}

// modulesIn are the files below a directory, sorted by path.
func modulesIn(t testing.TB, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".ko") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) < 1000 {
		t.Fatalf("%d modules in %s, %v", len(paths), dir, err)
	}
	return paths
}

// readFile is kofile.New for a file that stays open until the test's end.
func readFile(t testing.TB, path string) *kofile.File {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, b)
}

// The kernel's build wrote down what it exports, and how: Module.symvers.
func TestDebiansExportsAreThoseOfItsBuild(t *testing.T) {
	kernel, err := debian.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	headers, err := debian.LoadHeaders(t.Context(), os.Stderr, kernel)
	if err != nil {
		t.Fatal(err)
	}
	want := symvers(t, filepath.Join(headers, "Module.symvers"))
	root := filepath.Join(kernel.Root, "lib/modules", kernel.Version, "kernel")
	got := make(map[string][]kofile.Export)
	for _, path := range modulesIn(t, root) {
		symbols, err := readFile(t, path).Symbols()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(symbols.Exports) > 0 {
			slices.SortFunc(symbols.Exports, byName)
			got[strings.TrimSuffix(path[len(root)+1:], ".ko")] = symbols.Exports
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("exports (-build +read)\n%s", diff)
	}
}

func byName(a, b kofile.Export) int { return cmp.Compare(a.Name, b.Name) }

// symvers reads what modules export.
func symvers(t *testing.T, name string) map[string][]kofile.Export {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	exports := make(map[string][]kofile.Export)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 5 || fields[2] == "vmlinux" {
			continue
		}
		e := kofile.Export{Name: fields[1], GPL: fields[3] == "EXPORT_SYMBOL_GPL", Namespace: fields[4]}
		if _, err := fmt.Sscanf(fields[0], "0x%x", &e.CRC); err != nil {
			t.Fatal(err)
		}
		exports[fields[2]] = append(exports[fields[2]], e)
	}
	for _, of := range exports {
		slices.SortFunc(of, byName)
	}
	return exports
}

// What debug/elf says is undefined is needed, in all of Debian's modules.
func TestDebiansNeedsAreThoseOfTheStandardLibrary(t *testing.T) {
	for arch, dir := range trees(t) {
		for _, path := range modulesIn(t, dir) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := elf.NewFile(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			symbols, err := theirs.Symbols()
			if err != nil {
				t.Fatal(err)
			}
			var want []kofile.Need
			for _, s := range symbols {
				if s.Section == elf.SHN_UNDEF && s.Name != "" {
					want = append(want, kofile.Need{Name: s.Name, Weak: elf.ST_BIND(s.Info) == elf.STB_WEAK})
				}
			}
			ours, err := open(t, b).Symbols()
			if err != nil || !slices.Equal(want, ours.Needs) {
				t.Fatalf("%s: %s: %v (-debug/elf +ours)\n%s", arch, path, err, gocmp.Diff(want, ours.Needs))
			}
		}
	}
}

// A few dozen of each architecture, for modprobe reads one file at a time.
func TestDebiansSymbolsAreThoseOfModprobe(t *testing.T) {
	modprobe, err := debian.Need(t.Context(), os.Stderr, "modprobe", "kmod")
	if err != nil {
		t.Fatal(err)
	}
	for arch, dir := range trees(t) {
		paths, exporting := modulesIn(t, dir), 0
		for i := 0; i < len(paths); i += len(paths) / 60 {
			file := readFile(t, paths[i])
			symbols, err := file.Symbols()
			if err != nil {
				t.Fatalf("%s: %s: %v", arch, paths[i], err)
			}
			versions, err := file.Versions()
			if err != nil {
				t.Fatalf("%s: %s: %v", arch, paths[i], err)
			}
			var shown strings.Builder
			for _, e := range symbols.Exports {
				fmt.Fprintf(&shown, "0x%08x\t%s\n", e.CRC, e.Name)
			}
			exporting += min(1, len(symbols.Exports))
			sameOutput(t, shown.String(), modprobe, "--show-exports", paths[i])
			shown.Reset()
			for _, v := range versions {
				fmt.Fprintf(&shown, "0x%08x\t%s\n", v.CRC, v.Name)
			}
			sameOutput(t, shown.String(), modprobe, "--dump-modversions", paths[i])
		}
		if exporting < 10 {
			t.Errorf("%s: only %d of these modules export anything", arch, exporting)
		}
	}
}

// sameOutput compares what a program prints, which is nothing where it fails.
func sameOutput(t *testing.T, ours, program string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	if err != nil && len(out) == 0 && ours == "" {
		return // it has no such section
	}
	if diff := gocmp.Diff(string(out), ours); diff != "" || err != nil {
		t.Errorf("%s: %v (-%s +ours)\n%s", args, err, program, diff)
	}
}

// What a depmod does with each module. On one processor, after the files were read once.
func BenchmarkDebiansSymbols(b *testing.B) {
	paths := modulesIn(b, trees(b)[debian.AMD64])
	b.ReportAllocs()
	for b.Loop() {
		for _, path := range paths {
			image, err := unpack.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			file, err := kofile.New(image, image.Size)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := file.Symbols(); err != nil {
				b.Fatal(err)
			}
			image.Close()
		}
	}
}

// What .modinfo tells of a parameter is true of most; kvm's nx_huge_pages, for one, is
// called a bool, and takes "auto", too.
func TestParametersAreFoundWhereTheKernelFindsThem(t *testing.T) {
	for arch, dir := range trees(t) {
		all, others := 0, 0
		for _, path := range modulesIn(t, dir) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f := open(t, content)
			taken, err := f.Taken()
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			types := make(map[string]string)
			for _, p := range f.Parameters() {
				types[p.Name] = p.Type
			}
			for _, p := range taken {
				all++
				said := types[p.Name]
				isArray := strings.HasPrefix(said, "array of ")
				if p.Name == "" || (p.Max > 0) != (p.Type == "array" || p.Type == "string") || isArray != (p.Type == "array") {
					t.Errorf("%s: %+v, and .modinfo says %q", path, p, said)
				}
				if !isArray && said != p.Type {
					others++
				}
			}
		}
		if all < 1000 || others == 0 || others > all/20 {
			t.Errorf("%v: %d parameters, of which %d are others than .modinfo says", arch, all, others)
		}
	}
}

// usb-storage has arrays, strings and types of its own among its parameters.
func TestADamagedFilesParametersAreReadOrRefused(t *testing.T) {
	path := filepath.Join(trees(t)[debian.AMD64], "kernel/drivers/usb/storage/usb-storage.ko")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if taken, err := open(t, whole).Taken(); err != nil || len(taken) < 4 {
		t.Fatalf("%v, %v", taken, err)
	}
	at := rapid.OneOf(rapid.IntRange(0, 63), rapid.IntRange(len(whole)*3/4, len(whole)-1), rapid.IntRange(0, len(whole)-1))
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(whole)
		for range rapid.IntRange(1, 60).Draw(t, "changes") {
			b[at.Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		f, err := kofile.New(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		_, err = f.Taken()
		if e := (*kofile.Error)(nil); err != nil && !errors.As(err, &e) {
			t.Errorf("%#v", err)
		}
	})
}
