package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
)

// table prints rows in columns under a heading, with a dash for an empty cell.
func table(w io.Writer, heading string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ReplaceAll(heading, " ", "\t"))
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				row[i] = "-"
			}
		}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// facts prints lines of a label and what it says, below a title.
type facts struct{ w io.Writer }

func (f facts) say(label, format string, args ...any) {
	fmt.Fprintf(f.w, "  %-9s %s\n", label, fmt.Sprintf(format, args...))
}

// moment is a time since the kernel's start as dmesg prints it, empty for none.
func moment(t time.Duration) string {
	if t == 0 {
		return ""
	}
	return fmt.Sprintf("%.6f", t.Seconds())
}

// bracketed is a time as dmesg prints it, and as much room for none.
func bracketed(t time.Duration) string {
	if t == 0 {
		return fmt.Sprintf("%14s", "")
	}
	return fmt.Sprintf("[%12s]", moment(t))
}

// span is a length of time in the unit in which it is read at a glance.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// quoted is a reason with its place.
func quoted(r control.Reason) string { return rules.Reason(r).String() }
