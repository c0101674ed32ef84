package depmod_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
)

const systemMap = `ffffffff81000000 T _text
ffffffff82000000 R __ksymtab_printk
ffffffff82000008 R __ksymtab_module_layout
ffffffff82000010 r __ksymtab_core_one
broken
ffffffff82000018 R _underscored
`

const symvers = "0x00000007\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n" +
	"0x00000009\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n" +
	"0x12345678\telsewhere\tdrivers/other\tEXPORT_SYMBOL\t\n" +
	"0x0000000z\todd\tvmlinux\tEXPORT_SYMBOL\n" +
	"0x1\tshort\tvmlinux\n"

// commandLines are read and answered as by Debian's depmod. ROOT stands for the
// tree's root, V for the kernel's release, and MAP and SYMVERS for files.
const commandLines = `
-x V
--no-such-option V
-b
-P ab V
--symbol-prefix= V
not-a-version
V.x not-a-file
6
-F /no/such/file V
-E /no/such/file -F MAP V
V relative.ko
V /no/such/file.ko
V ROOT/M/kernel/core.ko ROOT/M/updates/core.ko
-n 5.0
5.0
V
-a V
--all V
-n V
--show V
--dry-run V
-v V
-vn V
-vv V
-w V
--warn -n V
-wn V
-e V
-e -F MAP V
-e -E SYMVERS V
-E SYMVERS V
-F MAP V
-eE SYMVERS -F MAP V
-e -F MAP -P _ V
-P c -e -F MAP V
-P x V
--symbol-prefix=_ V
-q V
-m V
-u V
-r V
--quiet V
--map V
-A -n V
V ROOT/M/kernel/core.ko
V ROOT/M/kernel/drivers/driver.ko ROOT/M/extra/old.ko
V ROOT/M/kernel/README
-a V ROOT/M/kernel/core.ko
-n V ROOT/M/kernel/drivers/bus-one.ko ROOT/M/updates/core.ko
`

func TestCommandLinesAreReadAsByKmod(t *testing.T) {
	p := newPeer(t)
	root := small(t).plant(t)
	mapFile, symversFile := filepath.Join(t.TempDir(), "System.map"), filepath.Join(t.TempDir(), "Module.symvers")
	if err := errors.Join(os.WriteFile(mapFile, []byte(systemMap), 0o644), os.WriteFile(symversFile, []byte(symvers), 0o644)); err != nil {
		t.Fatal(err)
	}
	words := strings.NewReplacer("V", release, "ROOT", root, "M/", "lib/modules/"+release+"/", "MAP", mapFile, "SYMVERS", symversFile)
	for line := range strings.Lines(commandLines) {
		t.Run(strings.TrimSpace(line), func(t *testing.T) {
			args := append([]string{"-C", "/dev/null"}, strings.Fields(line)...)
			for i := range args {
				args[i] = words.Replace(args[i])
			}
			p.compareAny(t, root, args...)
		})
	}
}

func TestTheVersionAndTheHelpArePrinted(t *testing.T) {
	p := newPeer(t)
	for _, option := range []string{"-h", "--help", "-V", "--version"} {
		theirs, ours := p.both(t, t.TempDir(), option)
		if theirs.Exit != ours.Exit || len(ours.Levels) > 0 || !strings.HasPrefix(ours.Stdout, theirs.Stdout[:len("kmod v")]) && !strings.HasPrefix(ours.Stdout, "Usage:") {
			t.Errorf("%s: exit %d, kmod's %d, and %q", option, ours.Exit, theirs.Exit, ours.Stdout)
		}
	}
}

