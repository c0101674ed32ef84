package trim

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// opened are the tables of a directory, and what decides with them.
func opened(t *testing.T, dir string) (*match.Tables, *rules.Set) {
	t.Helper()
	tables, err := match.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tables.Close() })
	return tables, rules.NewSet(tables, modprobed.Load(t.TempDir(), dir, ""))
}

// names are those that some aliases of Debian's modules match: the aliases
// themselves, without wildcards.
func names(t *testing.T, dir string, random *rand.Rand, count int) (names []string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "modules.alias"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && strings.Contains(fields[1], ":") && !strings.ContainsAny(fields[1], "[?") {
			names = append(names, strings.ReplaceAll(fields[1], "*", ""))
		}
	}
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:count]
}

// Whatever devices a board has, its trimmed tree leads to the same modules in the
// same priority as the whole one, with the same ones loaded for them, and no
// module in it is there for nothing. (In which order those are loaded that do not need one another
// depends on what else depmod has ranked.)
func TestATrimmedTreeDecidesAsTheWholeOne(t *testing.T) {
	kernel, err := debian.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(kernel.Root, "lib/modules", kernel.Version)
	tables, whole := opened(t, dir)
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			board := Board{Name: "board", Rules: whole}
			asked := names(t, dir, rand.New(rand.NewPCG(seed, 7)), 12)
			for i, name := range asked {
				board.Devices = append(board.Devices, rules.Device{Path: fmt.Sprint("/devices/", i), Modalias: name})
			}
			trimmed, warnings, err := Make("", tables, []Board{board}, nil)
			if err != nil || len(warnings) > 0 {
				t.Fatal(warnings, err)
			}
			tree := filepath.Join(t.TempDir(), "tree")
			if warnings, err = trimmed.Copy(tree); err != nil || len(warnings) > 0 {
				t.Fatal(warnings, err)
			}
			left, set := opened(t, filepath.Join(tree, "lib/modules", kernel.Version))
			var used []string
			for _, name := range asked {
				want, got := whole.Resolve(name), set.Resolve(name)
				if diff := cmp.Diff(want.Modules, got.Modules); diff != "" {
					t.Errorf("what matches %s (-whole +trimmed)\n%s", name, diff)
				}
				if diff := cmp.Diff(loads(want), loads(got)); diff != "" {
					t.Errorf("loads for %s (-whole +trimmed)\n%s", name, diff)
				}
				used = append(used, loads(got)...)
			}
			slices.Sort(used)
			var installed []string
			for _, m := range left.Installed() {
				installed = append(installed, m.Name)
			}
			if diff := cmp.Diff(slices.Compact(used), installed); diff != "" {
				t.Errorf("modules in the tree (-used +there)\n%s", diff)
			}
		})
	}
}

// loads are the modules that a decision loads, sorted.
func loads(d rules.Decision) (modules []string) {
	for _, s := range d.Steps {
		modules = append(modules, s.Module)
	}
	slices.Sort(modules)
	return modules
}

// docs/trim.md names every key of the JSON.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/trim.md")
	if err != nil {
		t.Fatal(err)
	}
	var look func(reflect.Type)
	look = func(kind reflect.Type) {
		for _, field := range reflect.VisibleFields(kind) {
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous || !field.IsExported() {
				continue
			}
			if !strings.Contains(string(doc), "`"+key+"`") {
				t.Errorf("docs/trim.md does not name the key %q", key)
			}
			element := field.Type
			for element.Kind() == reflect.Slice || element.Kind() == reflect.Pointer {
				element = element.Elem()
			}
			if element.Kind() == reflect.Struct && element.PkgPath() == kind.PkgPath() {
				look(element)
			}
		}
	}
	look(reflect.TypeFor[Trim]())
}

func TestNoTreeTakesThePlaceOfAMount(t *testing.T) {
	if !isMount("/proc") || isMount(t.TempDir()) {
		t.Errorf("/proc: %v, a new directory: %v", isMount("/proc"), isMount(t.TempDir()))
	}
}
