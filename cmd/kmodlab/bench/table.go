package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// A unit prints a figure.
type unit func(float64) string

func inNanoseconds(n float64) string {
	if n >= 10_000 {
		return fmt.Sprintf("%.1f µs", n/1000)
	}
	return fmt.Sprintf("%.0f ns", n)
}

// inBytes uses kilobytes and megabytes of a thousand and a million.
func inBytes(n float64) string {
	if n < 1_000_000 {
		return fmt.Sprintf("%.3g kB", n/1000)
	}
	return fmt.Sprintf("%.2f MB", n/1_000_000)
}

// inMiB is for files, which are measured in powers of two.
func inMiB(n float64) string { return fmt.Sprintf("%.3g MiB", n/(1<<20)) }

func inCount(n float64) string { return fmt.Sprintf("%.3g", n) }

// inFull is for figures of which each digit counts.
func inFull(n float64) string { return fmt.Sprintf("%.0f", n) }

func inSeconds(n float64) string { return fmt.Sprintf("%.1f s", n) }

// A row is one line of the table: a figure of kmodd's, measured several times.
type row struct {
	what  string
	unit  unit
	ours  []float64
	whose string    // the peer's name, "" for none
	peer  []float64 // its figures
	bound *float64  // what kmodd's median must not exceed, nil if there is no such bound
	times float64   // how many times kmodd's median the peer's must be at least, 0 if there is no such bound
}

// atMost is a bound.
func atMost(n float64) *float64 { return &n }

// least adds how many times our median the peer's must be at least.
func (r row) least(times float64) row {
	r.times = times
	return r
}

// cells are the texts of a row, in the order of the headings.
func (r row) cells() []string {
	ours := median(r.ours)
	cells := []string{r.what, r.unit(ours), "", "", "", ""}
	if r.whose != "" {
		peer := median(r.peer)
		cells[2] = r.whose + " " + r.unit(peer)
		if ours != 0 {
			cells[3] = ratio(peer, ours)
		}
	}
	switch {
	case r.bound != nil:
		cells[4], cells[5] = "<= "+r.unit(*r.bound), reached(ours <= *r.bound)
	case r.times > 0:
		cells[4], cells[5] = fmt.Sprintf(">= %.3g times", r.times), reached(median(r.peer) >= r.times*ours)
	}
	return cells
}

// ratio is how many times as much a figure is as another.
func ratio(of, to float64) string {
	if of < 10*to {
		return fmt.Sprintf("%.2g", of/to)
	}
	return fmt.Sprintf("%.0f", of/to)
}

func reached(yes bool) string {
	if yes {
		return "yes"
	}
	return "NO"
}

var headings = []string{"WHAT", "KMODD", "PEER", "PEER/KMODD", "BOUND", "REACHED"}

// A familyRow is one line of the table of look-ups: a family of aliases, names that are found and names that
// are not.
type familyRow struct {
	arch, family string
	aliases      int
	hits, misses group
}

var familyHeadings = []string{
	"TABLE", "FAMILY", "ALIASES", "HIT", "LIBKMOD", "LIBKMOD/KMODD", "MISS", "LIBKMOD", "LIBKMOD/KMODD", "ALLOCATIONS",
}

func (f familyRow) cells() []string {
	cells := []string{f.arch, f.family, fmt.Sprint(f.aliases)}
	cells = append(cells, f.hits.cells()...)
	cells = append(cells, f.misses.cells()...)
	return append(cells, inCount(max(f.hits.allocates(), f.misses.allocates())))
}

// cells are the time of kmodd, that of libkmod, and how many times as long that is. A group may be empty: some
// aliases match every name of their bus.
func (g group) cells() []string {
	if len(g.names) == 0 {
		return []string{"", "", ""}
	}
	ours, theirs := median(g.walk), median(g.theirs)
	return []string{inNanoseconds(ours), inNanoseconds(theirs), ratio(theirs, ours)}
}

func (g group) allocates() float64 {
	if len(g.names) == 0 {
		return 0
	}
	return median(g.allocations)
}

// A report is everything that is printed.
type report struct {
	about    [][2]string // where and when it was measured
	rows     []row
	families []familyRow
}

// grids are the tables, each with its headings first.
func (r report) grids() [][][]string {
	figures, families := [][]string{headings}, [][]string{familyHeadings}
	for _, row := range r.rows {
		figures = append(figures, row.cells())
	}
	for _, row := range r.families {
		families = append(families, row.cells())
	}
	return [][][]string{figures, families}
}

// writeText prints the report for a terminal.
func (r report) writeText(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, line := range r.about {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	for _, grid := range r.grids() {
		fmt.Fprintln(w)
		if err := w.Flush(); err != nil { // columns are as wide as their own table needs
			return err
		}
		for _, cells := range grid {
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
	}
	return w.Flush()
}

// writeMarkdown prints the report for documentation.
func (r report) writeMarkdown(to io.Writer) error {
	var b strings.Builder
	for _, line := range r.about {
		fmt.Fprintf(&b, "- %s: %s\n", line[0], line[1])
	}
	for _, grid := range r.grids() {
		b.WriteByte('\n')
		for i, cells := range grid {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
			if i == 0 {
				fmt.Fprintf(&b, "|%s\n", strings.Repeat(" --- |", len(cells)))
			}
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// median is the middle one of some figures, or the mean of the middle two.
func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
