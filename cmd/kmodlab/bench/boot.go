package bench

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

// The time limits of a boot. A busy PC with two emulated processors is through in half of them, on
// a machine that has other things to do, too.
const (
	settleTime = 2 * time.Minute
	quietTime  = time.Minute
)

// stillFor is how long a program's memory must not have changed for it to be taken as at rest:
// longer than kmodd waits before it gives memory back.
const stillFor = 6 * time.Second

// A loader is a program that loads the drivers of a guest's devices.
type loader struct {
	name  string
	title string // of what it is given, "" for nothing
	// start is a shell command that starts it, and goes on in its place or leaves it behind.
	start string
	// settled is a shell command that succeeds when all is loaded. It may wait.
	settled string
	// sure is a shell command that must succeed after everything was measured.
	sure string
}

var kmodd = loader{
	name:  "kmodd",
	start: "exec kmodd",
	// The daemon itself is asked afterwards: to answer takes memory.
	settled: "[ $(pidof kmodd | wc -w) = 1 ] && [ $(wc -l </proc/modules) -gt 10 ]",
	sure:    `kmodctl status --json | grep -q '"settled": *true'`,
}

var udevd = loader{
	name:    "systemd-udevd",
	start:   "/lib/systemd/systemd-udevd --daemon && udevadm trigger --action=add",
	settled: "udevadm settle",
	sure:    "udevadm settle",
}

// of is what a loader is called in a table.
func (l loader) of() string { return cmp.Or(l.title, l.name) }

// A coldplug is what a loader did with a busy PC, and what it holds when it has nothing to do any more.
type coldplug struct {
	memory  memory
	threads int
	modules []string // in the kernel afterwards, sorted
	// From the loader's start: the last load that the kernel saw, and when the last
	// device was bound to a driver, and the last of those that are awaited.
	loaded, bound, first time.Duration
	named                time.Duration // when the last one of those was bound that a rule may name
	user                 time.Duration // of all its processes
	forecast             string        // what it has written down for the next boot
}

// coldplugOf boots a busy PC and has a loader load its drivers.
func coldplugOf(ctx context.Context, build *lab.Build, l contender) (c coldplug, err error) {
	m, err := build.Boot(ctx, lab.Options{Busy: true})
	if err != nil {
		return c, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s on a busy PC: %w\n%s", l.name, err, m.LastWords([]string{l.name}))
		}
		err = errors.Join(err, m.Close())
	}()
	g := guest{m, l}
	for path, content := range l.files {
		if err := m.WriteFile(ctx, path, []byte(content), 0o644); err != nil {
			return c, err
		}
	}
	if err := g.load(ctx); err != nil {
		return c, err
	}
	return g.measure(ctx)
}

// A guest is a machine with its loader.
type guest struct {
	*lab.Machine
	contender
}

// tracing is where the kernel's own record of loads is switched on and read (Documentation/trace/ftrace.rst).
const tracing = "/sys/kernel/tracing/"

// awaited is a shell command that names the devices that somebody waits for when a
// machine starts: disks' controllers and network cards, and keyboards.
const awaited = `cd /sys/bus/pci/devices && grep -l '^0x0[12]' */class | while read -r f; do d=${f%/class}; if [ -e "$d/driver" ]; then echo "$d"; fi; done
cd /sys/bus/usb/devices && grep -lx 03 */bInterfaceClass | while read -r f; do echo "${f%/bInterfaceClass}"; done`

// load has the loader load drivers, with the kernel keeping a record, until it has settled and its
// workers have ended.
func (g guest) load(ctx context.Context) error {
	record := "mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup; cd " + tracing + " && echo mono >trace_clock && echo 1 >events/module/module_load/enable && " +
		"echo 'p:bound device_links_driver_bound name=+0(+0(%di)):string' >kprobe_events && echo 1 >events/kprobes/bound/enable && cd /"
	if _, err := g.shell(ctx, record); err != nil {
		return err
	}
	begin := "echo begin >" + tracing + "trace_marker; "
	if _, err := g.Spawn(ctx, g.name, "sh", "-c", begin+keep(g.start)); err != nil {
		return err
	}
	if err := g.poll(ctx, settleTime, func() (bool, error) {
		r, err := g.Run(ctx, "sh", "-c", g.settled)
		return r.Exit == 0, err
	}); err != nil {
		return fmt.Errorf("wait until it has settled: %w", err)
	}
	if g.ends {
		return nil
	}
	alone := "[ $(pidof " + g.name + " | wc -w) = 1 ]"
	if _, err := g.Until(ctx, quietTime, "sh", "-c", alone); err != nil {
		return fmt.Errorf("wait until its workers have ended: %w", err)
	}
	return nil
}

