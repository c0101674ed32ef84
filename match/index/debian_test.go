package index_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match/index"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/modalias/modaliastest"
)

// debianFile returns one of the tables that depmod makes of Debian's kernel.
func debianFile(tb testing.TB, name string) []byte {
	tb.Helper()
	kernel, err := debian.LoadKernel(tb.Context(), os.Stderr)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(kernel.Root, "lib/modules", kernel.Version, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func open(tb testing.TB, data []byte) *index.Index {
	tb.Helper()
	x, err := index.New(data)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

func entries(tb testing.TB, x *index.Index) (list []index.Entry) {
	tb.Helper()
	if err := x.Each(func(key []byte, v index.Value) {
		list = append(list, index.Entry{Key: string(key), Priority: v.Priority, Text: string(v.Text)})
	}); err != nil {
		tb.Fatal(err)
	}
	return list
}

func TestWriteWritesWhatDepmodWrites(t *testing.T) {
	for _, name := range []string{"modules.alias.bin", "modules.dep.bin", "modules.symbols.bin",
		"modules.builtin.bin", "modules.builtin.alias.bin"} {
		t.Run(name, func(t *testing.T) {
			theirs := debianFile(t, name)
			ours, err := index.Write(entries(t, open(t, theirs)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(theirs, ours) {
				t.Errorf("depmod's index has %d bytes, ours %d, and they differ", len(theirs), len(ours))
			}
		})
	}
}

// Trying all of Debian's 26,000 patterns takes a millisecond, so this looks at
// every fiftieth only.
func TestSearchInDebiansTable(t *testing.T) {
	x := open(t, debianFile(t, "modules.alias.bin"))
	all := entries(t, x)
	for i := 0; i < len(all); i += 50 {
		name := modaliastest.Concrete(all[i].Key, rand.New(rand.NewPCG(uint64(i), 0)))
		var want []string
		for _, e := range all {
			if modalias.Match(e.Key, name) {
				want = append(want, e.Text)
			}
		}
		values, err := x.Search(nil, name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range values {
			got = append(got, string(v.Text))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: found %v, want %v", name, got, want)
		}
	}
}

// BenchmarkAliases looks names up in Debian's whole table of aliases: one made
// from each pattern, those of the larger buses by themselves, and names that
// nothing matches.
func BenchmarkAliases(b *testing.B) {
	x := open(b, debianFile(b, "modules.alias.bin"))
	r := rand.New(rand.NewPCG(1, 0))
	names := map[string][]string{}
	for _, e := range entries(b, x) {
		name := modaliastest.Concrete(e.Key, r)
		family, _, _ := strings.Cut(name, ":")
		names["all"] = append(names["all"], name)
		names[family] = append(names[family], name)
		// Wrong late in the name, so that it is looked for deeply.
		miss := strings.NewReplacer("sv", "sw", "d0", "dX", "p0", "pX").Replace(name)
		if found, err := x.Search(nil, miss); err == nil && len(found) == 0 {
			names["misses"] = append(names["misses"], miss)
		}
	}
	for _, family := range []string{"all", "misses", "pci", "usb", "hid", "acpi", "of", "dmi", "input", "platform"} {
		b.Run(family, func(b *testing.B) { benchmarkSearch(b, x, names[family]) })
	}
}

func benchmarkSearch(b *testing.B, x *index.Index, names []string) {
	rand.New(rand.NewPCG(2, 0)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var found []index.Value
	var err error
	hits, i := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		if found, err = x.Search(found[:0], names[i]); err != nil {
			b.Fatal(err)
		}
		hits += len(found)
		if i++; i == len(names) {
			i = 0
		}
	}
	b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
}
