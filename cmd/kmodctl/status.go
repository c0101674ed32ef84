package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
)

func newStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the daemon in one page",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, o, control.MethodStatus, nil, printStatus)
		},
	}
}

func printStatus(w io.Writer, s control.Status) error {
	state := "busy: not everything is scanned and loaded yet"
	if s.Settled {
		state = "settled: nothing is on its way in"
		if slow := s.Modules[control.InLoad]; slow > 0 {
			state += ", but for " + plural(uint64(slow), "module") + " that take long (kmodctl modules names them)"
		}
	}
	_, err := fmt.Fprintf(w, "kmodd %s, process %d, on Linux %s\n", s.Version, s.PID, s.Kernel)
	f := facts{w}
	f.say("state", "%s", state)
	f.say("started", "%s s after the kernel, %s ago", moment(s.Started), span(s.Now-s.Started))
	f.say("tables", "%s", s.Tables)
	f.say("devices", "%s", tally(s.Devices, map[control.Result]string{
		control.NoModule: "most need none",
		control.Unbound:  "some never have a driver",
	}))
	f.say("modules", "%s", tally(s.Modules, map[control.State]string{
		control.Declined: "no fault",
	}))
	u := s.Uevents
	f.say("uevents", "%d received, %d malformed, %d not from the kernel; %s, %s",
		u.Received, u.Malformed, u.Foreign, plural(u.Overflows, "overflow"), plural(u.Scans, "scan"))
	if s.Foreseen > 0 {
		f.say("prediction", "%s expected, as the last boots had them, %d in vain", plural(s.Foreseen, "device"), s.Mispredicted)
	}
	for _, warning := range s.Warnings {
		f.say("warning", "%s", warning)
	}
	if s.Devices[control.Failed] > 0 || s.Modules[control.Broken] > 0 {
		f.say("look", "kmodctl modules names what failed, kmodctl why NAME tells why")
	}
	return err
}

// tally prints a sum and what it is made of, the most first, with remarks about
// what a person may take for a fault.
func tally[K ~string](counts map[K]int, remarks map[K]string) string {
	kinds := make([]K, 0, len(counts))
	sum := 0
	for kind, n := range counts {
		if n > 0 {
			kinds = append(kinds, kind)
			sum += n
		}
	}
	slices.SortFunc(kinds, func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(kinds))
	for i, kind := range kinds {
		parts[i] = fmt.Sprintf("%d %s", counts[kind], kind)
		if remark, ok := remarks[kind]; ok {
			parts[i] += " (" + remark + ")"
		}
	}
	if sum == 0 {
		return "none"
	}
	return fmt.Sprintf("%d: %s", sum, strings.Join(parts, ", "))
}

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