// measure waits until the loader's memory does not change any more, and looks at what it did.
func (g guest) measure(ctx context.Context) (c coldplug, err error) {
	if !g.ends {
		if err := g.measureProcess(ctx, &c); err != nil {
			return c, err
		}
	}
	stat, err := g.ReadFile(ctx, account+"/cpu.stat")
	if err != nil {
		return c, err
	}
	user, err := parseUser(string(stat))
	if err != nil {
		return c, err
	}
	c.user = time.Duration(user) * time.Microsecond
	modules, err := g.shell(ctx, "lsmod | sed 1d | cut -d' ' -f1 | sort")
	if err != nil {
		return c, err
	}
	c.modules = strings.Fields(modules)
	record, err := g.ReadFile(ctx, tracing+"trace")
	if err != nil {
		return c, err
	}
	t, err := parseTrace(strings.NewReader(string(record)))
	if err != nil {
		return c, err
	}
	first, err := g.shell(ctx, awaited)
	if err != nil {
		return c, err
	}
	named, err := g.shell(ctx, "cd /sys/bus && for d in "+strings.Join(awaitedByName, " ")+`; do [ -e "$d" ] && echo "${d##*/}"; done`)
	if err != nil {
		return c, err
	}
	c.loaded, c.bound = t.load, t.last()
	c.first, c.named = t.last(strings.Fields(first)...), t.last(strings.Fields(named)...)
	if _, err := g.shell(ctx, g.sure); err != nil || !g.remembers {
		return c, err
	}
	if _, err := g.Until(ctx, quietTime, "test", "-s", forecast); err != nil {
		return c, fmt.Errorf("wait until it has written down what the boot had: %w", err)
	}
	content, err := g.ReadFile(ctx, forecast)
	c.forecast = string(content)
	return c, err
}

// measureProcess looks at what a loader holds at rest.
func (g guest) measureProcess(ctx context.Context, c *coldplug) error {
	pid, err := g.shell(ctx, "pidof "+g.name)
	if err != nil {
		return err
	}
	proc := "/proc/" + strings.TrimSpace(pid)
	if c.memory, err = g.rest(ctx, proc); err != nil {
		return err
	}
	threads, err := g.shell(ctx, "ls "+proc+"/task | wc -l")
	if err == nil {
		c.threads, err = strconv.Atoi(strings.TrimSpace(threads))
	}
	return err
}

// rest waits until a process's memory has not changed for a while. Reading it disturbs nobody.
func (g guest) rest(ctx context.Context, proc string) (now memory, err error) {
	since := time.Now()
	err = g.poll(ctx, quietTime, func() (bool, error) {
		text, err := g.ReadFile(ctx, proc+"/smaps_rollup")
		if err != nil {
			return false, err
		}
		last := now
		if now, err = parseRollup(string(text)); now != last {
			since = time.Now()
		}
		return time.Since(since) >= stillFor, err
	})
	if err != nil {
		err = fmt.Errorf("wait until its memory does not change: %w", err)
	}
	return now, err
}

// poll asks once a second, which is seldom enough to leave the guest's processors to the loader.
func (g guest) poll(ctx context.Context, most time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// shell runs a shell command that must succeed, and returns what it printed.
func (g guest) shell(ctx context.Context, command string) (string, error) {
	r, err := g.Ask(ctx, agentwire.Request{Op: agentwire.Run, Argv: []string{"sh", "-c", command}})
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("guest: %s: exit status %d: %s", command, r.Exit, strings.TrimSpace(r.Stderr))
	}
	return r.Stdout, err
}

// A memory is what a process holds, in bytes (proc(5), smaps_rollup).
type memory struct{ rss, anonymous, huge int64 }

// parseRollup reads lines such as "Anonymous:    1234 kB".
func parseRollup(text string) (m memory, err error) {
	places := map[string]*int64{"Rss": &m.rss, "Anonymous": &m.anonymous, "AnonHugePages": &m.huge}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		place := places[key]
		if place == nil {
			continue
		}
		kB, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return m, fmt.Errorf("smaps_rollup: %s: %w", strings.TrimSpace(line), err)
		}
		*place = kB << 10
		delete(places, key)
	}
	if len(places) > 0 {
		return m, fmt.Errorf("smaps_rollup lacks %d of its lines", len(places))
	}
	return m, nil
}

// A trace is what the kernel's record tells of a coldplug, from the loader's start.
type trace struct {
	load  time.Duration            // when the last module was loaded
	bound map[string]time.Duration // when each device was bound to a driver last, by its name
}

// last is when the last of some devices was bound, of all of them if there are none.
func (t trace) last(devices ...string) (at time.Duration) {
	if len(devices) == 0 {
		devices = slices.Collect(maps.Keys(t.bound))
	}
	for _, name := range devices {
		at = max(at, t.bound[name])
	}
	return at
}

// parseTrace reads the kernel's record, whose lines are
//
//	TASK-PID [CPU] FLAGS SECONDS: EVENT: WORDS
func parseTrace(text io.Reader) (trace, error) {
	var began float64
	t := trace{bound: make(map[string]time.Duration)}
	loads := 0
	for lines := bufio.NewScanner(text); lines.Scan(); {
		before, event, ok := strings.Cut(lines.Text(), ": ")
		stamp := before[strings.LastIndexByte(before, ' ')+1:]
		at, err := strconv.ParseFloat(stamp, 64)
		since := time.Duration((at - began) * float64(time.Second))
		name, words, _ := strings.Cut(event, ": ")
		switch {
		case !ok || err != nil: // the head
		case name == "tracing_mark_write":
			began = at
		case name == "module_load":
			t.load = since
			loads++
		case name == "bound":
			_, device, _ := strings.Cut(words, "name=")
			t.bound[strings.Trim(device, `"`)] = since
		}
	}
	if began == 0 || loads == 0 {
		return t, fmt.Errorf("the kernel's trace holds %d loads, and a mark at %g s", loads, began)
	}
	return t, nil
}
