package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
)

func newMonitor(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "monitor",
		Short: "Show events and decisions as they happen",
		Long: `Shows what the daemon hears and decides, from now on and until it is
interrupted. Each line begins with the seconds since the kernel's start and a
word for what happened. With --json every line is one object, the first of which
says that it listens.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return monitor(cmd, o) },
	}
}

func monitor(cmd *cobra.Command, o *options) error {
	c, err := control.Dial(cmd.Context(), o.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.json {
		return each(cmd, c, func(raw json.RawMessage) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", raw)
			return err
		})
	}
	return each(cmd, c, func(n control.Note) error {
		if n.What == control.Listening {
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "listening to kmodd on %s; end with Ctrl-C\n", o.socket)
			return err
		}
		return printNote(cmd.OutOrStdout(), n)
	})
}

func each[T any](cmd *cobra.Command, c *control.Client, do func(T) error) error {
	for note, err := range control.Stream[T](cmd.Context(), c, control.MethodMonitor, nil) {
		if err != nil {
			return fmt.Errorf("monitor: %w", err)
		}
		if err := do(note); err != nil {
			return err
		}
	}
	return nil
}

// printNote prints a note on one line, for grep.
func printNote(w io.Writer, n control.Note) error {
	var b strings.Builder
	if n.Missed > 0 {
		fmt.Fprintf(&b, "%s %s missed here: they came faster than they were read\n", bracketed(0), plural(n.Missed, "note"))
	}
	fmt.Fprintf(&b, "%s %-8s", bracketed(n.At), n.What)
	for _, subject := range []string{n.Module, n.Device} {
		if subject != "" {
			b.WriteString(" " + subject)
		}
	}
	for i, r := range n.Reasons {
		b.WriteString([]string{": ", "; "}[min(i, 1)] + quoted(r))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
