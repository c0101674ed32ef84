package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

// edgeBoards have network interfaces with a PHY, whose drivers the kernel requests while
// it probes: the edge of asynchronous probing.
var edgeBoards = []string{"sabrelite", "orangepi-pc"}

// edgeRules are the ways of probing that are compared, each with kmodd's rules for it.
var edgeRules = []struct{ name, rules string }{
	{"never", "[[rule]]\nmodule = \"*\"\nasync = false\n"},
	{"auto", ""},
	{"all", rulesAllAsync},
}

// edgeTime is how long a board has until nothing is on its way in any more.
const edgeTime = 4 * time.Minute

// An edge is what boots of a board with one way of probing have led to.
type edge struct {
	board, async string
	boots        int
	requests     int // of the kernel's warnings, those of modules requested by an asynchronous probe
	warnings     int // the others
	hung         int // boots after which tasks stood still for long
	unsettled    int // boots after which something was on its way in for ever
	// names is after how many boots the network interfaces were these, by these names.
	names map[string]int
}

// swapped is how many boots led to other network interfaces, or other names of them, than
// most did.
func (e *edge) swapped() int {
	return e.boots - slices.Max(slices.Collect(maps.Values(e.names)))
}

// Edge boots boards with PHYs n times with each way of probing, or with the one of that
// name, and counts what goes wrong.
func Edge(ctx context.Context, out, progress io.Writer, n int, only string) error {
	build, err := lab.Prepare(ctx, progress, lab.Programs...)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| board\t| async\t| boots\t| requests while probing aside\t| other warnings\t| with tasks that hung\t| not settled\t| other interfaces\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, board := range edgeBoards {
		for _, way := range edgeRules {
			if only != "" && only != way.name {
				continue
			}
			e := edge{board: board, async: way.name, names: make(map[string]int)}
			for range n {
				fmt.Fprintf(progress, "boot %d of %d: %s, async %s\n", e.boots+1, n, board, way.name)
				if err := e.boot(ctx, build, way.rules); err != nil {
					return err
				}
			}
			fmt.Fprintf(w, "| %s\t| %s\t| %d\t| %d\t| %d\t| %d\t| %d\t| %d\t|\n",
				board, way.name, e.boots, e.requests, e.warnings, e.hung, e.unsettled, e.swapped())
		}
	}
	return w.Flush()
}

// boot boots the board once more.
func (e *edge) boot(ctx context.Context, build *lab.Build, rules string) (err error) {
	m, err := build.Boot(ctx, lab.Options{Board: e.board})
	if err != nil {
		return err
	}
	defer m.Close() //nolint:errcheck // a board that hangs is ended all the same
	g := guest{m, contender{loader: kmodd}}
	if err := m.WriteFile(ctx, "/etc/kmodd/kmodd.toml", []byte(rules), 0o644); err != nil {
		return err
	}
	if _, err := g.shell(ctx, "echo 20 >/proc/sys/kernel/hung_task_timeout_secs"); err != nil {
		return err
	}
	if _, err := m.Spawn(ctx, "kmodd", "kmodd"); err != nil {
		return err
	}
	settled := g.poll(ctx, edgeTime, func() (bool, error) {
		r, err := g.Run(ctx, "sh", "-c", "kmodctl status | grep -q settled")
		return r.Exit == 0, err
	})
	e.boots++
	if settled != nil {
		e.unsettled++
	}
	return e.count(ctx, g)
}

// count takes in what the kernel has to say of a boot.
func (e *edge) count(ctx context.Context, g guest) error {
	var hung int // tasks
	for _, c := range []struct {
		lines string // of the log, by a filter
		count *int
	}{
		{"grep -c 'WARNING: .*request_module'", &e.requests},
		{"grep 'WARNING: ' | grep -vc request_module", &e.warnings},
		{"grep -c 'INFO: task .* blocked for more than'", &hung},
	} {
		text, err := g.shell(ctx, "dmesg | "+c.lines+" || true")
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return err
		}
		*c.count += n
	}
	if hung > 0 {
		e.hung++
	}
	names, err := g.shell(ctx, "cd /sys/class/net && for n in *; do echo $n $(readlink $n); done")
	e.names[names]++
	return err
}
