package match_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/match/index"
)

// small is a module directory in text.
var small = map[string]string{
	"modules.dep": `kernel/drivers/net/e1000e.ko: kernel/drivers/pps/pps_core.ko.xz kernel/drivers/ptp/ptp.ko
kernel/drivers/ptp/ptp.ko: kernel/drivers/pps/pps_core.ko.xz
kernel/drivers/pps/pps_core.ko.xz:
/opt/vendor/snd-odd.ko:
`,
	"modules.alias": `# Aliases extracted from modules themselves.
alias pci:v00008086d* snd_odd
alias pci:v*d* e1000e
alias pci:v00008086d000010D3* e1000e
alias pci:v00008086d000010D3sv* ptp
`,
	"modules.symbols":         "alias symbol:ptp_clock_register ptp\n",
	"modules.builtin":         "kernel/drivers/ata/libata.ko\n",
	"modules.builtin.modinfo": "libata.license=GPL\x00libata.alias=ata-*\x00",
}

// directory writes files into a new module directory.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "6.1.0-test")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string) *match.Tables {
	t.Helper()
	tables, err := match.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tables.Close(); err != nil {
			t.Error(err)
		}
	})
	return tables
}

func parse(t testing.TB, files map[string]string) *match.Tables {
	t.Helper()
	tables, err := match.Parse("/lib/modules/6.1.0-test", files)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// binary is the index of entries.
func binary(t testing.TB, entries ...index.Entry) string {
	t.Helper()
	data, err := index.Write(entries)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func modules(hits []match.Hit) string {
	var names []string
	for _, h := range hits {
		names = append(names, h.Module)
	}
	return strings.Join(names, " ")
}

func TestWithoutTablesDepmodIsTheCure(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func() (*match.Tables, error)
	}{
		{"no directory", func() (*match.Tables, error) { return match.Open("/nowhere/6.1.0-test") }},
		{"an empty directory", func() (*match.Tables, error) { return match.Open(directory(t, nil)) }},
		{"no modules.dep", func() (*match.Tables, error) {
			return match.Open(directory(t, map[string]string{"modules.alias": small["modules.alias"]}))
		}},
		{"no text", func() (*match.Tables, error) { return match.Parse("/lib/modules/6.1.0-test", nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.open()
			var missing *match.MissingError
			if !errors.As(err, &missing) || !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("error is %v, want a *MissingError that is os.ErrNotExist", err)
			}
			if !strings.Contains(err.Error(), "run depmod 6.1.0-test") {
				t.Errorf("%q does not say what to run", err)
			}
		})
	}
}

// A kernel without a single module has tables too, empty ones.
func TestEmptyTables(t *testing.T) {
	tables := open(t, directory(t, map[string]string{"modules.dep": "", "modules.alias.bin": binary(t)}))
	if _, ok := tables.Module("e1000e"); ok {
		t.Error("there is a module")
	}
	if got := tables.Aliases(nil, "pci:v1"); got != nil {
		t.Errorf("aliases: %v", got)
	}
}

func TestUnusableIndexIsReplacedByText(t *testing.T) {
	const name = "pci:v00008086d000010D3sv00008086"
	for _, tt := range []struct {
		name, index, says string
	}{
		{"empty", "", "empty file"},
		{"not an index", "alias a b\nalias c d\n", "magic number"},
		{"a root outside of it", binary(t)[:8] + "\x80\x0f\x00\x00", "outside the file"},
		{"going in circles", binary(t)[:8] + "\x20\x00\x00\x0c**\x20\x00\x00\x0c", "circles"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := directory(t, small)
			write(t, filepath.Join(dir, "modules.alias.bin"), tt.index)
			tables := open(t, dir)
			for range 2 { // the second time it is known
				if got, want := modules(tables.Aliases(nil, name)), "snd_odd e1000e ptp"; got != want {
					t.Errorf("found %q, want %q", got, want)
				}
			}
			warned(t, tables, "modules.alias.bin: ", tt.says, "; using modules.alias; to repair it run depmod 6.1.0-test")
		})
	}
}

func TestMissingIndexIsReplacedByText(t *testing.T) {
	tables := open(t, directory(t, small))
	if got := modules(tables.Aliases(nil, "pci:v1d2")); got != "e1000e" {
		t.Errorf("found %q", got)
	}
	warned(t, tables, "modules.alias.bin: no such file or directory; using modules.alias; to repair it run depmod 6.1.0-test")
}

func TestWithoutIndexAndTextThereIsNothing(t *testing.T) {
	tables := open(t, directory(t, map[string]string{"modules.dep": small["modules.dep"]}))
	if got := tables.Aliases(nil, "pci:v1d2"); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	warned(t, tables, "modules.alias.bin: no such file or directory; and modules.alias can't be read either")
}

// warned checks that one of the warnings holds all these words, and that it is
// given once.
func warned(t *testing.T, tables *match.Tables, words ...string) {
	t.Helper()
	times := 0
	for _, w := range tables.Warnings() {
		if holdsAll(w, words) {
			times++
		}
	}
	if times != 1 {
		t.Errorf("%d warnings with %q among %q, want one", times, words, tables.Warnings())
	}
}

