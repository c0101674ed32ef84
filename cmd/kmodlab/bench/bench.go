package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

// Options say how much is measured, and how it is printed.
type Options struct {
	Runs     int    // of everything but boots and sleeps, 0 for none
	Boots    int    // of a busy PC for each of the two loaders, 0 for none
	Sleeps   int    // of each driver that sleeps, 0 for none
	Only     string // the part that is measured, "" for all
	Markdown bool
}

// Run measures everything and prints the table to out; progress says what takes time. It must be called
// inside the project. A figure that misses its bound is no error.
func Run(ctx context.Context, out, progress io.Writer, o Options) error {
	r := report{about: about(o)}
	parts := []struct {
		name    string
		measure func() ([]row, error)
	}{
		{"uevents", func() ([]row, error) { return parsing(ctx, o.Runs) }},
		{"a flood of uevents", func() ([]row, error) { return injecting(ctx, o.Runs) }},
		{"look-ups", func() (rows []row, err error) {
			rows, r.families, err = lookingUp(ctx, progress, o.Runs)
			return rows, err
		}},
		{"tools", func() ([]row, error) { return tools(ctx, progress, o.Runs) }},
		{"the size", func() ([]row, error) { return size(ctx) }},
		{"the busy PC", func() ([]row, error) { return coldplugs(ctx, progress, o.Boots) }},
		{"sleep", func() ([]row, error) { return sleeping(ctx, progress, o.Sleeps) }},
	}
	if o.Runs == 0 {
		parts = parts[len(parts)-2:]
	}
	for _, p := range parts {
		if o.Only != "" && o.Only != p.name {
			continue
		}
		fmt.Fprintf(progress, "measuring %s\n", p.name)
		rows, err := p.measure()
		if err != nil {
			return fmt.Errorf("measure %s: %w", p.name, err)
		}
		r.rows = append(r.rows, rows...)
	}
	if o.Markdown {
		return r.writeMarkdown(out)
	}
	return r.writeText(out)
}

// about says where and when it was measured.
func about(o Options) [][2]string {
	return [][2]string{
		{"date", time.Now().UTC().Format(time.DateOnly)},
		{"machine", fmt.Sprintf("%s, %d processors", processor(), runtime.NumCPU())},
		{"kernel", release()},
		{"go", runtime.Version()},
		{"figures", fmt.Sprintf("medians of %d runs; of the busy PC, of %d boots each in QEMU (tcg)", o.Runs, o.Boots)},
	}
}

// processor is the kernel's name of the first processor.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, name, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(name)
		}
	}
	return runtime.GOARCH
}

func release() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err.Error()
	}
	return unix.ByteSliceToString(name.Release[:])
}

// coldplugs boots busy PCs, with kmodd and systemd-udevd by turns.
func coldplugs(ctx context.Context, progress io.Writer, boots int) ([]row, error) {
	if boots == 0 {
		return nil, nil
	}
	build, err := lab.Prepare(ctx, progress, lab.Programs...)
	if err != nil {
		return nil, err
	}
	var ours, theirs []coldplug
	for i := range boots {
		for _, of := range []struct {
			loader
			all *[]coldplug
		}{{kmodd, &ours}, {udevd, &theirs}} {
			fmt.Fprintf(progress, "  boot %d of %d, %s\n", i+1, boots, of.name)
			c, err := coldplugOf(ctx, build, contender{loader: of.loader})
			if err != nil {
				return nil, err
			}
			*of.all = append(*of.all, c)
		}
	}
	return rowsOf(ours, theirs), nil
}

func rowsOf(ours, theirs []coldplug) []row {
	r := func(what string, unit unit, bound *float64, figure func(coldplug) float64) row {
		return row{what: what, unit: unit, ours: each(ours, figure), whose: udevd.name, peer: each(theirs, figure), bound: bound}
	}
	return []row{
		r("busy PC, at rest: RSS", inBytes, atMost(4.8e6), func(c coldplug) float64 { return float64(c.memory.rss) }),
		r("  anonymous memory", inBytes, atMost(1.8e6), func(c coldplug) float64 { return float64(c.memory.anonymous) }),
		r("  huge pages", inBytes, atMost(0), func(c coldplug) float64 { return float64(c.memory.huge) }),
		r("  threads", inCount, nil, func(c coldplug) float64 { return float64(c.threads) }),
		r("  modules in the kernel", inCount, nil, func(c coldplug) float64 { return float64(len(c.modules)) }),
		r("  start to last load, emulated", inSeconds, nil, func(c coldplug) float64 { return c.loaded.Seconds() }),
		r("  to the last device with its driver", inSeconds, nil, func(c coldplug) float64 { return c.bound.Seconds() }).least(1),
		r("  to disks, network and keyboards", inSeconds, nil, func(c coldplug) float64 { return c.first.Seconds() }).least(1 / 0.35),
	}
}

func each(all []coldplug, figure func(coldplug) float64) []float64 {
	figures := make([]float64, len(all))
	for i, c := range all {
		figures[i] = figure(c)
	}
	return figures
}