// configurations are files of depmod.d, in which ROOT stands for the tree's root.
var configurations = []struct{ name, text string }{
	{"nonsense", "nonsense\noverride core\noverride core *\nexternal *\n# comment\n\n \t \n"},
	{"old commands", "include other\nmake_map_files yes\n"},
	{"nothing is searched", "search built-in\n"},
	{"the kernel's before all", "search kernel updates extra\n"},
	{"updates after the rest", "search built-in updates\n"},
	{"extra before the rest", "search extra built-in updates\n"},
	{"only the rest", "search nowhere built-in\n"},
	{"in two lines", "search extra\nsearch built-in updates\n"},
	{"a continued line", "search ext\\\nra built-in\n"},
	{"a part of a name", "search ext up built-in\n"},
	{"a longer path", "search kernel/drivers extra\n"},
	{"an override", "override core * kernel\n"},
	{"an override of what is not there", "override core * nowhere\n"},
	{"two overrides", "override driver * extra\noverride driver * kernel/drivers\n"},
	{"two overrides, the other way", "override driver * kernel/drivers\noverride driver * extra\n"},
	{"an override for another kernel", "override core ^5 kernel\n"},
	{"an override for this kernel", "override core ^6.1.[0-9]-(test|other)$ kernel\n"},
	{"an override with a pattern that is none", "override core ( kernel\n"},
	{"an override by the module's name", "override bus_one * extra\n"},
	{"an override by the file's name", "override bus-one * extra\n"},
	{"an external directory", "external * ROOT/opt\n"},
	{"an external directory before all", "search external updates built-in\nexternal * ROOT/opt\n"},
	{"an external directory after all", "search updates built-in external\nexternal * ROOT/opt\n"},
	{"two external directories", "search external built-in\nexternal * ROOT/opt\nexternal * ROOT/opt2\n"},
	{"two external directories, the other way", "search external built-in\nexternal * ROOT/opt2\nexternal * ROOT/opt\n"},
	{"an external directory of another kernel", "search external\nexternal 5.* ROOT/opt\n"},
	{"an external directory that is missing", "external * ROOT/missing\n"},
	{"an external directory that is in the tree", "search external\nexternal * ROOT/lib/modules/" + release + "/extra\n"},
	{"a folder is excluded", "exclude drivers\n"},
	{"several are excluded", "exclude updates extra core.ko\n"},
}

