package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	for _, s := range sleepers {
		fmt.Fprintf(progress, "  %s, %d times\n", s.what, cycles)
		all, peer, kept, err := s.cycle(ctx, build, cycles)
		if err != nil {
			return nil, err
		}
		never, err := s.never(ctx, build)
		if err != nil {
			return nil, err
		}
		rows = append(rows, s.rows(all, peer, kept-never)...)
	}
	return rows, nil
}

// boot boots a PC with kmodd, and plugs the device in.
func (s sleeper) boot(ctx context.Context, build *lab.Build, file, rule string) (guest, error) {
	m, err := build.Boot(ctx, lab.Options{})
	if err != nil {
		return guest{}, err
	}
	g := guest{m, kmodd}
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

// cycle has the driver sleep and wake, and then modprobe take it out and put it in.
// Kept is what the kernel's memory is in between, while the driver sleeps.
func (s sleeper) cycle(ctx context.Context, build *lab.Build, cycles int) (ours, peer []agentwire.Cycle, kept int64, err error) {
	rule := fmt.Sprintf("[[rule]]\nmodule = %q\nidle = %q\n", s.module, idleTime)
	g, err := s.boot(ctx, build, "/etc/kmodd/kmodd.toml", rule)
	if err != nil {
		return nil, nil, 0, err
	}
	if _, err = g.Until(ctx, settleTime, "test", "-e", s.device); err != nil {
		return nil, nil, 0, s.failed(g.Machine, err)
	}
	if ours, err = g.cycles(ctx, "wake", s.device, s.module, strconv.Itoa(cycles)); err != nil {
		return nil, nil, 0, s.failed(g.Machine, err)
	}
	_, err = g.Until(ctx, settleTime, "sh", "-c", "! test -e /sys/module/"+s.module)
	if err == nil {
		kept, err = g.kept(ctx)
	}
	if err != nil {
		return nil, nil, 0, s.failed(g.Machine, err)
	}
	if _, err = g.shell(ctx, "kill $(pidof kmodd); while pidof kmodd; do sleep 0.1; done >/dev/null; modprobe "+s.module); err != nil {
		return nil, nil, 0, s.failed(g.Machine, err)
	}
	if peer, err = g.cycles(ctx, "reload", s.module, strconv.Itoa(min(cycles, 100))); err != nil {
		return nil, nil, 0, s.failed(g.Machine, err)
	}
	return ours, peer, kept, g.Close()
}

// cycles has the agent do something often.
func (g guest) cycles(ctx context.Context, args ...string) (all []agentwire.Cycle, err error) {
	out, err := g.shell(ctx, lab.AgentPath+" "+strings.Join(args, " "))
	for lines := json.NewDecoder(strings.NewReader(out)); err == nil && lines.More(); {
		var c agentwire.Cycle
		err = lines.Decode(&c)
		all = append(all, c)
	}
	return all, err
}

// never is the kernel's memory where the driver was never loaded, though its device
// is there.
func (s sleeper) never(ctx context.Context, build *lab.Build) (size int64, err error) {
	g, err := s.boot(ctx, build, "/etc/modprobe.d/never.conf", "blacklist "+s.module+"\n")
	if err != nil {
		return 0, err
	}
	if size, err = g.kept(ctx); err != nil {
		return 0, s.failed(g.Machine, err)
	}
	return size, g.Close()
}

// kept is how much memory the kernel uses when nothing happens.
func (g guest) kept(ctx context.Context) (size int64, err error) {
	time.Sleep(stillFor)
	text, err := g.shell(ctx, lab.AgentPath+" memory")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(text), 10, 64)
}

// most is what a sleep may leave behind.
const most = 64 << 10

func (s sleeper) rows(ours, peer []agentwire.Cycle, left int64) []row {
	took := func(all []agentwire.Cycle) (ns []float64) {
		for _, c := range all {
			ns = append(ns, float64(c.Took))
		}
		return ns
	}
	slope := func(figure func(agentwire.Cycle) float64) []float64 {
		return []float64{growth(ours, figure) * 1000}
	}
	opens, loads := took(ours), took(peer)
	return []row{
		{what: s.what + ": open() that wakes it, emulated", unit: inMilliseconds, ours: opens, whose: "modprobe", peer: loads},
		{what: "  the slowest of 100", unit: inMilliseconds, ours: []float64{percentile(opens, 99)}, whose: "modprobe", peer: []float64{percentile(loads, 99)}},
		{what: "  left behind by its sleep", unit: inBytes, ours: []float64{max(0, float64(left))}, bound: atMost(most)},
		{what: "  growth in 1000 sleeps: memory", unit: inBytes, ours: slope(func(c agentwire.Cycle) float64 { return float64(c.Memory) })},
		{what: "  nodes, modules, open files", unit: inFull, ours: slope(func(c agentwire.Cycle) float64 { return float64(c.Nodes + c.Modules + c.Files) }), bound: atMost(0.5)},
	}
}

func inMilliseconds(ns float64) string { return fmt.Sprintf("%.1f ms", ns/1e6) }

// percentile is the figure that p of a hundred do not exceed.
func percentile(figures []float64, p int) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	return sorted[(len(sorted)*p+99)/100-1]
}

// growth is by how much a figure grows each time: the slope of the line through all
// of them with the least squares.
func growth(all []agentwire.Cycle, figure func(agentwire.Cycle) float64) float64 {
	n := float64(len(all))
	var sumX, sumY, sumXX, sumXY float64
	for i, c := range all {
		x, y := float64(i), figure(c)
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	below := n*sumXX - sumX*sumX
	if below == 0 {
		return 0
	}
	return (n*sumXY - sumX*sumY) / below
}
