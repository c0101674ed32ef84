package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/sleep"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/daemon/worker"
)

func newMemory(o *options) *cobra.Command {
	whatIf := false
	c := &cobra.Command{
		Use:   "memory [--what-if]",
		Short: "Show what drivers cost, and what their sleep gives back",
		Long: `Lists the modules in the kernel, the largest first, and what kmodd knows of them:

  SIZE   their code and data
  COST   what the kernel used more when it came in, with what its devices took.
         Of modules that came in beside others it is not known
  FREED  what the kernel used less each time that kmodd took it out, in all

With --what-if it says of each what would happen if a rule let it sleep while
nobody uses it, and does nothing. Who uses a driver only root sees.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := readMemory(cmd.Context(), o)
			if err != nil && !whatIf { // which takes no daemon
				return err
			}
			if whatIf {
				m.ifAllMay()
			}
			if o.json {
				raw, err := json.Marshal(m)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), raw)
			}
			return m.print(cmd.OutOrStdout(), whatIf)
		},
	}
	c.Flags().BoolVar(&whatIf, "what-if", false, "say what would sleep if all drivers might, without doing it")
	return c
}

// A memory is what modules cost, as JSON has it.
type memory struct {
	Modules []moduleMemory  `json:"modules"`
	Metrics control.Metrics `json:"metrics"` // of the daemon

	answered bool // it has answered
}

type moduleMemory struct {
	Name  string `json:"name"`
	Size  int64  `json:"size_bytes"`
	Cost  int64  `json:"cost_bytes,omitempty"`
	Freed int64  `json:"freed_bytes,omitempty"`
	State string `json:"state"`
	Ours  bool   `json:"ours"`
	Says  string `json:"says,omitempty"` // what is to become of it
	// Of what if.
	Goes bool `json:"would_go,omitempty"`
}

// readMemory asks the kernel for the modules, and the daemon for what it knows.
func readMemory(ctx context.Context, o *options) (m memory, err error) {
	known, err := modulesOfDaemon(ctx, o, &m.Metrics)
	m.answered = err == nil
	sys := cmp.Or(inspected.Sys, "/sys")
	dirs, _ := filepath.Glob(sys + "/module/*/initstate")
	for _, file := range dirs {
		name := filepath.Base(filepath.Dir(file))
		one := moduleMemory{Name: name, State: strings.TrimSpace(text(file)), Size: moduleSize(sys, name)}
		if k, ok := known[name]; ok {
			one.Cost, one.Freed, one.Ours, one.Says = k.Cost, k.Freed, k.Ours, cmp.Or(k.Sleep, k.Unused)
			delete(known, name)
		}
		m.Modules = append(m.Modules, one)
	}
	for _, k := range known { // what sleeps, or has gone
		if k.State == control.Absent {
			m.Modules = append(m.Modules, moduleMemory{Name: k.Name, State: string(k.State), Cost: k.Cost, Freed: k.Freed, Ours: true, Says: k.Sleep})
		}
	}
	slices.SortFunc(m.Modules, func(a, b moduleMemory) int {
		return cmp.Or(cmp.Compare(max(b.Size, b.Cost, b.Freed), max(a.Size, a.Cost, a.Freed)), cmp.Compare(a.Name, b.Name))
	})
	return m, err
}

// modulesOfDaemon asks the daemon for its modules and its counts.
func modulesOfDaemon(ctx context.Context, o *options, metrics *control.Metrics) (map[string]control.Module, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := control.Dial(ctx, o.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var list control.ModuleList
	if err := c.Call(ctx, control.MethodModules, nil, &list); err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	if err := c.Call(ctx, control.MethodMetrics, nil, metrics); err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	known := make(map[string]control.Module)
	for _, m := range list.Modules {
		known[m.Name] = m
	}
	return known, nil
}

func text(file string) string {
	b, _ := os.ReadFile(file) // of a module that has just gone nothing is said
	return string(b)
}

// moduleSize is that of a module's code and data.
func moduleSize(sys, name string) (sum int64) {
	for _, part := range []string{"coresize", "initsize"} {
		n, _ := strconv.ParseInt(strings.TrimSpace(text(filepath.Join(sys, "module", name, part))), 10, 64)
		sum += n
	}
	return sum
}

func (m memory) print(w io.Writer, whatIf bool) error {
	var rows [][]string
	var total, going moduleMemory
	loaded, goes := 0, 0
	for _, one := range m.Modules {
		total.Size, total.Cost = total.Size+one.Size, total.Cost+one.Cost
		row := []string{one.Name, bytesOr(one.Size, ""), bytesOr(one.Cost, ""), bytesOr(one.Freed, "")}
		switch {
		case whatIf && one.Goes:
			goes++
			going.Size, going.Cost = going.Size+one.Size, going.Cost+one.Cost
			row = append(row, "goes")
		case whatIf && one.State == string(control.Absent):
			row = append(row, "")
		case whatIf:
			row = append(row, "stays")
		}
		if one.State != string(control.Absent) {
			loaded++
		}
		rows = append(rows, append(row, one.Says))
	}
	titles := "MODULE SIZE COST FREED"
	if whatIf {
		titles += " THEN"
	}
	if err := table(w, titles+" WHY", rows); err != nil {
		return err
	}
	says := fmt.Sprintf("%d modules in the kernel, %s", loaded, bytesOr(total.Size, "0 KiB"))
	if whatIf {
		says = fmt.Sprintf("%d of %d modules would go: %s of %s", goes, loaded, bytesOr(going.Size, "0 KiB"), bytesOr(total.Size, "0 KiB"))
		if going.Cost > 0 {
			says += fmt.Sprintf(", and %s as far as it was measured when they came in", bytesOr(going.Cost, ""))
		}
	}
	if m.answered {
		says += fmt.Sprintf("\nsince kmodd began drivers have gone to sleep %d times and woken %d times; what it took out gave back %s",
			m.Metrics.Slept, m.Metrics.Woken, bytesOr(m.Metrics.Freed, "nothing"))
	}
	_, err := fmt.Fprintf(w, "\n%s\n", says)
	return err
}

// bytesOr writes a size, or the other word for nothing.
func bytesOr(n int64, nothing string) string {
	switch {
	case n == 0:
		return nothing
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", (n+1<<9)>>10)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// ifAllMay says of each module what would become of it if a rule let it sleep: a
// driver that nobody uses and that can wake, and what these alone need.
func (m memory) ifAllMay() {
	sys := cmp.Or(inspected.Sys, "/sys")
	who := sleep.System{Sys: inspected.Sys, Proc: inspected.Proc, Dev: inspected.Dev, Helper: "/proc/self/exe"}
	goes := make(map[string]bool)
	var freed []string // devices whose drivers go
	for i := range m.Modules {
		one := &m.Modules[i]
		if one.State != "live" {
			continue
		}
		if holders := holdersOf(sys, one.Name); len(holders) > 0 {
			one.Says = "it is needed by " + strings.Join(holders, ", ")
			continue
		}
		found := who.Survey(worker.Question{Module: one.Name})
		one.Says = cmp.Or(found.Says, found.InUse)
		if one.Says == "" {
			one.Goes, goes[one.Name] = true, true
			freed = append(freed, found.Devices...)
			var names []string
			for _, o := range found.Openings {
				names = append(names, o.Name)
			}
			one.Says = "nobody uses it, and whoever opens " + strings.Join(names, ", ") + " wakes it"
		}
	}
	for again := true; again; {
		again = false
		for i := range m.Modules {
			one := &m.Modules[i]
			with := heldBy(sys, one.Name, goes)
			if !one.Goes && one.State == "live" && with != "" && drivesOnly(one.Name, freed) {
				one.Goes, goes[one.Name], again = true, true, true
				one.Says = "it is there for " + with
			}
		}
	}
}

// drivesOnly tells whether a module has no devices but those that others hang below,
// as the interface of a serial adapter is the one of its library.
func drivesOnly(module string, freed []string) bool {
	return !slices.ContainsFunc(usage.System{Sys: inspected.Sys}.Drives(module), func(above string) bool {
		return !slices.ContainsFunc(freed, func(d string) bool { return strings.HasPrefix(d, above+"/") })
	})
}

// heldBy names the modules that need one, if all of them go, "" otherwise.
func heldBy(sys, name string, goes map[string]bool) string {
	holders := holdersOf(sys, name)
	references, err := strconv.Atoi(strings.TrimSpace(text(filepath.Join(sys, "module", name, "refcnt"))))
	if err != nil || references != len(holders) {
		return ""
	}
	if slices.ContainsFunc(holders, func(h string) bool { return !goes[h] }) {
		return ""
	}
	return strings.Join(holders, ", ")
}

// holdersOf lists the modules that need one.
func holdersOf(sys, name string) (names []string) {
	files, _ := filepath.Glob(filepath.Join(sys, "module", name, "holders/*")) // sorted
	for _, file := range files {
		names = append(names, filepath.Base(file))
	}
	return names
}