func TestConfigurationsMeanWhatTheyMeanToKmod(t *testing.T) {
	p := newPeer(t)
	tree := small(t).
		with("extra/bus-one.ko", kofiletest.Module{Info: []string{"alias=extra-bus"}, Needs: needs("core_two")}.String()).
		with("../../../opt/core.ko", kofiletest.Module{Info: []string{"alias=external"}, Exports: exports("core_one", "core_two")}.String()).
		with("../../../opt/deep/foreign.ko", kofiletest.Module{Info: []string{"alias=foreign"}, Needs: needs("core_one")}.String()).
		with("../../../opt2/core.ko", kofiletest.Module{Info: []string{"alias=external2"}, Exports: exports("core_two")}.String())
	root := tree.plant(t)
	for _, c := range configurations {
		t.Run(c.name, func(t *testing.T) {
			conf := filepath.Join(t.TempDir(), "test.conf")
			if err := os.WriteFile(conf, []byte(strings.ReplaceAll(c.text, "ROOT", root)), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, options := range []string{"-a", "-vvn"} {
				theirs, ours := p.both(t, root, options, "-C", conf, release)
				if strings.Contains(c.text, "(") && !strings.Contains(c.text, ")") { // kmod does not say that it is no pattern
					theirs.Levels, ours.Levels = nil, nil
				}
				same(t, theirs, ours)
			}
		})
	}
}

// Of several files and directories, the first of a name counts, and names make
// the order.
func TestConfigurationsAreReadInKmodsOrder(t *testing.T) {
	p := newPeer(t)
	root := small(t).plant(t)
	dir := t.TempDir()
	for path, text := range map[string]string{
		"a/2.conf": "override core * kernel\n", "a/1.conf": "search extra\n", "a/.hidden.conf": "nonsense\n", "a/readme": "nonsense\n", "a/d.conf/x": "nonsense\n",
		"b/2.conf": "override core * updates\n", "b/3.conf": "search updates kernel\n",
		"file":   "override driver * extra\n",
		"2.conf": "override driver * kernel/drivers\n",
	} {
		file := filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, names := range []string{"a", "b", "a b", "b a", "file", "file a", "2.conf a", "b a file 2.conf", "missing", "missing b"} {
		t.Run(names, func(t *testing.T) {
			var args []string
			for name := range strings.FieldsSeq(names) {
				args = append(args, "-C", filepath.Join(dir, name))
			}
			theirs, ours := p.both(t, root, append(args, release)...)
			theirs.Levels, ours.Levels = nil, nil // of a directory in a directory we say nothing
			same(t, theirs, ours)
		})
	}
}

func TestBrokenFilesLoseNothingButThemselves(t *testing.T) {
	p := newPeer(t)
	whole := small(t)["kernel/core.ko"]
	noSymbols := kofiletest.Module{Info: []string{"alias=lonely"}}.String()
	for name, file := range map[string]string{
		"empty": "", "short": "\x7fEL", "text": "#!/bin/sh\nexit 0\n", "half": whole[:len(whole)/2], "all but a byte": whole[:len(whole)-1],
		"no symbols": noSymbols, "zstd that ends": zstandard(t, whole)[:60], "xz that is none": "\xfd7zXZ\x00nothing",
		"zstd of text": zstandard(t, "text"), "no class": whole[:4] + "\x07" + whole[5:],
	} {
		t.Run(name, func(t *testing.T) {
			root := small(t).with("kernel/broken.ko", file).plant(t)
			theirs, ours := p.both(t, root, "-C", "/dev/null", release)
			if name == "no symbols" { // we say so
				theirs.Levels, ours.Levels = nil, nil
			}
			same(t, theirs, ours)
			if !strings.Contains(ours.Tables["modules.dep"], "kernel/broken.ko:\n") {
				t.Error("it is not in modules.dep")
			}
		})
	}
}

// What is broken is a directory or a link, or one of the lists.
func TestOddTreesHaveKmodsTables(t *testing.T) {
	p := newPeer(t)
	dir := filepath.Join("lib/modules", release)
	for name, change := range map[string]func(root string) error{
		"no modules.order":           func(root string) error { return os.Remove(filepath.Join(root, dir, "modules.order")) },
		"no modules.builtin":         func(root string) error { return os.Remove(filepath.Join(root, dir, "modules.builtin")) },
		"no modules.builtin.modinfo": func(root string) error { return os.Remove(filepath.Join(root, dir, "modules.builtin.modinfo")) },
		"an order without an end": func(root string) error {
			return os.WriteFile(filepath.Join(root, dir, "modules.order"), []byte("kernel/core.ko\nkernel/drivers/driver.ko"), 0o644)
		},
		"an order with a NUL and a long line": func(root string) error {
			text := "\x00kernel/core.ko\nkernel/drivers/driver.ko\n" + strings.Repeat("x", 5000) + "\n"
			return os.WriteFile(filepath.Join(root, dir, "modules.order"), []byte(text), 0o644)
		},
		"an order that names a module twice": func(root string) error {
			return os.WriteFile(filepath.Join(root, dir, "modules.order"), []byte("kernel/core.ko\nextra/old.ko\nkernel/core.ko\n\n"), 0o644)
		},
		"a link to nowhere":       func(root string) error { return os.Symlink("nowhere", filepath.Join(root, dir, "kernel/link.ko")) },
		"a link to a module":      func(root string) error { return os.Symlink("core.ko", filepath.Join(root, dir, "kernel/link.ko")) },
		"a link to a directory":   func(root string) error { return os.Symlink("../extra", filepath.Join(root, dir, "kernel/link")) },
		"a directory like a file": func(root string) error { return os.Mkdir(filepath.Join(root, dir, "kernel/dir.ko"), 0o755) },
		"names with dots and dashes": func(root string) error {
			text := []byte(kofiletest.Module{Needs: needs("core_one")}.String())
			return errors.Join(os.WriteFile(filepath.Join(root, dir, "kernel/a-b.c.ko"), text, 0o644),
				os.WriteFile(filepath.Join(root, dir, "kernel/.ko"), text, 0o644),
				os.WriteFile(filepath.Join(root, dir, "kernel/.x.ko"), text, 0o644),
				os.WriteFile(filepath.Join(root, dir, "kernel/a b.ko"), text, 0o644),
				os.WriteFile(filepath.Join(root, dir, "kernel/y.ko.bz2"), text, 0o644))
		},
		"no modules": func(root string) error {
			return errors.Join(os.RemoveAll(filepath.Join(root, dir)), os.Mkdir(filepath.Join(root, dir), 0o755))
		},
		"no directory": func(root string) error { return os.RemoveAll(filepath.Join(root, dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			root := small(t).plant(t)
			if err := change(root); err != nil {
				t.Fatal(err)
			}
			p.compareAny(t, root, "-C", "/dev/null", release)
		})
	}
}

func ring(names ...string) tree {
	ring := tree{"modules.order": "", "modules.builtin": "", "modules.builtin.modinfo": ""}
	for i, name := range names {
		ring[name+".ko"] = kofiletest.Module{Exports: exports("of_" + name), Needs: needs("of_" + names[(i+1)%len(names)])}.String()
		ring["modules.order"] += name + ".ko\n"
	}
	return ring
}

func TestCyclesAreNamedWhole(t *testing.T) {
	p := newPeer(t)
	for name, tree := range map[string]tree{
		"one":   ring("alone"),
		"two":   ring("a", "b"),
		"three": ring("first", "second", "third"),
		"with others": ring("a", "b", "c").
			with("needs.ko", kofiletest.Module{Needs: needs("of_b")}.String()).
			with("needed.ko", kofiletest.Module{Exports: exports("of_needed")}.String()),
	} {
		t.Run(name, func(t *testing.T) {
			root := tree.plant(t)
			theirs, ours := p.said(t, root, "-C", "/dev/null", release)
			if theirs != ours || !strings.Contains(ours, " -> ") {
				t.Errorf("kmod says\n%swe say\n%s", theirs, ours)
			}
			p.compareAny(t, root, "-C", "/dev/null", release)
		})
	}
}

// kmod never ends at the first of these.
func TestCyclesThatShareModulesAreNamedToo(t *testing.T) {
	joined := kofiletest.Module{Exports: exports("of_b"), Needs: needs("of_a", "of_x")}.String()
	for name, want := range map[string]struct {
		tree tree
		said string
	}{
		"one after another": {ring("a", "b").with("modules.order", "a.ko\nb.ko\nx.ko\ny.ko\n").with("b.ko", joined).with("x.ko", ring("x", "y")["x.ko"]).with("y.ko", ring("x", "y")["y.ko"]),
			"depmod: ERROR: Cycle detected: a -> b -> a\ndepmod: ERROR: Cycle detected: x -> y -> x\ndepmod: ERROR: Found 4 modules in dependency cycles!\n"},
		"two through one": {ring("a", "b").with("b.ko", joined).with("x.ko", kofiletest.Module{Exports: exports("of_x"), Needs: needs("of_b")}.String()),
			"depmod: ERROR: Cycle detected: a -> b -> a\ndepmod: ERROR: Cycle detected: x -> b -> x\ndepmod: ERROR: Found 3 modules in dependency cycles!\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if said := ourWords(t, want.tree.plant(t), "-C", "/dev/null", release); said != want.said {
				t.Errorf("said\n%swant\n%s", said, want.said)
			}
		})
	}
}

// A module, a folder or nothing has changed since the tables were made.
func TestQuickDoesNothingWhenNothingHasChanged(t *testing.T) {
	p := newPeer(t)
	for name, test := range map[string]struct {
		change func(dir string) error
		theirs bool // whether kmod's depmod makes new tables, too
		ours   bool
	}{
		"nothing":             {func(string) error { return nil }, false, false},
		"no module":           {func(dir string) error { return os.WriteFile(filepath.Join(dir, "kernel/README"), nil, 0o644) }, false, false},
		"the list":            {func(dir string) error { return os.WriteFile(filepath.Join(dir, "modules.order"), nil, 0o644) }, false, false},
		"sources":             {func(dir string) error { return os.WriteFile(filepath.Join(dir, "build/hidden.ko"), nil, 0o644) }, false, false},
		"a module is new":     {func(dir string) error { return os.WriteFile(filepath.Join(dir, "kernel/new.ko"), nil, 0o644) }, true, true},
		"a module is changed": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "kernel/core.ko"), nil, 0o644) }, true, true},
		"a module has gone":   {func(dir string) error { return os.Remove(filepath.Join(dir, "kernel/core.ko")) }, false, true},
		"no tables":           {func(dir string) error { return os.Remove(filepath.Join(dir, "modules.dep")) }, true, true},
		"one table has gone":  {func(dir string) error { return os.Remove(filepath.Join(dir, "modules.alias")) }, false, true},
		"an index is empty":   {func(dir string) error { return os.Truncate(filepath.Join(dir, "modules.dep.bin"), 0) }, false, true},
		"one has gone at the top": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "modules.dep"), []byte("gone.ko:\n"), 0o644)
		}, false, true},
		"one has come to the top, and is old": {func(dir string) error {
			f, err := os.CreateTemp(dir, "*.ko") // which the other's tables don't have
			if err != nil {
				return err
			}
			return errors.Join(f.Close(), os.Chtimes(f.Name(), time.Time{}, time.Unix(0, 0)))
		}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			root := small(t).plant(t)
			dir := filepath.Join(root, "lib/modules", release)
			for _, whose := range []struct {
				depmod func() result
				want   bool
			}{
				{func() result { return p.asIs(t, root, "-A", "-C", "/dev/null", release) }, test.theirs},
				{func() result { return asIs(t, root, "-A", "-C", "/dev/null", release) }, test.ours},
			} {
				p.run(t, root, "-C", "/dev/null", release)
				age(t, dir)
				if err := test.change(dir); err != nil {
					t.Fatal(err)
				}
				mark := filepath.Join(dir, "modules.softdep")
				if err := os.WriteFile(mark, []byte("mark"), 0o644); err != nil {
					t.Fatal(err)
				}
				if made := whose.depmod().Tables["modules.softdep"] != "mark"; made != whose.want {
					t.Errorf("made new tables: %v, want %v", made, whose.want)
				}
				small(t).into(t, root)
			}
		})
	}
}

