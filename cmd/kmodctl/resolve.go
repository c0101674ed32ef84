package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/control/decided"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/policy"
)

func newResolve(o *options) *cobra.Command {
	var s system
	cmd := &cobra.Command{
		Use:   "resolve MODALIAS...|-",
		Short: "Look up which modules a modalias needs, without a daemon",
		Long: `Looks up modaliases in the tables and the modprobe.d of this system, or of the
one below --root, and prints for each one line: the modalias, a tab, and the
modules that match in loading priority order, the first one first. Nothing
follows the tab if none matches. "-" reads modaliases from standard input, one a
line.

With --json each line is an object that also has the steps, which are what
modprobe -D prints, and the reasons.

The kernel command line counts (modprobe.blacklist=, MODULE.PARAMETER=) for the
running system, not below another root.`,
		Example: `  kmodctl resolve pci:v00008086d000015B8sv00001028sd000006B9bc02sc00i00
  find /sys/devices -name modalias -exec cat {} + | sort -u | kmodctl resolve -
  kmodctl resolve --root /mnt --json usb:v0781p5581d0100dc00dsc00dp00ic08isc06ip50in00`,
		Args: arguments(func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("a MODALIAS is needed, or - for standard input")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := resolve(cmd, s, args, o.json); err != nil {
				return fmt.Errorf("resolve: %w", err)
			}
			return nil
		},
	}
	s.flags(cmd)
	return cmd
}

func resolve(cmd *cobra.Command, s system, args []string, asJSON bool) error {
	set, err := s.open(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
	answer := textAnswer(set, out)
	if asJSON {
		answer = jsonAnswer(set, out)
	}
	for _, arg := range args {
		if arg == "-" {
			err = eachLine(cmd.InOrStdin(), answer)
		} else {
			err = answer(arg)
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// eachLine calls do for every line, however long, the last one too if it has
// no newline.
func eachLine(r io.Reader, do func(string) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF && line == "" {
			return nil
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("read modaliases: %w", err)
		}
		if err := do(strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
	}
}

func textAnswer(set *rules.Set, out *bufio.Writer) func(string) error {
	return func(modalias string) error {
		out.WriteString(modalias)
		out.WriteByte('\t')
		for i, module := range set.Resolve(modalias).Modules {
			if i > 0 {
				out.WriteByte(' ')
			}
			out.WriteString(module)
		}
		return out.WriteByte('\n')
	}
}

// A resolution is what is decided about a modalias, as JSON has it.
type resolution struct {
	Modalias string            `json:"modalias"`
	Modules  []string          `json:"modules"`
	Steps    []step            `json:"steps"`
	Refused  []control.Refusal `json:"refused"`
	Reasons  []control.Reason  `json:"reasons"`
	Lost     []control.Reason  `json:"lost,omitempty"`
	Denied   bool              `json:"denied,omitempty"`
	Prefer   []string          `json:"prefer,omitempty"`
}

// step is rules.Step with names for JSON.
type step struct {
	Module    string         `json:"module"`
	File      string         `json:"file"`
	Options   string         `json:"options,omitempty"`
	Install   string         `json:"install,omitempty"`
	InstallBy *rules.Reason  `json:"-"` // among the reasons
	Soft      bool           `json:"soft,omitempty"`
	Asked     bool           `json:"-"` // what the modalias leads to is in Modules
	Builtin   bool           `json:"-"` // not asked for
	Stage     policy.Stage   `json:"stage,omitempty"`
	Until     policy.Trigger `json:"until,omitempty"` // what it waits for if it is deferred
	Async     policy.Probing `json:"async,omitempty"`
	Needs     []string       `json:"needs,omitempty"`
	After     []string       `json:"after,omitempty"`
}

func jsonAnswer(set *rules.Set, out io.Writer) func(string) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return func(modalias string) error {
		d := set.Resolve(modalias)
		r := resolution{
			Modalias: modalias,
			Modules:  append([]string{}, d.Modules...),
			Steps:    make([]step, len(d.Steps)),
			Refused:  decided.Refusals(d.Refused),
			Reasons:  decided.Reasons(d.Reasons),
			Lost:     decided.Reasons(d.Lost),
			Denied:   d.Denied,
			Prefer:   d.Preferred(),
		}
		for i, s := range d.Steps {
			r.Steps[i] = step(s)
		}
		return enc.Encode(r)
	}
}
