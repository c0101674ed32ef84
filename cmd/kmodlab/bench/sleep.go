package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

// A sleeper is a device whose driver sleeps and wakes.
type sleeper struct {
	what, module, kind, device string
}

var sleepers = []sleeper{
	{"serial adapter", "ftdi_sio", "usb-serial", "/dev/ttyUSB0"},
	{"camera", "uvcvideo", "uvc-camera", "/dev/video0"},
}

// idleTime is for how long nobody has used a driver in the bench: as little as
// possible, for a thousand times.
const idleTime = 20 * time.Millisecond

// sleeping measures what a sleep leaves behind, whether that grows, and how long an
// open() takes that wakes a driver, beside a modprobe of the same.
func sleeping(ctx context.Context, progress io.Writer, cycles int) (rows []row, err error) {
	if cycles == 0 {
		return nil, nil
	}
	build, err := lab.Prepare(ctx, progress, lab.Programs...)
	if err != nil {
		return nil, err
	}
	native, err := nativeTime(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range sleepers {
		fmt.Fprintf(progress, "  %s, %d times\n", s.what, cycles)
		m, err := s.cycle(ctx, build, cycles)
		if err != nil {
			return nil, err
		}
		asleep, never, err := s.left(ctx, build)
		if err != nil {
			return nil, err
		}
		rows = append(rows, s.rows(m, native)...)
		rows = append(rows, leftRows(asleep, never)...)
	}
	return rows, nil
}

// A program that does little but start is timed so often here, and in the guest, to know
// how many times as slow that is.
const startsTimed = 40

// starter is that program, as it is called in the guest.
var starter = []string{"kmodctl", "--version"}

// nativeTime is how long that program takes here, in nanoseconds.
func nativeTime(ctx context.Context) (float64, error) {
	dir, err := os.MkdirTemp("", "kmodlab-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, starter[0])
	if err := build(ctx, program, "github.com/kmodd/kmodd/cmd/kmodctl"); err != nil {
		return 0, err
	}
	var all []float64
	for range startsTimed {
		began := time.Now()
		if err := exec.CommandContext(ctx, program, starter[1:]...).Run(); err != nil {
			return 0, err
		}
		all = append(all, float64(time.Since(began)))
	}
	return median(all), nil
}

// leftOver is how often it is measured what a sleep leaves behind, and leftCycles after
// how many sleeps: what a few kernel threads more or less take is as much.
const (
	leftOver   = 5
	leftCycles = 5
)

// kinds are the lines, of /proc/meminfo's and of the agent's, that count memory which the
// kernel can't give up: what drivers have allocated, their code and data among it.
var kinds = []struct{ what, line string }{
	{"objects", agentwire.HeldObjects},
	{"vmalloc, modules", "VmallocUsed"},
	{"for each processor", "Percpu"},
	{"kernel stacks", "KernelStack"},
}

// sizes are how much of each of these kinds there is, in bytes.
type sizes map[string]float64

// left tells, for each kind, how much of the kernel's memory there is while the driver
// sleeps, and where it was never loaded, though its device is there.
func (s sleeper) left(ctx context.Context, build *lab.Build) (asleep, never []sizes, err error) {
	for range leftOver {
		m, err := s.kept(ctx, build, "/etc/kmodd/kmodd.toml", s.rule(), func(g guest) error {
			_, err := g.Until(ctx, settleTime, "test", "-e", s.device)
			if err == nil {
				_, err = g.cycles(ctx, "wake", s.device, s.module, strconv.Itoa(leftCycles))
			}
			if err == nil {
				_, err = g.Until(ctx, settleTime, "sh", "-c", "! test -e /sys/module/"+s.module)
			}
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		n, err := s.kept(ctx, build, "/etc/modprobe.d/never.conf", "blacklist "+s.module+"\n", func(guest) error { return nil })
		if err != nil {
			return nil, nil, err
		}
		asleep, never = append(asleep, m), append(never, n)
	}
	return asleep, never, nil
}

// kept is how much memory the kernel uses after something, when nothing happens, where
// kmodd has that rule.
func (s sleeper) kept(ctx context.Context, build *lab.Build, file, rule string, after func(guest) error) (sizes, error) {
	g, err := s.boot(ctx, build, file, rule)
	if err != nil {
		return nil, err
	}
	var text string
	if err = after(g); err == nil {
		time.Sleep(stillFor)
		text, err = g.shell(ctx, lab.AgentPath+" memory")
	}
	if err != nil {
		return nil, s.failed(g.Machine, err)
	}
	return parseMemory(text), g.Close()
}

// parseMemory reads /proc/meminfo, and what the agent adds.
func parseMemory(text string) sizes {
	m := make(sizes)
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		kib, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		size, _ := strconv.ParseFloat(kib, 64) // of the kernel's own text
		m[name] = size * 1024
	}
	return m
}

func (s sleeper) rule() string {
	return fmt.Sprintf("[[rule]]\nmodule = %q\nidle = %q\n", s.module, idleTime)
}

// boot starts a PC with kmodd, and plugs the device in. All begin with the same state
// of the kernel.
func (s sleeper) boot(ctx context.Context, build *lab.Build, file, rule string) (guest, error) {
	m, err := build.Start(ctx, lab.Options{})
	if err != nil {
		return guest{}, err
	}
	g := guest{m, contender{loader: kmodd}}
	err = m.WriteFile(ctx, file, []byte(rule), 0o644)
	if err == nil {
		_, err = m.Spawn(ctx, "kmodd", "kmodd")
	}
	if err == nil {
		_, err = m.Until(ctx, settleTime, "kmodctl", "settle")
	}
	if err == nil {
		err = m.Plug(ctx, "device", s.kind, nil)
	}
	if err != nil {
		return g, s.failed(m, err)
	}
	return g, nil
}

func (s sleeper) failed(m *lab.Machine, err error) error {
	err = fmt.Errorf("%s: %w\n%s", s.what, err, m.LastWords([]string{"kmodd"}))
	return errors.Join(err, m.Close())
}

// measured are the times of a sleeper.
type measured struct {
	// For what grows, of many: sleeps one after the other, and loads by modprobe.
	slept, loaded []agentwire.Cycle

	wakes  []agentwire.Cycle // open() that wakes it
	loads  []agentwire.Cycle // modprobe, and open()
	starts []agentwire.Cycle // a program that does little but start
}

// rounds are how often kmodd and modprobe take turns, since a machine can become slower
// within a minute, and compared is how often either is timed at most.
const (
	rounds   = 4
	compared = 100
)

// cycle has the driver sleep and wake that often. Then kmodd wakes it and modprobe puts it
// in before somebody opens the device, by turns; and then a program starts.
func (s sleeper) cycle(ctx context.Context, build *lab.Build, cycles int) (m measured, err error) {
	g, err := s.boot(ctx, build, "/etc/kmodd/kmodd.toml", s.rule())
	if err != nil {
		return m, err
	}
	if err = s.measure(ctx, g, cycles, &m); err != nil {
		return m, s.failed(g.Machine, err)
	}
	return m, g.Close()
}

func (s sleeper) measure(ctx context.Context, g guest, cycles int, m *measured) (err error) {
	if _, err = g.Until(ctx, settleTime, "test", "-e", s.device); err != nil {
		return err
	}
	if cycles > compared {
		if m.slept, m.loaded, err = s.turns(ctx, g, cycles); err != nil {
			return err
		}
	}
	for range rounds {
		wakes, loads, err := s.turns(ctx, g, max(1, min(cycles, compared)/rounds))
		if err != nil {
			return err
		}
		m.wakes, m.loads = append(m.wakes, wakes...), append(m.loads, loads...)
	}
	m.starts, err = g.cycles(ctx, "time", append([]string{strconv.Itoa(startsTimed)}, starter...)...)
	return err
}

// turns is one round, with kmodd before and after it.
func (s sleeper) turns(ctx context.Context, g guest, times int) (wakes, loads []agentwire.Cycle, err error) {
	often := strconv.Itoa(times)
	if wakes, err = g.cycles(ctx, "wake", s.device, s.module, often); err != nil {
		return nil, nil, err
	}
	if _, err = g.shell(ctx, "kill $(pidof kmodd); while pidof kmodd; do sleep 0.1; done >/dev/null; modprobe "+s.module); err != nil {
		return nil, nil, err
	}
	if loads, err = g.cycles(ctx, "reload", s.device, s.module, often); err != nil {
		return nil, nil, err
	}
	if _, err = g.shell(ctx, "modprobe -r "+s.module); err != nil { // what kmodd has not put in it leaves in
		return nil, nil, err
	}
	if _, err = g.Spawn(ctx, "kmodd", "kmodd"); err != nil {
		return nil, nil, err
	}
	_, err = g.Until(ctx, settleTime, "test", "-e", s.device)
	return wakes, loads, err
}

// cycles has the agent do something often.
func (g guest) cycles(ctx context.Context, what string, args ...string) (all []agentwire.Cycle, err error) {
	out, err := g.shell(ctx, lab.AgentPath+" "+what+" "+strings.Join(args, " "))
	for lines := json.NewDecoder(strings.NewReader(out)); err == nil && lines.More(); {
		var c agentwire.Cycle
		err = lines.Decode(&c)
		all = append(all, c)
	}
	return all, err
}

// mostLeft is how much memory of a kind a sleep may leave behind, in bytes.
const mostLeft = 64 << 10

// leftRows tell what a sleep leaves behind.
func leftRows(asleep, never []sizes) (rows []row) {
	for _, k := range kinds {
		of := func(all []sizes) (figures []float64) {
			for _, m := range all {
				figures = append(figures, m[k.line])
			}
			return figures
		}
		without := median(of(never))
		rows = append(rows, row{what: "  left behind by its sleep: " + k.what, unit: inBytes,
			ours: []float64{max(0, median(of(asleep))-without)}, bound: atMost(mostLeft)})
	}
	return rows
}

// took is how long each time was, in nanoseconds.
func took(all []agentwire.Cycle) (ns []float64) {
	for _, c := range all {
		ns = append(ns, float64(c.Took))
	}
	return ns
}

// rows are about the times, in a guest in which a program takes longer than the native
// time, and, of many sleeps, about what grows.
func (s sleeper) rows(m measured, native float64) (rows []row) {
	opens, loads, slow := took(m.wakes), took(m.loads), median(took(m.starts))/native
	most := 10e6 * slow // nanoseconds that a wake may take longer: 10 ms of this machine's
	rows = append(rows,
		row{what: fmt.Sprintf("%s: open() that wakes it, %.0f times as slow", s.what, slow), unit: inMilliseconds, ours: opens, whose: "modprobe and open()", peer: loads, bound: atMost(median(loads) + most)},
		row{what: "  the slowest of 100", unit: inMilliseconds, ours: []float64{percentile(opens, 99)}, whose: "modprobe and open()", peer: []float64{percentile(loads, 99)}, bound: atMost(percentile(loads, 99) + most)})
	if len(m.slept) == 0 {
		return rows
	}
	memory, others := grown(m.slept)
	peerMemory, peerOthers := grown(m.loaded)
	return append(rows,
		row{what: "  growth in 1000 sleeps: memory", unit: inBytes, ours: memory, whose: "modprobe", peer: peerMemory},
		row{what: "  nodes, modules, open files", unit: inFull, ours: others, whose: "modprobe", peer: peerOthers, bound: atMost(0.5)})
}

// grown is by how much memory, and what there is of nodes, modules and open files, grow.
func grown(all []agentwire.Cycle) (memory, others []float64) {
	of := func(figure func(agentwire.Cycle) float64) []float64 {
		slope, known := growth(all, figure)
		if !known {
			return nil
		}
		return []float64{slope}
	}
	return of(func(c agentwire.Cycle) float64 { return float64(c.Memory) }),
		of(func(c agentwire.Cycle) float64 { return float64(c.Nodes + c.Modules + c.Files) })
}

func inMilliseconds(ns float64) string { return fmt.Sprintf("%.1f ms", ns/1e6) }

// percentile is the figure that p of a hundred do not exceed.
func percentile(figures []float64, p int) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	return sorted[(len(sorted)*p+99)/100-1]
}

// growth is by how much a figure grows in a thousand sleeps: the slope of the line with
// the least squares through those before which kmodd was at rest. It is not known where
// these were too few.
func growth(all []agentwire.Cycle, figure func(agentwire.Cycle) float64) (slope float64, known bool) {
	var n, sumX, sumY, sumXX, sumXY float64
	for i, c := range all {
		if !c.Rested {
			continue
		}
		x, y := float64(i), figure(c)
		n, sumX, sumY, sumXX, sumXY = n+1, sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	if n < 2 {
		return 0, false
	}
	return (n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX) * 1000, true
}
