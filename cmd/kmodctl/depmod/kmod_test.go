package depmod_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/kmodd/kmodd/cmd/kmodctl/depmod"
	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
)

// A peer is Debian's depmod beside ours.
type peer struct{ theirs string }

func newPeer(tb testing.TB) peer {
	tb.Helper()
	theirs, err := debian.Need(tb.Context(), os.Stderr, "depmod", "kmod")
	if err != nil {
		tb.Skip(err)
	}
	return peer{theirs}
}

// release is the kernel's in trees that tests make.
const release = "6.1.0-test"

// A result is what a depmod has said and left behind.
type result struct {
	Tables map[string]string
	Stdout string
	// Levels are the first words of what is said of modules on standard error.
	Levels []string
	Exit   int
}

// both runs the two over one tree, in root, each with none of its tables there,
// and returns what has come of it. Results tell the root as ROOT.
func (p peer) both(tb fataler, root string, args ...string) (theirs, our result) {
	tb.Helper()
	return p.run(tb, root, args...), ours(tb, root, args...)
}

// run runs Debian's, with no tables there.
func (p peer) run(tb fataler, root string, args ...string) result {
	tb.Helper()
	clean(tb, root)
	return p.asIs(tb, root, args...)
}

func (p peer) asIs(tb fataler, root string, args ...string) result {
	tb.Helper()
	stdout, stderr, exit := p.words(tb, root, args)
	return newResult(tb, root, stdout, stderr, exit)
}

func (p peer) words(tb fataler, root string, args []string) (stdout, stderr string, exit int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.theirs, append([]string{"-b", root}, args...)...)
	cmd.Args[0] = "depmod"
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// ours runs ours, with no tables there.
func ours(tb fataler, root string, args ...string) result {
	tb.Helper()
	clean(tb, root)
	return asIs(tb, root, args...)
}

func asIs(tb fataler, root string, args ...string) result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	exit := depmod.Main(append([]string{"-b", root}, args...), "1.0", &stdout, &stderr)
	return newResult(tb, root, stdout.String(), stderr.String(), exit)
}

// ourWords is what ours says on standard error.
func ourWords(tb fataler, root string, args ...string) string {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	depmod.Main(append([]string{"-b", root}, args...), "1.0", &stdout, &stderr)
	return stderr.String()
}

// said is what the two say on standard error.
func (p peer) said(tb fataler, root string, args ...string) (theirs, our string) {
	tb.Helper()
	_, theirs, _ = p.words(tb, root, args)
	return theirs, ourWords(tb, root, args...)
}

// A fataler is what testing and rapid have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

// inputs are files beside the tables that the kernel's makefiles write.
var inputs = []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"}

// tables are the paths of the tables below a root.
func tables(tb fataler, root string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(root, "lib/modules/*/modules.*"))
	if err != nil {
		tb.Fatal(err)
	}
	return slices.DeleteFunc(files, func(file string) bool { return slices.Contains(inputs, filepath.Base(file)) })
}

func clean(tb fataler, root string) {
	tb.Helper()
	for _, file := range tables(tb, root) {
		if err := os.Remove(file); err != nil {
			tb.Fatal(err)
		}
	}
}

// level finds what a line on standard error is.
var level = regexp.MustCompile(`(?m)^depmod: (FATAL|ERROR|WARNING|INFO)?`)

// libkmods finds what libkmod says, of which our words have no part.
var libkmods = regexp.MustCompile(`(?m)^depmod: [A-Z]+: \.\./libkmod/.*\n`)

func newResult(tb fataler, root, stdout, stderr string, exit int) result {
	tb.Helper()
	r := result{Tables: map[string]string{}, Stdout: strings.ReplaceAll(stdout, root, "ROOT"), Exit: exit}
	for _, file := range tables(tb, root) {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		r.Tables[filepath.Base(file)] = strings.ReplaceAll(string(text), root, "ROOT")
	}
	for _, line := range level.FindAllStringSubmatch(libkmods.ReplaceAllString(stderr, ""), -1) {
		r.Levels = append(r.Levels, line[1])
	}
	if slices.Contains(r.Levels, "FATAL") {
		r.Levels = []string{"FATAL"} // kmod tells some causes in a line before
	}
	return r
}

// A tree is files by their paths below the directory of the modules.
type tree map[string]string

// plant writes a tree into a new root.
func (t tree) plant(tb testing.TB) string {
	tb.Helper()
	root := tb.TempDir()
	t.into(tb, root)
	return root
}

func (t tree) into(tb fataler, root string) {
	tb.Helper()
	for _, path := range slices.Sorted(keys(t)) {
		file := filepath.Join(root, "lib/modules", release, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(t[path]), 0o644)); err != nil {
			tb.Fatal(err)
		}
	}
}

