package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/cmd/kmodctl/words"
)

func newDescribe(o *options) *cobra.Command {
	n := new(names)
	cmd := &cobra.Command{
		Use:   "describe MODALIAS...|-",
		Short: "Say in words what a modalias is about",
		Long: `Says what a device is by its modalias, or what devices an entry of
modules.alias is for: its bus, and what each number means. "-" reads modaliases
from standard input, one a line.

The names of vendors and devices come from pci.ids and usb.ids, which
distributions install (Debian's packages pci.ids and usb.ids, hwdata elsewhere).
Without them numbers are printed. Nothing is fetched.`,
		Example: `  kmodctl describe pci:v00008086d000015B8sv00001028sd000006B9bc02sc00i00
  kmodctl describe 'usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*'
  cat /sys/bus/usb/devices/*/modalias | kmodctl describe -`,
		Args: arguments(func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("a MODALIAS is needed, or - for standard input")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.warnings = cmd.ErrOrStderr()
			defer n.close()
			if err := describe(cmd, n, args, o.json); err != nil {
				return fmt.Errorf("describe: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&n.pciFile, "pci-ids", "", "read the names of PCI devices from this `file`")
	cmd.Flags().StringVar(&n.usbFile, "usb-ids", "", "read the names of USB devices from this `file`")
	return cmd
}

// describe describes all that can be described. What can't is said on standard
// error; the last of these errors is returned.
func describe(cmd *cobra.Command, n *names, args []string, asJSON bool) error {
	if err := n.open(); err != nil {
		return err
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
	write := textDescription(out)
	if asJSON {
		write = jsonDescription(out)
	}
	var failed error
	each := func(modalias string) error {
		d, err := words.Of(modalias, n)
		if err != nil {
			if failed != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "kmodctl: describe:", oneLine(failed.Error()))
			}
			failed = err
			return nil
		}
		return write(d)
	}
	for _, arg := range args {
		err := error(nil)
		if arg == "-" {
			err = eachLine(cmd.InOrStdin(), each)
		} else {
			err = each(arg)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(out.Flush(), failed)
}

func jsonDescription(out io.Writer) func(words.Description) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return func(d words.Description) error { return enc.Encode(d) }
}

// textDescription prints a paragraph for each modalias: what it is, the fields
// that say something, and in one line those that may be anything.
func textDescription(out io.Writer) func(words.Description) error {
	return func(d words.Description) error {
		fmt.Fprintf(out, "%s\n  %s\n", d.Modalias, headline(d))
		var rows [][3]string
		var open []string
		for _, f := range d.Fields {
			switch {
			case f.Any:
				open = append(open, f.Name)
			case f.Value != "" || f.Says != "":
				rows = append(rows, [3]string{f.Name, shortened(f), f.Says})
			}
		}
		printFields(out, rows)
		if len(open) > 0 {
			fmt.Fprintln(out, "    any", strings.Join(open, ", any "))
		}
		return nil
	}
}

// printFields prints rows of a name, a value and its words in columns.
func printFields(out io.Writer, rows [][3]string) {
	var name, value int
	for _, r := range rows {
		name = max(name, utf8.RuneCountInString(r[0]))
		if r[2] != "" {
			value = max(value, utf8.RuneCountInString(r[1]))
		}
	}
	for _, r := range rows {
		line := fmt.Sprintf("    %-*s  %-*s  %s", name, r[0], value, r[1], r[2])
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
}

func headline(d words.Description) string {
	is := d.Is
	if _, rest, ok := strings.Cut(is, " "); ok && d.Pattern {
		is = "any " + rest // instead of "a" or "the"
	}
	if d.Name == "" {
		return is
	}
	return is + ": " + d.Name
}

// shortened is a field's value as a person looks it up: without the zeros before
// a number of 16 bits. Of a long list in front of its words it is the beginning.
// JSON has all of it.
func shortened(f words.Field) string {
	const most = 24
	value := f.Value
	if len(value) == 8 && strings.HasPrefix(value, "0000") {
		value = value[4:]
	}
	if f.Says != "" && len(value) > most && strings.Count(value, ",") > 2 {
		return value[:most-len("...")] + "..."
	}
	return value
}
