package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/cmd/kmodctl/boot"
	"github.com/kmodd/kmodd/cmd/kmodctl/words"
	"github.com/kmodd/kmodd/daemon/control"
)

// A bootCommand is the command boot with its flags.
type bootCommand struct {
	*options
	all, compare bool
	drawing      string // the file to draw into, "" for none
}

func newBoot(o *options) *cobra.Command {
	c := &bootCommand{options: o}
	cmd := &cobra.Command{
		Use:   "boot [--all] [--svg FILE] [REPORT] | boot --compare A B",
		Short: "Show what was loaded while the machine started, and what that waited for",
		Long: `Shows what kmodd has loaded while the machine started: when which part of it was
over, what the last critical device had to wait for, and the loads that took
longest. The boot goes on until nothing has begun for ten seconds; what is deferred
until later is a part of it whenever that is.

  WAITED  from when a module was wanted until its turn came
  READ    until the kernel was asked: a worker had looked into the file, or unpacked it
  INIT    until the module was live, or refused. Its driver probes its devices in it, but
  PROBE   until the last of them was bound, where that came after it

With --json it is a report that can be kept. REPORT is such a file, of this machine
or another one, and takes no daemon. --compare says what is slower and faster in the
second of two. --svg draws the report: what hovers over each bar tells its story.`,
		Example: `  kmodctl boot
  kmodctl boot --svg boot.svg
  kmodctl boot --json > before.json
  kmodctl boot --compare before.json after.json`,
		Args: arguments(func(_ *cobra.Command, args []string) error {
			switch {
			case c.compare && len(args) != 2:
				return fmt.Errorf("--compare needs two reports, not %d", len(args))
			case c.compare && c.drawing != "":
				return errors.New("--svg draws one boot")
			case !c.compare && len(args) > 1:
				return fmt.Errorf("one report is shown, not %d", len(args))
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.run(cmd, args); err != nil {
				return fmt.Errorf("boot: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&c.all, "all", false, "list all loads and differences, not the largest ones only")
	cmd.Flags().StringVar(&c.drawing, "svg", "", "draw the report into this `file`, or to standard output for -")
	cmd.Flags().BoolVar(&c.compare, "compare", false, "say what differs between two reports")
	return cmd
}

func (c *bootCommand) run(cmd *cobra.Command, args []string) error {
	out := cmd.OutOrStdout()
	if c.compare {
		return c.runCompare(out, args[0], args[1])
	}
	raw, err := c.read(cmd.Context(), args)
	if err != nil {
		return err
	}
	r, err := boot.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("read the report: %w", err)
	case c.drawing != "":
		return c.draw(out, r)
	case c.json:
		return printJSON(out, raw)
	}
	n := quietNames()
	defer n.close()
	return (&bootText{facts{out}, r, n.of}).print(c.all)
}

// read reads the report of the daemon, or one that was kept.
func (c *bootCommand) read(ctx context.Context, args []string) (raw json.RawMessage, err error) {
	if len(args) == 1 {
		return readReport(args[0])
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, err := control.Dial(ctx, c.socket)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return raw, client.Call(ctx, control.MethodBoot, nil, &raw)
}

// longestReport is how long a file may be. Four thousand loads take less.
const longestReport = 16 << 20

func readReport(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longestReport+1))
	if err == nil && len(text) > longestReport {
		err = fmt.Errorf("%s: it is longer than any report", file)
	}
	return text, err
}

func (c *bootCommand) runCompare(out io.Writer, files ...string) error {
	reports := make([]*boot.Report, len(files))
	for i, file := range files {
		text, err := readReport(file)
		if err == nil {
			reports[i], err = boot.Parse(text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	compared := boot.Compare(reports[0], reports[1])
	if c.json {
		raw, err := json.Marshal(compared)
		if err != nil {
			return err
		}
		return printJSON(out, raw)
	}
	return printComparison(out, compared, c.all)
}

// draw writes a drawing. A file is whole, or it is not there.
func (c *bootCommand) draw(out io.Writer, r *boot.Report) error {
	n := quietNames()
	defer n.close()
	if c.drawing == "-" {
		return r.Draw(out, n.of)
	}
	f, err := os.Create(c.drawing)
	if err != nil {
		return err
	}
	if err := errors.Join(r.Draw(f, n.of), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", c.drawing, err), os.Remove(c.drawing))
	}
	return nil
}

// quietNames are those of devices. Without the files of names it goes without saying.
func quietNames() *names {
	n := &names{warnings: io.Discard}
	_ = n.open() // no file is named
	return n
}

// of is the name of a device by its modalias, "" if it has none.
func (n *names) of(modalias string) string {
	d, err := words.Of(modalias, n)
	if err != nil {
		return ""
	}
	return d.Name
}

// A bootText is a report on its way to a reader.
type bootText struct {
	facts
	*boot.Report
	name func(modalias string) string
}

// few loads, and differences, are listed if not all are asked for.
const fewLoads = 15

func (t *bootText) print(all bool) error {
	t.head()
	t.chain()
	return t.slowest(all)
}

func (t *bootText) head() {
	fmt.Fprintf(t.w, "What was loaded while the machine started, by %s\n", t.Machine())
	s := t.Stages()
	if t.Again() {
		t.say("earlier", "another kmodd began at %s, and this is no report of what that one did; loads that it has left word of are marked", boot.Seconds(t.First))
	}
	t.say("kmodd", "began %s after the kernel; %s", boot.Seconds(t.Started), t.beginning())
	t.say("loads", "%s", t.tally())
	t.when("critical", s.Critical, "what is critical was there, with its devices")
	t.when("normal", s.Loaded, "all was loaded that did not wait for later")
	t.when("bound", s.Bound, "the last device of these was bound")
	t.when("boot end", t.Complete, "somebody said that the boot had ended")
	t.when("deferred", s.Deferred, "what waited for later was there")
	if t.Settled == 0 {
		t.say("state", "modules are still on their way in")
	}
}

// beginning says how long kmodd took until it could load anything.
func (t *bootText) beginning() string {
	switch {
	case t.Scan == 0:
		return "its tables are being read"
	case t.Scanned == 0:
		return "tables were read in " + boot.Span(t.Scan-t.Started) + ", sysfs is being scanned"
	}
	return "tables were read in " + boot.Span(t.Scan-t.Started) + ", sysfs was scanned in " + boot.Span(t.Scanned-t.Scan)
}

// when says when a part of the boot was over, and how long after kmodd's beginning.
func (t *bootText) when(part string, at time.Duration, says string) {
	if at != 0 {
		t.say(part, "%10s  %s: %s after kmodd began", boot.Seconds(at), says, boot.Span(at-t.Started))
	}
}

// tally counts the loads.
func (t *bootText) tally() string {
	stages, ends := make(map[control.Stage]int), 0
	var parts []string
	for _, l := range t.Loads {
		switch {
		case l.Earlier:
			stages["by the kmodd before this one"]++
		case l.Live != 0:
			stages[l.Stage]++
		default:
			ends++
		}
	}
	parts = append(parts, tally(stages, nil))
	if ends > 0 {
		parts = append(parts, fmt.Sprintf("%d that did not go in", ends))
	}
	return strings.Join(parts, "; ")
}

// chain prints what the last critical device waited for.
func (t *bootText) chain() {
	links := t.Chain()
	if len(links) == 0 {
		return
	}
	fmt.Fprintf(t.w, "\nWhat had to come one after the other until %s\n", t.goal(links[len(links)-1]))
	for _, l := range links {
		says := l.Says()
		if l.Kind == boot.Coming {
			says += ": " + l.Parts()
		}
		fmt.Fprintf(t.w, "  %12s  %+9s  %s\n", boot.Seconds(l.At), "+"+boot.Span(l.Took), says)
	}
}

// goal says what a chain leads to.
func (t *bootText) goal(last boot.Link) string {
	switch {
	case last.Kind == boot.Probing:
		return last.Says()
	case last.Load != nil && slices.ContainsFunc(last.Load.Devices, func(d *boot.Device) bool { return d.Bound == last.At }):
		return last.Load.Name + " had its last device"
	}
	return last.Load.Name + " was live"
}

// slowest prints the loads that took longest.
func (t *bootText) slowest(all bool) error {
	loads := slices.DeleteFunc(slices.Clone(t.Loads), func(l *boot.Load) bool { return l.Began == 0 && !all })
	slices.SortStableFunc(loads, func(a, b *boot.Load) int { return cmp.Compare(b.Took(), a.Took()) })
	title := "All loads, the longest first"
	if !all && len(loads) > fewLoads {
		title = fmt.Sprintf("The %d longest of %d loads (all of them with --all)", fewLoads, len(loads))
		loads = loads[:fewLoads]
	}
	if len(loads) == 0 {
		_, err := fmt.Fprintln(t.w, "\nIt has loaded nothing.")
		return err
	}
	fmt.Fprintf(t.w, "\n%s\n", title)
	rows := make([][]string, len(loads))
	for i, l := range loads {
		rows[i] = []string{l.Name, t.part(l), spanOr(l.Took()), spanOr(l.Waited()), spanOr(l.Reading()), spanOr(l.Init()), spanOr(l.Probe()), t.askedBy(l)}
	}
	return table(t.w, "MODULE STAGE TOOK WAITED READ INIT PROBE FOR", rows)
}

// part is a load's part of the boot.
func (t *bootText) part(l *boot.Load) string {
	if l.Earlier {
		return "earlier"
	}
	return string(l.Stage)
}

// spanOr is a length of time, and empty for none.
func spanOr(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return boot.Span(d)
}

// askedBy says what a load was for, and what became of one that did not go in.
func (t *bootText) askedBy(l *boot.Load) string {
	says := t.AskedBy(l)
	if d := t.Device(l); d != nil {
		if name := t.name(d.Modalias); name != "" {
			says += " (" + name + ")"
		}
	}
	switch {
	case l.Error != "":
		says += ": " + l.Error
	case l.Live == 0 && l.Returned == 0:
		says += ": not there yet"
	}
	return says
}

// printComparison prints what differs between two boots.
func printComparison(w io.Writer, c boot.Comparison, all bool) error {
	var rows [][]string
	for _, total := range c.Totals {
		row := []string{total.What, spanOr(total.A), spanOr(total.B), ""}
		if total.Sum || total.A != 0 && total.B != 0 {
			row[3] = by(total.A, total.B)
		}
		rows = append(rows, row)
	}
	if err := table(w, "WHOLE A B DIFFERENCE", rows); err != nil {
		return err
	}
	title, modules := "Modules, the largest difference first", c.Modules
	if !all && len(modules) > fewLoads {
		title = fmt.Sprintf("The %d largest differences of %d modules (all of them with --all)", fewLoads, len(modules))
		modules = modules[:fewLoads]
	}
	fmt.Fprintf(w, "\n%s\n", title)
	rows = nil
	for _, d := range modules {
		rows = append(rows, []string{d.Name, spanOr(d.A), spanOr(d.B), by(d.A, d.B), d.Most})
	}
	if err := table(w, "MODULE A B DIFFERENCE IN", rows); err != nil {
		return err
	}
	for _, only := range []struct {
		which string
		names []string
	}{{"A", c.OnlyA}, {"B", c.OnlyB}} {
		if len(only.names) > 0 {
			fmt.Fprintf(w, "\nOnly in %s: %s\n", only.which, strings.Join(only.names, ", "))
		}
	}
	return nil
}

// by is how much longer the second of two took, and what share of the first that is.
func by(a, b time.Duration) string {
	sign := "+"
	if a > b {
		sign = "-"
	}
	switch says := sign + boot.Span((b - a).Abs()); {
	case a == b:
		return ""
	case a == 0:
		return says
	default:
		return fmt.Sprintf("%s (%+.0f%%)", says, 100*float64(b-a)/float64(a))
	}
}
