package match_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/modalias/modaliastest"
)

// debianTables returns the module directory of Debian's kernel.
func debianTables(tb testing.TB) string {
	tb.Helper()
	kernel, err := debian.LoadKernel(tb.Context(), os.Stderr)
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(kernel.Root, "lib/modules", kernel.Version)
}

// copyOfDebian returns a copy of the tables in that directory.
func copyOfDebian(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tables, err := filepath.Glob(filepath.Join(debianTables(t), "modules.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tables {
		write(t, filepath.Join(dir, filepath.Base(path)), read(t, "", path))
	}
	return dir
}

// fromText returns tables made from the text files of a directory alone.
func fromText(t *testing.T, dir string) *match.Tables {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"modules.dep", "modules.alias", "modules.symbols", "modules.builtin", "modules.builtin.modinfo"} {
		files[name] = read(t, dir, name)
	}
	tables, err := match.Parse(dir, files)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// debianNames returns a name made from each line of modules.alias, and one from
// each alias of what is built in.
func debianNames(tb testing.TB, dir string) (names []string) {
	tb.Helper()
	var patterns []string
	for line := range strings.Lines(read(tb, dir, "modules.alias")) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
			patterns = append(patterns, f[1])
		}
	}
	for item := range strings.SplitSeq(read(tb, dir, "modules.builtin.modinfo"), "\x00") {
		if _, alias, ok := strings.Cut(item, ".alias="); ok {
			patterns = append(patterns, alias)
		}
	}
	r := rand.New(rand.NewPCG(1, 0))
	for _, pattern := range patterns {
		normal, err := modalias.Normalize(pattern)
		if err != nil {
			tb.Fatal(err)
		}
		names = append(names, modaliastest.Concrete(normal, r))
	}
	return names
}

func read(tb testing.TB, dir, name string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// Every name gets the same modules in the same order from depmod's indexes and
// from the indexes made of depmod's text.
func TestTextSaysWhatTheIndexesSay(t *testing.T) {
	dir := debianTables(t)
	mapped, text := open(t, dir), fromText(t, dir)
	names := debianNames(t, dir)
	if len(names) < 20000 {
		t.Fatalf("only %d names", len(names))
	}
	for _, name := range names {
		for _, search := range []func(*match.Tables) []match.Hit{
			func(x *match.Tables) []match.Hit { return x.Aliases(nil, name) },
			func(x *match.Tables) []match.Hit { return x.BuiltinAliases(nil, name) },
		} {
			if a, b := modules(search(mapped)), modules(search(text)); a != b {
				t.Errorf("%q: %q by index, %q by text", name, a, b)
			}
		}
	}
	if warnings := append(mapped.Warnings(), text.Warnings()...); len(warnings) > 0 {
		t.Errorf("warnings about sound tables: %q", warnings)
	}
}

func TestTextNamesTheSameModules(t *testing.T) {
	dir := debianTables(t)
	mapped, text := open(t, dir), fromText(t, dir)
	for file := range strings.Lines(read(t, dir, "modules.order")) {
		name := modalias.ModuleName(filepath.Base(strings.TrimSpace(file)))
		a, ok := mapped.Module(name)
		b, _ := text.Module(name)
		a.Origin, b.Origin = match.Origin{}, match.Origin{}
		if diff := cmp.Diff(a, b); !ok || diff != "" {
			t.Errorf("%s: %v\n%s", name, ok, diff)
		}
	}
}

// BenchmarkAliases looks up names made from all of Debian's patterns, with the
// reasons that go into a decision.
func BenchmarkAliases(b *testing.B) {
	tables := open(b, debianTables(b))
	names := debianNames(b, tables.Dir())
	rand.New(rand.NewPCG(2, 0)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var hits []match.Hit
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		hits = tables.Aliases(hits[:0], names[i])
		if i++; i == len(names) {
			i = 0
		}
	}
}