func holdsAll(s string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(s, word) {
			return false
		}
	}
	return true
}

func TestBadLinesAreSkippedAndNamed(t *testing.T) {
	tables := parse(t, map[string]string{
		"modules.dep":             "kernel/a.ko:\nkernel/b.ko\n",
		"modules.alias":           "alias x: a\nalias x:\nnickname x: a\nalias y:\xff a\nalias z: a\n",
		"modules.builtin.modinfo": "c.alias=ok:*\x00d.alias=bad]\x00",
	})
	want := []string{
		`/lib/modules/6.1.0-test/modules.dep:2: line skipped: not "FILE: FILE..."`,
		`/lib/modules/6.1.0-test/modules.alias:2: line skipped: not "alias PATTERN MODULE"`,
		`/lib/modules/6.1.0-test/modules.alias:3: line skipped: not "alias PATTERN MODULE"`,
		`/lib/modules/6.1.0-test/modules.alias:4: line skipped: module index: key "y:\xff" holds byte 0xff`,
		`/lib/modules/6.1.0-test/modules.builtin.modinfo:2: line skipped: name "bad]", byte 3: "]" without "["`,
	}
	if diff := cmp.Diff(want, tables.Warnings()); diff != "" {
		t.Error(diff)
	}
	if got := modules(tables.Aliases(nil, "z:")); got != "a" {
		t.Errorf("the line after the bad ones: %q", got)
	}
}

func TestModule(t *testing.T) {
	tables := parse(t, small)
	const dir = "/lib/modules/6.1.0-test/"
	for _, want := range []match.Module{
		{Name: "e1000e", File: dir + "kernel/drivers/net/e1000e.ko", Needs: []string{"ptp", "pps_core"}, Origin: match.Origin{File: dir + "modules.dep", Line: 1}},
		{Name: "pps_core", File: dir + "kernel/drivers/pps/pps_core.ko.xz", Origin: match.Origin{File: dir + "modules.dep", Line: 3}},
		{Name: "snd_odd", File: "/opt/vendor/snd-odd.ko", Origin: match.Origin{File: dir + "modules.dep", Line: 4}},
	} {
		got, ok := tables.Module(want.Name)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s: %v\n%s", want.Name, ok, diff)
		}
	}
	if m, ok := tables.Module("e1000"); ok {
		t.Errorf("e1000 is %v", m)
	}
}

func TestAliasesComeInOrderOnceEach(t *testing.T) {
	const file = "/lib/modules/6.1.0-test/modules.alias"
	got := parse(t, small).Aliases(nil, "pci:v00008086d000010D3sv00008086")
	want := []string{
		"alias pci:v00008086d* snd_odd, line 2",
		"alias pci:v*d* e1000e, line 3",
		"alias pci:v00008086d000010D3sv* ptp, line 5",
	}
	for i, h := range got {
		if i < len(want) && (h.Rule+", line "+string(rune('0'+h.Line)) != want[i] || h.File != file) {
			t.Errorf("hit %d is %v, want %s", i, h, want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d hits, want %d", len(got), len(want))
	}
}

func TestOtherTables(t *testing.T) {
	tables := parse(t, small)
	if got := modules(tables.Symbols(nil, "symbol:ptp_clock_register")); got != "ptp" {
		t.Errorf("symbol: %q", got)
	}
	if got := modules(tables.BuiltinAliases(nil, "ata_piix")); got != "libata" {
		t.Errorf("built-in alias: %q", got)
	}
	at, ok := tables.Builtin("libata")
	if want := (match.Origin{File: "/lib/modules/6.1.0-test/modules.builtin", Line: 1}); !ok || at != want {
		t.Errorf("built in: %v, %v", at, ok)
	}
	if _, ok := tables.Builtin("e1000e"); ok {
		t.Error("e1000e is built in")
	}
}

// A mapped file that shrinks raises SIGBUS in whoever touches it. Several
// look-ups at once, so that they meet at the replacement.
func TestFileThatShrinksInUse(t *testing.T) {
	dir := copyOfDebian(t)
	tables := open(t, dir)
	const name = "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"
	if got := modules(tables.Aliases(nil, name)); got != "e1000e" {
		t.Fatalf("before: %q", got)
	}
	for _, file := range []string{"modules.alias.bin", "modules.dep.bin"} {
		if err := os.Truncate(filepath.Join(dir, file), 0); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := modules(tables.Aliases(nil, name)); got != "e1000e" {
				t.Errorf("after: %q", got)
			}
			if m, ok := tables.Module("snd_hda_intel"); !ok || len(m.Needs) < 5 {
				t.Errorf("after: %v, %v", m, ok)
			}
		})
	}
	all.Wait()
	warned(t, tables, "modules.alias.bin: file has shrunk while in use; using modules.alias")
	warned(t, tables, "modules.dep.bin: file has shrunk while in use; using modules.dep")
}

func TestReleasedPagesComeBack(t *testing.T) {
	tables := open(t, debianTables(t))
	const name = "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"
	before := modules(tables.Aliases(nil, name))
	tables.Release()
	if after := modules(tables.Aliases(nil, name)); before != "e1000e" || after != before {
		t.Errorf("%q before, %q after", before, after)
	}
}
