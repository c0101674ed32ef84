package depmod_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/match/depmod"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
)

const dir = "/lib/modules/6.1.0"

// A forest is a file system with files of text in the directory of the modules.
func forest(files map[string]string) fs.FS {
	m := fstest.MapFS{"lib/modules/6.1.0": &fstest.MapFile{Mode: fs.ModeDir | 0o755}}
	for path, text := range files {
		m["lib/modules/6.1.0/"+path] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// module is a file that exports and needs some symbols.
func module(exports, needs string, info ...string) string {
	m := kofiletest.Module{Info: info}
	for name := range strings.FieldsSeq(exports) {
		m.Exports = append(m.Exports, kofile.Export{Name: name})
	}
	for name := range strings.FieldsSeq("printk " + needs) {
		m.Needs = append(m.Needs, kofile.Need{Name: name})
	}
	return m.String()
}

// A record is what a listener has heard.
type record struct{ said, needs, read []string }

func (r *record) listener() depmod.Listener {
	return depmod.Listener{
		Say:  func(m depmod.Message) { r.said = append(r.said, m.String()) },
		Need: func(path, symbol, of string) { r.needs = append(r.needs, path+" "+symbol+" "+of) },
		Read: func(done, all int) { r.read = append(r.read, fmt.Sprintf("%d/%d", done, all)) },
	}
}

func printed(t *testing.T, tree depmod.Tree, l depmod.Listener) string {
	t.Helper()
	tables, err := depmod.Build(tree, l)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tables.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTablesOfATreeInMemory(t *testing.T) {
	files := map[string]string{
		"kernel/a.ko":   module("of_a", "", "alias=pci:a*", "softdep=pre: c"),
		"kernel/b.ko":   module("of_b", "of_a", "alias=devname:b", "alias=char-major-10-1"),
		"kernel/c.ko":   module("", "of_b of_a", "weakdep=a"),
		"modules.order": "kernel/c.ko\nkernel/b.ko\nkernel/a.ko\n",
	}
	const want = `kernel/c.ko: kernel/b.ko kernel/a.ko
kernel/b.ko: kernel/a.ko
kernel/a.ko:
# Aliases extracted from modules themselves.
alias devname:b b
alias char-major-10-1 b
alias pci:a* a
# Soft dependencies extracted from modules themselves.
softdep a pre: c
# Weak dependencies extracted from modules themselves.
weakdep c a
# Aliases for symbols, used by symbol_request().
alias symbol:of_b b
alias symbol:of_a a
# Device nodes to trigger on-demand module loading.
b b c10:1
`
	var r record
	if diff := cmp.Diff(want, printed(t, depmod.Tree{Root: forest(files), Dir: dir}, r.listener())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(record{read: []string{"1/3", "2/3", "3/3"}, needs: []string{
		dir + "/kernel/c.ko of_b " + dir + "/kernel/b.ko",
		dir + "/kernel/c.ko of_a " + dir + "/kernel/a.ko",
		dir + "/kernel/b.ko of_a " + dir + "/kernel/a.ko",
	}}, r, cmp.AllowUnexported(record{})); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsWrongIsNamedWithItsFile(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		tree  depmod.Tree
		want  string
	}{
		"no order":      {map[string]string{}, depmod.Tree{}, "open " + dir + "/modules.order: file does not exist"},
		"a broken list": {map[string]string{"modules.order": "a.ko\nb.ko"}, depmod.Tree{}, dir + "/modules.order: line 2 has no end, so nothing in it counts"},
		"a text":        {map[string]string{"modules.order": "", "a.ko": "hello"}, depmod.Tree{}, "failed to load symbols from " + dir + "/a.ko: not an ELF file (at byte 0)"},
		"a line break in a name": {map[string]string{"modules.order": "", "a\nb.ko": module("", "")}, depmod.Tree{},
			`"` + dir + `/a\nb.ko" is passed over: no table can have a line break in a name`},
		"a line break in a field": {map[string]string{"modules.order": "", "a.ko": module("", "", "alias=x\nalias y evil")}, depmod.Tree{},
			dir + "/a.ko: alias with a line break left out"},
		"a missing symbol": {map[string]string{"modules.order": "", "a.ko": module("", "gone")}, depmod.Tree{Missing: true, Kernel: kernel("printk")},
			dir + "/a.ko needs unknown symbol gone"},
		"another version": {map[string]string{"modules.order": "", "a.ko": module("", "")}, depmod.Tree{Missing: true, Kernel: versioned("0x7\tprintk\tvmlinux\tE\n")},
			dir + "/a.ko disagrees about version of symbol printk"},
		"a node without a number": {map[string]string{"modules.order": "", "a.ko": module("", "", "alias=devname:a", "alias=char-major-10-*")}, depmod.Tree{},
			"module a has the node a, but no number for it: it gets none"},
	} {
		t.Run(name, func(t *testing.T) {
			test.tree.Root, test.tree.Dir = forest(test.files), dir
			var r record
			printed(t, test.tree, r.listener())
			if diff := cmp.Diff([]string{test.want}, r.said); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func kernel(names string) depmod.Kernel {
	k, _, err := depmod.ReadSystemMap("System.map", strings.NewReader("0 R __ksymtab_"+names+"\n"), 0)
	if err != nil {
		panic(err)
	}
	return k
}

func versioned(text string) depmod.Kernel {
	k, _, err := depmod.ReadSymvers("Module.symvers", strings.NewReader(text), 0)
	if err != nil {
		panic(err)
	}
	return k
}

// What only indexes can't hold, only those who write indexes are told of.
func TestWhatNoIndexCanHoldIsNotInIt(t *testing.T) {
	for name, test := range map[string]struct{ info, want string }{
		"a bracket without an end": {"alias=a[b", dir + `/a.ko: alias skipped: name "a[b", byte 1: "[" without "]"`},
		"a byte that is not ASCII": {"alias=\xe4", `entry skipped: module index: key "\xe4" holds byte 0xe4`},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"modules.order": "", "modules.builtin": "", "modules.builtin.modinfo": "", "a.ko": module("", "", test.info, "alias=good")}
			var r record
			tables, err := depmod.Build(depmod.Tree{Root: forest(files), Dir: dir}, r.listener())
			if err != nil {
				t.Fatal(err)
			}
			if err := tables.Write(t.TempDir()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.want}, r.said); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestADirectoryThatLeadsBackIsPassedOver(t *testing.T) {
	root := t.TempDir()
	modules := filepath.Join(root, "modules")
	err := errors.Join(os.MkdirAll(filepath.Join(modules, "kernel"), 0o755), os.Symlink("..", filepath.Join(modules, "kernel/up")),
		os.WriteFile(filepath.Join(modules, "kernel/a.ko"), []byte(module("", "")), 0o644), os.WriteFile(filepath.Join(modules, "modules.order"), nil, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	var r record
	text := printed(t, depmod.Tree{Root: depmod.Disk{}, Dir: modules}, r.listener())
	if !strings.HasPrefix(text, "kernel/a.ko:\n#") {
		t.Errorf("tables\n%s", text)
	}
	if diff := cmp.Diff([]string{modules + "/kernel/up is passed over: it leads back to a directory that it is in"}, r.said); diff != "" {
		t.Error(diff)
	}
}

// written are tables, and a directory that they have been written to.
func written(t *testing.T) (tables *depmod.Tables, out string) {
	t.Helper()
	tables, err := depmod.Build(depmod.Tree{Root: forest(map[string]string{"a.ko": module("", "")}), Dir: dir}, depmod.Listener{})
	if err != nil {
		t.Fatal(err)
	}
	out = t.TempDir()
	if err := tables.Write(out); err != nil {
		t.Fatal(err)
	}
	return tables, out
}

// Whatever fails, what was there is there still, and nothing else.
func TestATableThatCantBeWrittenChangesNone(t *testing.T) {
	tables, out := written(t)
	// A directory in the place of a table can't be renamed over; it is the first to be.
	before := names(t, out)
	if err := errors.Join(os.Remove(filepath.Join(out, "modules.devname")), os.MkdirAll(filepath.Join(out, "modules.devname/x"), 0o755),
		os.WriteFile(filepath.Join(out, "modules.dep"), []byte("old"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := tables.Write(out); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff(before, names(t, out)); diff != "" {
		t.Error(diff)
	}
	if text, err := os.ReadFile(filepath.Join(out, "modules.dep")); string(text) != "old" {
		t.Errorf("modules.dep is %q, %v", text, err)
	}
	if err := tables.Write("/proc/no/such"); err == nil {
		t.Error("no error of a directory that can't be made")
	}
	if err := tables.Write("/proc/self"); err == nil || strings.Contains(err.Error(), "\n") || !strings.HasSuffix(err.Error(), " (and so for 9 more of the tables)") {
		t.Errorf("of a directory in which nothing can be made: %v", err)
	}
}

func TestWhatWasLeftByOneThatWasKilledGoes(t *testing.T) {
	tables, out := written(t)
	want := names(t, out)
	yesterday, now := time.Now().Add(-24*time.Hour).UnixNano(), time.Now().UnixNano()
	locked := fmt.Sprintf("modules.alias.4711.%d", yesterday)
	for name, stays := range map[string]bool{
		fmt.Sprintf("modules.dep.4711.%d", yesterday):                false,
		fmt.Sprintf("modules.dep.bin.1.%d", yesterday):               false,
		fmt.Sprintf("modules.builtin.alias.bin.1.%d", yesterday):     false,
		fmt.Sprintf("modules.devname.1.%d", now+int64(24*time.Hour)): false, // the clock was set
		locked:                                  true, // one that is still at work
		fmt.Sprintf("modules.dep.4711.%d", now): true, // one that has just begun
		fmt.Sprintf("modules.order.1.%d", yesterday): true, // no table of ours
		fmt.Sprintf("modules.dep.-1.%d", yesterday):  true,
		fmt.Sprintf("modules.dep.01.%d", yesterday):  true,
		"modules.dep.6.1":          true,
		"modules.dep.2024.1231":    true,
		"modules.dep.1.1732700000": true,
		"modules.dep.of.yesterday": true,
		"modules.dep.1.2.old":      true,
	} {
		if err := os.WriteFile(filepath.Join(out, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if stays {
			want = append(want, name)
		}
	}
	link, directory := fmt.Sprintf("modules.softdep.1.%d", yesterday), fmt.Sprintf("modules.softdep.2.%d", yesterday)
	want = append(want, link, directory)
	f, err := os.Open(filepath.Join(out, locked))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_EX), os.Symlink("modules.dep", filepath.Join(out, link)), os.Mkdir(filepath.Join(out, directory), 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := tables.Write(out); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, names(t, out)); diff != "" {
		t.Error(diff)
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Whoever needs whom: a table has all that a module needs, each once and before
// what it needs itself; or the cycles are true, and each module in one is named.
func TestDependenciesAreWholeAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "modules")
		needs := make([][]bool, n)
		files := map[string]string{}
		for i := range needs {
			needs[i] = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) bool { return rapid.IntRange(0, 5).Draw(t, "need") == 0 }), n, n).Draw(t, "needs")
			var symbols []string
			for j, need := range needs[i] {
				if need {
					symbols = append(symbols, fmt.Sprintf("of_%d", j))
				}
			}
			files[fmt.Sprintf("%d.ko", i)] = module(fmt.Sprintf("of_%d", i), strings.Join(symbols, " "))
		}
		tables, err := depmod.Build(depmod.Tree{Root: forest(files), Dir: dir}, depmod.Listener{})
		all := closed(needs)
		var cycle *depmod.CycleError
		switch {
		case errors.As(err, &cycle):
			checkCycles(t, cycle, needs, all)
		case err != nil:
			t.Fatal(err)
		default:
			var b bytes.Buffer
			if err := tables.Print(&b); err != nil {
				t.Fatal(err)
			}
			checkLines(t, b.String(), all)
		}
	})
}

// closed is who needs whom, directly or not.
func closed(needs [][]bool) [][]bool {
	all := make([][]bool, len(needs))
	for i := range needs {
		all[i] = append([]bool(nil), needs[i]...)
	}
	for k := range all {
		for i := range all {
			for j := range all {
				all[i][j] = all[i][j] || all[i][k] && all[k][j]
			}
		}
	}
	return all
}

func checkCycles(t *rapid.T, e *depmod.CycleError, needs, all [][]bool) {
	named := map[int]bool{}
	for _, cycle := range e.Cycles {
		for i := range cycle {
			from, to := number(cycle[i]), number(cycle[(i+1)%len(cycle)])
			named[from] = true
			if !needs[from][to] {
				t.Errorf("%v: %d does not need %d", cycle, from, to)
			}
		}
	}
	for i := range all {
		if all[i][i] != named[i] {
			t.Errorf("%d is in a cycle: %v, named: %v", i, all[i][i], named[i])
		}
	}
	if e.Modules != len(named) {
		t.Errorf("%d modules, not %d", e.Modules, len(named))
	}
}

func number(name string) (n int) {
	fmt.Sscan(name, &n)
	return n
}

func checkLines(t *rapid.T, text string, all [][]bool) {
	for i := range all {
		if all[i][i] {
			t.Fatalf("no error, though %d needs itself", i)
		}
	}
	deps, _, _ := strings.Cut(text, "#")
	for line := range strings.Lines(deps) {
		file, list, _ := strings.Cut(line, ":")
		of, listed := number(file), strings.Fields(list)
		for i, dep := range listed {
			if !all[of][number(dep)] {
				t.Errorf("%d does not need %s", of, dep)
			}
			for _, before := range listed[:i] {
				if all[number(dep)][number(before)] || dep == before {
					t.Errorf("%s: %s comes after %s", line, dep, before)
				}
			}
		}
		wanted := 0
		for _, need := range all[of] {
			if need {
				wanted++
			}
		}
		if wanted != len(listed) {
			t.Errorf("%s: %d needed", line, wanted)
		}
	}
}
