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

func inSeconds(n float64) string { return fmt.Sprintf("%.1f s", n) }

// A row is one line of the table: a figure of kmodd's, measured several times.
type row struct {
	what  string
	unit  unit
	ours  []float64
	whose string    // the peer's name, "" for none
	peer  []float64 // its figures
	bound *float64  // what kmodd's median must not exceed, nil if it is only to be looked at
}

// atMost is a bound.
func atMost(n float64) *float64 { return &n }

// cells are the texts of a row, in the order of the headings.
func (r row) cells() []string {
	ours := median(r.ours)
	cells := []string{r.what, r.unit(ours), "", "", "", ""}
	if r.whose != "" {
		peer := median(r.peer)
		cells[2] = r.whose + " " + r.unit(peer)
		if ours != 0 {
			cells[3] = fmt.Sprintf("%.2g", peer/ours)
		}
	}
	if r.bound != nil {
		cells[4] = "<= " + r.unit(*r.bound)
		cells[5] = map[bool]string{true: "yes", false: "NO"}[ours <= *r.bound]
	}
	return cells
}

var headings = []string{"WHAT", "KMODD", "PEER", "PEER/KMODD", "BOUND", "REACHED"}

// A report is everything that is printed.
type report struct {
	about [][2]string // where and when it was measured
	rows  []row
}

// writeText prints the report for a terminal.
func (r report) writeText(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, line := range r.about {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	fmt.Fprintln(w)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, strings.Join(headings, "\t"))
	for _, row := range r.rows {
		fmt.Fprintln(w, strings.Join(row.cells(), "\t"))
	}
	return w.Flush()
}

// writeMarkdown prints the report for documentation.
func (r report) writeMarkdown(to io.Writer) error {
	var b strings.Builder
	for _, line := range r.about {
		fmt.Fprintf(&b, "- %s: %s\n", line[0], line[1])
	}
	b.WriteByte('\n')
	lines := [][]string{headings, slices.Repeat([]string{"---"}, len(headings))}
	for _, row := range r.rows {
		lines = append(lines, row.cells())
	}
	for _, cells := range lines {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
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
