package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/match/index"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// lookingUp measures look-ups in the tables of Debian's kernels, and compares every result with libkmod's.
func lookingUp(ctx context.Context, progress io.Writer, runs int) (rows []row, families []familyRow, err error) {
	peer, err := buildLibkmod(ctx, progress)
	if err != nil {
		return nil, nil, err
	}
	defer peer.remove()
	for _, of := range []struct {
		arch  debian.Architecture
		times float64 // how many times as fast as libkmod the mix is to be
	}{{debian.AMD64, 8}, {debian.ARM64, 50}} {
		r, err := lookingUpIn(ctx, progress, of.arch, peer, runs)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, r.rows(of.times)...)
		families = append(families, r.familyRows()...)
	}
	return rows, families, nil
}

// lookingUpIn measures look-ups in one kernel's tables.
func lookingUpIn(ctx context.Context, progress io.Writer, arch debian.Architecture, peer libkmod, runs int) (r *race, err error) {
	t, err := debianTable(ctx, progress, arch)
	if err != nil {
		return nil, err
	}
	defer t.tables.Close()
	if r, err = t.race(); err != nil {
		return nil, err
	}
	theirs, err := peer.start(ctx, t.tables.Dir(), r.names()...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, theirs.stop()) }()
	if err := r.compare(theirs); err != nil {
		return nil, err
	}
	for range runs {
		if err := r.run(theirs); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// A table is what is looked up in, twice: the index of aliases alone, and the rules that it is a part of.
type table struct {
	arch    debian.Architecture
	tables  *match.Tables
	aliases *index.Index
	set     *rules.Set
}

// debianTable opens the tables of Debian's kernel for an architecture.
func debianTable(ctx context.Context, progress io.Writer, arch debian.Architecture) (t table, err error) {
	kernel, err := arch.LoadKernel(ctx, progress)
	if err != nil {
		return t, err
	}
	dir := filepath.Join(kernel.Root, "lib/modules", kernel.Version)
	data, err := os.ReadFile(filepath.Join(dir, "modules.alias.bin"))
	if err != nil {
		return t, err
	}
	t.arch = arch
	if t.aliases, err = index.New(data); err != nil {
		return t, err
	}
	if t.tables, err = match.Open(dir); err != nil {
		return t, err
	}
	t.set = rules.NewSet(t.tables, &modprobed.Config{})
	return t, nil
}

// modules are the modules that a name leads to by kmodd's rules.
func (t table) modules(name string) string {
	return strings.Join(t.set.Resolve(name).Modules, " ")
}

// compare returns an error if any name leads kmodd and libkmod to other modules, or to the same
// in another order.
func (t table) compare(names, theirs []string) error {
	var wrong []error
	for i, name := range names {
		if ours := t.modules(name); ours != theirs[i] {
			wrong = append(wrong, fmt.Errorf("%s: kmodd finds %q, libkmod %q", name, ours, theirs[i]))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d look-ups for %s differ from libkmod's, the first:\n%w",
			len(wrong), len(names), t.arch, errors.Join(wrong[:min(5, len(wrong))]...))
	}
	return nil
}

// A race is kmodd and libkmod looking the same groups of names up by turns.
type race struct {
	table
	families []family
	groups   []group   // the mix, then hits and misses of each family
	decide   []float64 // mean times of the mix with dependencies and reasons, in nanoseconds
	agreed   int       // results of the mix that are libkmod's
}

// A group is names that are looked up one after the other, and mean times for each in nanoseconds, run by run.
type group struct {
	names                     []string
	walk, allocations, theirs []float64
}

// race makes the names.
func (t table) race() (*race, error) {
	families, err := t.families()
	if err != nil {
		return nil, err
	}
	groups := []group{{names: mix(families)}}
	for _, f := range families {
		groups = append(groups, group{names: sample(f.hits)}, group{names: sample(f.misses)})
	}
	return &race{table: t, families: families, groups: groups}, nil
}

func (r *race) names() (all [][]string) {
	for _, g := range r.groups {
		all = append(all, g.names)
	}
	return all
}

// compare has libkmod look all names up. A result that is not its own is an error.
func (r *race) compare(theirs *libkmodRun) error {
	modules, err := theirs.modules()
	if err != nil {
		return err
	}
	for i, g := range r.groups {
		if err := r.table.compare(g.names, modules[i]); err != nil {
			return err
		}
	}
	r.agreed = len(modules[0])
	return nil
}

// run has kmodd look up all names, and then libkmod.
func (r *race) run(theirs *libkmodRun) error {
	var found []index.Value
	for i := range r.groups {
		g := &r.groups[i]
		ns, allocations := timed(g.names, func(name string) { found, _ = r.aliases.Search(found[:0], name) })
		g.walk, g.allocations = append(g.walk, ns), append(g.allocations, allocations)
	}
	ns, _ := timed(r.groups[0].names, func(name string) { r.set.Resolve(name) })
	r.decide = append(r.decide, ns)
	took, err := theirs.turn()
	if err != nil {
		return err
	}
	for i := range r.groups {
		g := &r.groups[i]
		g.theirs = append(g.theirs, float64(took[i])/float64(len(g.names)))
	}
	return nil
}

// rows are about the mix.
func (r *race) rows(times float64) []row {
	all := r.groups[0]
	aliases := 0
	for _, f := range r.families {
		aliases += len(f.hits)
	}
	return []row{
		{what: fmt.Sprintf("look up %d names, %s", len(all.names), r.arch), unit: inNanoseconds, ours: all.walk,
			whose: "libkmod", peer: all.theirs, times: times},
		{what: "  allocations", unit: inCount, ours: all.allocations, bound: atMost(0)},
		{what: "  with dependencies and reasons", unit: inNanoseconds, ours: r.decide, whose: "libkmod", peer: all.theirs},
		{what: fmt.Sprintf("  the same results, %d aliases", aliases), unit: inFull, ours: []float64{float64(r.agreed)}},
	}
}

// familyRows are about the families, one by one.
func (r *race) familyRows() (rows []familyRow) {
	for i, f := range r.families {
		rows = append(rows, familyRow{
			arch: string(r.arch), family: f.name, aliases: len(f.hits),
			hits: r.groups[1+2*i], misses: r.groups[2+2*i],
		})
	}
	return rows
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
