package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/modulesload"
	"github.com/kmodd/kmodd/rules/policy"
)

// settleTime is how long tables and configuration must have been left alone
// before they are read: depmod and package managers write many files.
const settleTime = 100 * time.Millisecond

// impatience is how long changes that go on and on may put the reading off.
const impatience = 2 * time.Second

// A rulebook reads the module tables and the configuration, at the start and
// whenever they change or somebody says so, and passes them on to the loop.
type rulebook struct {
	tables  string // the module directory, /lib/modules/RELEASE
	duties  duties
	changes chan<- ruleChange
	hangup  <-chan struct{}      // SIGHUP
	mounted chan struct{}        // holds a token when mounts have changed
	asked   chan chan<- struct{} // to be closed when what was read is in force
	log     *slog.Logger
	ready   chan struct{}
}

// A ruleChange is what was read.
type ruleChange struct {
	set     *rules.Set
	tables  *match.Tables
	missing error         // why there are no tables, nil if there are
	wanted  []core.Want   // whatever devices there are
	skipped []string      // what was wrong with the lists of what is wanted, and of nodes
	inForce chan struct{} // closed by the loop when the machine has it
}

// warnings are what is wrong with tables and configuration, as far as is known:
// what is unsound deep in a table shows when a look-up comes there.
func (c ruleChange) warnings() []string {
	if c.set == nil {
		return nil
	}
	warnings := append(c.set.Warnings(), c.skipped...)
	if c.missing != nil {
		warnings = append(warnings, c.missing.Error())
	}
	return warnings
}

// close lets go of the tables.
func (c ruleChange) close() {
	if c.tables != nil {
		c.tables.Close()
	}
}

func newRulebook(release string, changes chan<- ruleChange, hangup <-chan struct{}, log *slog.Logger) *rulebook {
	return &rulebook{
		tables:  "/lib/modules/" + release,
		changes: changes,
		hangup:  hangup,
		mounted: make(chan struct{}, 1),
		asked:   make(chan chan<- struct{}),
		log:     log,
		ready:   make(chan struct{}),
	}
}

// Ready is closed when the first rules are in force and changes are noticed.
func (b *rulebook) Ready() <-chan struct{} { return b.ready }

// String names the rulebook as a task.
func (b *rulebook) String() string { return "tables and configuration" }

// Run reads, and reads again, until the context ends.
func (b *rulebook) Run(ctx context.Context) error {
	w := newWatch(b.watched(), b.log)
	defer w.close()
	if err := b.renew(ctx, w); err != nil {
		return err
	}
	close(b.ready)
	settled := time.NewTimer(0)
	settled.Stop()
	defer settled.Stop()
	var first time.Time // of the changes that were not read yet, zero if there are none
	for {
		var done chan<- struct{} // of who asked
		select {
		case <-w.changed():
			if first.IsZero() {
				first = time.Now()
			}
			if time.Since(first) < impatience {
				settled.Reset(settleTime)
			}
			continue
		case <-b.mounted:
			if !w.covered() {
				continue
			}
			b.log.Info("another file system is where module tables or modprobe.d are: reading them again")
		case <-settled.C:
			first = time.Time{}
			b.log.Info("module tables or modprobe.d changed: reading them again")
		case <-b.hangup:
			b.log.Info("asked to read module tables and configuration again")
		case done = <-b.asked:
		case <-ctx.Done():
			return nil
		}
		if err := b.renew(ctx, w); err != nil {
			return err
		}
		if done != nil {
			close(done)
		}
	}
}

// watched are the directories that are read, the module directory first.
func (b *rulebook) watched() []string {
	return slices.Concat([]string{b.tables}, modprobed.Directories(""), policy.Directories(""), modulesload.Directories(""))
}

// reload has everything read again and returns when it is in force.
func (b *rulebook) reload(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case b.asked <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// renew reads everything and returns when it is in force. What can't be read
// is a warning: a board with broken tables still has a daemon, which picks them
// up when they have been mended.
func (b *rulebook) renew(ctx context.Context, w *watch) error {
	w.renew() // first, so that no change after the reading is missed
	c := b.read()
	for _, warning := range c.warnings() {
		b.log.Warn(warning)
	}
	select {
	case b.changes <- c:
	case <-ctx.Done():
		c.close()
		return ctx.Err()
	}
	select {
	case <-c.inForce:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *rulebook) read() ruleChange {
	c := ruleChange{inForce: make(chan struct{})}
	var err error
	if c.tables, err = match.Open(b.tables); err != nil {
		c.missing = err
		c.tables = noTables(b.tables)
	}
	cmdline := commandLine()
	c.set = rules.NewSet(c.tables, modprobed.Load("", b.tables, cmdline), rules.WithPolicy(policy.Load("")))
	c.want(modulesload.Load("", cmdline, inInitramfs()), !b.duties.modulesLoad)
	if b.duties.nodes {
		nodes, faults := match.Nodes(b.tables)
		c.skipped = append(c.skipped, faults...)
		makeNodes("/dev", nodes, b.log)
	}
	return c
}

// want takes in what modules-load.d says. Where somebody else loads it, it is to
// stay.
func (c *ruleChange) want(list modulesload.Config, elsewhere bool) {
	for _, m := range list.Modules {
		c.wanted = append(c.wanted, core.Want{Name: m.Name, Elsewhere: elsewhere, By: rules.Reason{Source: m.File, Line: m.Line, Says: m.Text}})
	}
	for _, w := range list.Warnings {
		if elsewhere {
			break // that somebody tells
		}
		c.skipped = append(c.skipped, w.String())
	}
}

// noTables are those of a directory where no module is installed.
func noTables(dir string) *match.Tables {
	tables, err := match.Parse(dir, map[string]string{"modules.dep": ""})
	if err != nil {
		panic(fmt.Sprintf("daemon: tables without modules: %v", err))
	}
	return tables
}

// commandLine is the kernel's, "" if it can't be read: /proc may not be
// mounted yet.
func commandLine() string {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(line))
}