func TestQuickDoesNothingWhereNoListOfWhatIsBuiltInIs(t *testing.T) {
	root := small(t).plant(t)
	dir := filepath.Join(root, "lib/modules", release)
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "modules.builtin")), os.RemoveAll(filepath.Join(dir, "modules.builtin.modinfo"))); err != nil {
		t.Fatal(err)
	}
	asIs(t, root, "-C", "/dev/null", release)
	age(t, dir)
	mark := filepath.Join(dir, "modules.softdep")
	if err := os.WriteFile(mark, []byte("mark"), 0o644); err != nil {
		t.Fatal(err)
	}
	if asIs(t, root, "-A", "-C", "/dev/null", release).Tables["modules.softdep"] != "mark" {
		t.Error("made new tables")
	}
}

// age has all in a tree be an hour old, and the tables a minute younger.
func age(t *testing.T, dir string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Chtimes(path, then, then))
	})
	if err := errors.Join(err, os.Chtimes(filepath.Join(dir, "modules.dep"), then, then.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
}

func TestWhatComesWhileTablesAreMadeIsNewerThanThey(t *testing.T) {
	root := small(t).plant(t)
	before := time.Now()
	ours(t, root, "-C", "/dev/null", release)
	info, err := os.Stat(filepath.Join(root, "lib/modules", release, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	// The clock of files is some milliseconds slow.
	if since := info.ModTime().Sub(before); since < -50*time.Millisecond || since > 5*time.Millisecond {
		t.Errorf("modules.dep is dated %v after the start", since)
	}
}

// kmod has this option since version 31.
func TestTablesGoToAnotherRoot(t *testing.T) {
	root, out := small(t).plant(t), t.TempDir()
	want := ours(t, root, "-C", "/dev/null", release)
	clean(t, root)
	for _, option := range []string{"-o", "--outdir"} {
		if r := ours(t, root, option, out, "-C", "/dev/null", release); r.Exit != 0 || len(r.Tables) > 0 {
			t.Errorf("exit %d, and %d tables in the tree", r.Exit, len(r.Tables))
		}
		got := newResult(t, out, "", "", 0)
		want.Levels = nil
		same(t, want, got)
		clean(t, out)
	}
}

// Debian's depmod does not write modules.weakdep, and newer ones always do.
func TestWeakdepsAreATableWhereThereAreSome(t *testing.T) {
	root := small(t).with("kernel/weak.ko", kofiletest.Module{Info: []string{"weakdep=core bus_one"}, Versions: []kofile.Version{{Name: "x"}}}.String()).plant(t)
	const want = "# Weak dependencies extracted from modules themselves.\nweakdep weak core bus_one\n"
	if got := ours(t, root, "-C", "/dev/null", release).Tables["modules.weakdep"]; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := os.Remove(filepath.Join(root, "lib/modules", release, "kernel/weak.ko")); err != nil {
		t.Fatal(err)
	}
	if got, still := asIs(t, root, "-C", "/dev/null", release).Tables["modules.weakdep"]; still {
		t.Errorf("it is still there: %q", got)
	}
}
