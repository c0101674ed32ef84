package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/saidby"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kmsg"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/modalias"
)

func newDmesg(o *options) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "dmesg [MODULE]",
		Short: "Show the kernel's log by module, without a daemon",
		Long: `Shows the lines of the kernel's log that are a module's: those that begin with
its name or with that of a driver of it, those in which a bus tells of its driver,
and those of an oops that has it in brackets. A line that the daemon has tied to a load
of the module is shown, too, if a daemon runs: the kernel's complaints about a file
don't always name it.

Without a MODULE all lines are shown, each after the name of its module if that is
known. Times are those that dmesg prints.`,
		Example: `  kmodctl dmesg e1000e
  kmodctl dmesg --follow
  kmodctl dmesg --json usb_storage`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			r := newReader(cmd.OutOrStdout(), o.json)
			if len(args) == 1 {
				r.only(modalias.ModuleName(filepath.Base(args[0])))
				r.tied = tiedLines(ctx, o.socket, r.subject)
			}
			return r.read(ctx, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written, until Ctrl-C")
	return cmd
}

// A logLine is a line of the kernel's log, as JSON has it.
type logLine struct {
	Time   time.Duration `json:"time_ns"`
	Seq    uint64        `json:"seq"`
	Level  int           `json:"level"` // as in syslog(3)
	Module string        `json:"module,omitempty"`
	Device string        `json:"device,omitempty"` // as in /dev/kmsg
	Text   string        `json:"text"`
}

// A logReader shows the kernel's log.
type logReader struct {
	out     io.Writer
	json    bool
	subject string // the module that it is about, "" for all
	tied    []string
	whose   saidby.Register
	failed  error // of out
	shown   int
}

func newReader(out io.Writer, asJSON bool) *logReader {
	return &logReader{out: out, json: asJSON, whose: saidby.Register{Sys: here.sys, Installed: installedHere()}}
}

// installedHere says which modules the running kernel's tables have, nil if there are none.
func installedHere() func(string) bool {
	dir, err := system{root: here.root}.moduleDir()
	if err != nil {
		return nil
	}
	tables, err := match.Open(dir)
	if err != nil {
		return nil
	}
	return func(module string) bool { _, ok := tables.Module(module); return ok }
}

// only has it show one module, installed or not.
func (r *logReader) only(module string) {
	installed := r.whose.Installed
	r.subject = module
	r.whose.Installed = func(name string) bool { return name == module || installed != nil && installed(name) }
}

// tiedLines are those that a daemon has tied to loads of a module, nil without a daemon.
func tiedLines(ctx context.Context, socket, module string) []string {
	s, err := storyOf(ctx, socket, module)
	if err != nil {
		return nil
	}
	var lines []string
	for _, m := range s.Modules {
		if m.Name == module {
			lines = append(lines, m.Log...)
		}
	}
	return lines
}

func (r *logReader) read(ctx context.Context, follow bool) (err error) {
	if follow {
		err = kmsg.Follow(ctx, kernelLog, r.show)
	} else {
		err = kmsg.All(kernelLog, r.show)
	}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("dmesg: %w; kernel.dmesg_restrict is 1, so run it as root", err)
	case err != nil:
		return fmt.Errorf("dmesg: %w", err)
	case r.subject != "" && r.shown == 0 && !follow && !r.isModule(r.subject):
		return fmt.Errorf("dmesg: no line is of %s, and no module is called that; lsmod lists those that are in", r.subject)
	}
	return r.failed
}

// isModule says whether a name is that of a module that is in, or installed.
func (r *logReader) isModule(name string) bool {
	k := kernel.System{Sys: here.sys, Proc: here.proc}
	installed := installedHere()
	return k.State(name) != kernel.Absent || installed != nil && installed(name)
}

// show shows a record if it is one of those that are asked for.
func (r *logReader) show(record kmsg.Record) {
	module := r.whose.Module(record)
	if r.subject != "" && module != r.subject {
		if !r.isTied(string(record.Text)) {
			return
		}
		module = r.subject
	}
	r.shown++
	line := logLine{record.Time, record.Seq, record.Level, module, string(record.Device), unescaped(record.Text)}
	if err := r.print(line); r.failed == nil {
		r.failed = err
	}
}

// isTied says whether a line is one of the daemon's, which cuts long ones short.
func (r *logReader) isTied(text string) bool {
	return slices.ContainsFunc(r.tied, func(tied string) bool {
		short, cut := strings.CutSuffix(tied, "...")
		return text == tied || cut && strings.HasPrefix(text, short)
	})
}

func (r *logReader) print(l logLine) (err error) {
	switch {
	case r.json:
		enc := json.NewEncoder(r.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(l)
	case r.subject != "":
		_, err = fmt.Fprintf(r.out, "[%12.6f] %s\n", l.Time.Seconds(), l.Text)
	default:
		_, err = fmt.Fprintf(r.out, "[%12.6f] %-16s %s\n", l.Time.Seconds(), l.Module, l.Text)
	}
	return err
}

// unescaped is a text of the log as it was written: /dev/kmsg has \xHH for what is not
// printable ASCII. What ends a line stays as it is.
func unescaped(text []byte) string {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) && text[i+1] == 'x' {
			if n, err := strconv.ParseUint(string(text[i+2:i+4]), 16, 8); err == nil && n != '\n' {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}