func keys(t tree) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for path := range t {
			if !yield(path) {
				return
			}
		}
	}
}

// with is a copy of a tree with another file in it.
func (t tree) with(path, text string) tree {
	copy := tree{path: text}
	for path, text := range t {
		if _, ok := copy[path]; !ok {
			copy[path] = text
		}
	}
	return copy
}

func exports(names ...string) (list []kofile.Export) {
	for i, name := range names {
		list = append(list, kofile.Export{Name: name, CRC: uint64(0x1000 + i)})
	}
	return list
}

func needs(names ...string) (list []kofile.Need) {
	for _, name := range names {
		list = append(list, kofile.Need{Name: name})
	}
	return list
}

func zstandard(tb testing.TB, text string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	return string(w.EncodeAll([]byte(text), nil))
}

// small is a tree with all that tables are made of.
func small(tb testing.TB) tree {
	core := kofiletest.Module{Info: []string{"alias=pci:v*d-1*", "alias=of:[a-z]-b", "license=GPL"}, Exports: exports("core_one", "core_two")}
	bus := kofiletest.Module{
		Info:     []string{"softdep=pre: core", "softdep=post: later", "alias=devname:bus/0", "alias=char-major-10-200", "alias=twice", "alias=twice"},
		Exports:  exports("bus_one"),
		Needs:    needs("core_two", "printk", "__this_module"),
		Versions: []kofile.Version{{Name: "core_two", CRC: 0x1001}, {Name: "printk", CRC: 7}, {Name: "module_layout", CRC: 8}, {Name: "core_one", CRC: 9}},
	}
	driver := kofiletest.Module{
		Info:  []string{"alias=block-major-7-*", "alias=devname:loop-control", "alias=unclosed[", "alias=usb:v1D6Bp0002*"},
		Needs: []kofile.Need{{Name: "bus_one"}, {Name: "nobody_has_it"}, {Name: "core_one"}, {Name: "perhaps", Weak: true}},
	}
	update := kofiletest.Module{Info: []string{"alias=new"}, Exports: exports("core_one", "core_two", "core_new")}
	bigEndian := kofiletest.Module{Bits: 32, Order: binary.BigEndian, Machine: 20, Info: []string{"alias=old"}, Exports: exports("old"), Needs: needs("core_one")}
	return tree{
		"kernel/core.ko":            core.String(),
		"updates/core.ko":           update.String(),
		"kernel/drivers/bus-one.ko": bus.String(),
		"kernel/drivers/driver.ko":  driver.String(),
		"kernel/drivers/packed.ko.zst": zstandard(tb, kofiletest.Module{
			Info: []string{"alias=packed"}, Needs: needs("bus_one")}.String()),
		"extra/driver.ko": kofiletest.Module{Info: []string{"alias=extra"}, Needs: needs("core_new")}.String(),
		"extra/old.ko":    bigEndian.String(),
		"build/hidden.ko": driver.String(),
		"kernel/README":   "no module",
		"modules.order":   "kernel/drivers/driver.ko\nkernel/gone.ko\nkernel/drivers/packed.ko\nkernel/core.ko\nkernel/drivers/bus-one.ko\n",
		"modules.builtin": "kernel/fs/ext-4.ko\nkernel/lib/crc.ko\n7/not.ko\nkernel/lib/crc.ko\n",
		"modules.builtin.modinfo": "ext_4.alias=fs-ext4\x00ext_4.license=GPL\x00crc.alias=fs-ext4\x00crc.alias=crc[0-9]-x\x00" +
			"crc.alias=bad]\x00crc.alias=\x00odd\x00crc.alias=cut short",
	}
}

func same(tb fatalError, theirs, ours result) {
	tb.Helper()
	if diff := cmp.Diff(theirs, ours); diff != "" {
		tb.Errorf("(-kmod +kmodd)\n%s", diff)
	}
}

// A fatalError is what testing and rapid have in common for failures, too.
type fatalError interface {
	fataler
	Errorf(format string, args ...any)
}

// compareAny compares what the two do, be it nothing.
func (p peer) compareAny(tb fatalError, root string, args ...string) {
	tb.Helper()
	theirs, ours := p.both(tb, root, args...)
	same(tb, theirs, ours)
}

func TestTablesOfASmallTreeAreKmods(t *testing.T) {
	root := small(t).plant(t)
	theirs, ours := newPeer(t).both(t, root, "-C", "/dev/null", release)
	same(t, theirs, ours)
	if len(theirs.Tables) != 10 || theirs.Exit != 0 {
		t.Errorf("%d tables, exit %d", len(theirs.Tables), theirs.Exit)
	}
}
