package bench

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/match/index"
	"github.com/kmodd/kmodd/modalias/modaliastest"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// lookingUp measures look-ups in the tables of Debian's kernel, and compares every result with libkmod's.
func lookingUp(ctx context.Context, progress io.Writer, runs int) ([]row, error) {
	kernel, err := debian.LoadKernel(ctx, progress)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(kernel.Root, "lib/modules", kernel.Version)
	peer, err := buildLibkmod(ctx, progress, dir)
	if err != nil {
		return nil, err
	}
	defer peer.remove()
	t, err := openTables(dir)
	if err != nil {
		return nil, err
	}
	defer t.tables.Close()
	names, err := t.names()
	if err != nil {
		return nil, err
	}
	if err := t.compare(ctx, peer, names); err != nil {
		return nil, err
	}
	return t.race(ctx, peer, names, runs)
}

// A table is what is looked up in, twice: the index of aliases alone, and the rules that it is a part of.
type table struct {
	tables  *match.Tables
	aliases *index.Index
	set     *rules.Set
}

func openTables(dir string) (t table, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "modules.alias.bin"))
	if err != nil {
		return t, err
	}
	if t.aliases, err = index.New(data); err != nil {
		return t, err
	}
	if t.tables, err = match.Open(dir); err != nil {
		return t, err
	}
	t.set = rules.NewSet(t.tables, &modprobed.Config{})
	return t, nil
}

// names makes a name from each alias, and as many that no alias matches, in an order in which neighbours
// have nothing to do with each other.
func (t table) names() ([]string, error) {
	r := rand.New(rand.NewPCG(1, 0))
	var hits, misses []string
	err := t.aliases.Each(func(key []byte, _ index.Value) {
		hits = append(hits, modaliastest.Concrete(string(key), r))
	})
	// A miss is a hit with a wrong byte, at any place behind the name of its bus.
	for len(misses) < len(hits) && err == nil {
		name := []byte(hits[len(misses)])
		at := bytes.IndexByte(name, ':') + 1
		name[min(at+r.IntN(max(1, len(name)-at)), len(name)-1)] = '~'
		misses = append(misses, string(name))
	}
	all := slices.Concat(hits, misses)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, err
}

// modules are the modules that a name leads to by kmodd's rules.
func (t table) modules(name string) string {
	return strings.Join(t.set.Resolve(name).Modules, " ")
}

// compare returns an error if any name leads kmodd and libkmod to other modules, or to the same
// in another order.
func (t table) compare(ctx context.Context, peer libkmod, names []string) error {
	theirs, _, err := peer.lookUp(ctx, names, 0)
	if err != nil {
		return err
	}
	var wrong []error
	for i, name := range names {
		if ours := t.modules(name); ours != theirs[i] {
			wrong = append(wrong, fmt.Errorf("%s: kmodd finds %q, libkmod %q", name, ours, theirs[i]))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d look-ups differ from libkmod's, the first:\n%w", len(wrong), len(names), errors.Join(wrong[:min(5, len(wrong))]...))
	}
	return nil
}

// race has kmodd and libkmod look the names up by turns.
func (t table) race(ctx context.Context, peer libkmod, names []string, runs int) ([]row, error) {
	var walk, decide, allocations, theirs []float64
	var found []index.Value
	for range runs {
		ns, allocs := timed(names, func(name string) { found, _ = t.aliases.Search(found[:0], name) })
		walk, allocations = append(walk, ns), append(allocations, allocs)
		ns, _ = timed(names, func(name string) { t.set.Resolve(name) })
		decide = append(decide, ns)
		_, took, err := peer.lookUp(ctx, names, 1)
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, float64(took[0])/float64(len(names)))
	}
	return []row{
		{what: fmt.Sprintf("look up %d names, mean", len(names)), unit: inNanoseconds, ours: walk,
			whose: "libkmod", peer: theirs, bound: atMost(2000)},
		{what: "  allocations", unit: inCount, ours: allocations, bound: atMost(0)},
		{what: "  with dependencies and reasons", unit: inNanoseconds, ours: decide, whose: "libkmod", peer: theirs},
	}, nil
}

// timed is the mean time of a look-up in nanoseconds, and its mean number of allocations. A first pass, which
// does not count, makes the buffers that later ones use again.
func timed(names []string, lookUp func(string)) (ns, allocations float64) {
	var before, after runtime.MemStats
	for _, name := range names {
		lookUp(name)
	}
	runtime.ReadMemStats(&before)
	began := time.Now()
	for _, name := range names {
		lookUp(name)
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	n := float64(len(names))
	return float64(took) / n, float64(after.Mallocs-before.Mallocs) / n
}

//go:embed libkmod/lookup.c
var lookupSource []byte

// A libkmod is the peer's program.
type libkmod struct {
	program string // in a folder of its own
	tables  string
}

// buildLibkmod compiles the peer, for the tables in a directory.
func buildLibkmod(ctx context.Context, progress io.Writer, tables string) (l libkmod, err error) {
	if _, err := debian.Need(ctx, progress, "gcc", "gcc"); err != nil {
		return l, err
	}
	for _, header := range [][2]string{{"/usr/include/stdlib.h", "libc6-dev"}, {"/usr/include/libkmod.h", "libkmod-dev"}} {
		if err := debian.NeedFile(ctx, progress, header[0], header[1]); err != nil {
			return l, err
		}
	}
	dir, err := os.MkdirTemp("", "kmodlab-libkmod-")
	if err != nil {
		return l, err
	}
	l = libkmod{filepath.Join(dir, "lookup"), tables}
	cmd := exec.CommandContext(ctx, "gcc", "-O2", "-Wall", "-Werror", "-xc", "-", "-o", l.program, "-lkmod")
	cmd.Stdin = bytes.NewReader(lookupSource)
	if out, err := cmd.CombinedOutput(); err != nil {
		return l, errors.Join(fmt.Errorf("compile the peer with libkmod: %w\n%s", err, out), l.remove())
	}
	return l, nil
}

func (l libkmod) remove() error { return os.RemoveAll(filepath.Dir(l.program)) }

// lookUp has libkmod look names up: once for the modules, each named once, and some rounds for the time.
func (l libkmod) lookUp(ctx context.Context, names []string, rounds int) (modules []string, took []time.Duration, err error) {
	cmd := exec.CommandContext(ctx, l.program, l.tables, strconv.Itoa(rounds))
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("look up with libkmod: %w", err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(names)+rounds {
		return nil, nil, fmt.Errorf("libkmod answered %d lines to %d names and %d rounds", len(lines), len(names), rounds)
	}
	for _, line := range lines[:len(names)] {
		modules = append(modules, once(line))
	}
	for _, line := range lines[len(names):] {
		ns, err := strconv.ParseInt(line, 10, 64)
		if err != nil {
			return nil, nil, fmt.Errorf("libkmod's time: %w", err)
		}
		took = append(took, time.Duration(ns))
	}
	return modules, took, nil
}

// once leaves out what is named again: libkmod names a module for each of its aliases that matches.
func once(line string) string {
	var kept []string
	for _, name := range strings.Fields(line) {
		if !slices.Contains(kept, name) {
			kept = append(kept, name)
		}
	}
	return strings.Join(kept, " ")
}
