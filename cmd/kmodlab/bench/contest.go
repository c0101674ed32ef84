package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
)

// A contender is a loader with what it is given.
type contender struct {
	loader
	files map[string]string // that the guest gets, by path
	ends  bool              // it ends when all is loaded, so it has no memory at rest
	// remembers says that it writes a forecast, which is waited for.
	remembers bool
}

// account is the cgroup that all of a loader's processes are in, for their time.
const account = "/sys/fs/cgroup/loader"

// ended is where a loader that ends says so.
const ended = "/run/ended"

// ending makes a loader of a shell command that ends.
func ending(name, command string) loader {
	return loader{name: name, start: command + "; echo >" + ended, settled: "[ -e " + ended + " ]", sure: "true"}
}

// classicLoop is what boards without a hotplug daemon do at their start: again, until
// that brings nothing more, since drivers make devices.
const classicLoop = `before=; while now=$(wc -l </proc/modules); [ "$now" != "$before" ]; do before=$now
find /sys/devices -name modalias -exec cat {} + | sort -u | xargs modprobe -abq; sleep 0.2; done`

// awaitedByName are those of the drivers that the rule of a contender names.
var awaitedByName = []string{"pci/drivers/e1000/0*", "virtio/drivers/virtio_scsi/v*", "usb/drivers/usbhid/[0-9]*"}

// The rules of contenders.
const (
	rulesAllAsync = "[[rule]]\nname = \"all at the same time\"\nmodule = \"*\"\nasync = true\n"
	rulesNamed    = `[[rule]]
name = "what this board waits for"
module = ["e1000", "virtio_pci", "virtio_scsi", "xhci_pci", "ehci_pci", "uhci_hcd", "usbhid", "hid_generic"]
stage = "critical"

[[rule]]
name = "the rest"
module = "*"
stage = "normal"
`
	rulesFastBoot = "deploy/kmodd/fast-boot.toml"
	rulesForesee  = "prediction = true\n"
)

// contenders are all of them. before is an earlier boot of the same machine with kmodd.
func contenders(fastBoot string, before coldplug) []contender {
	ours := func(name, rules string) contender {
		c := contender{loader: kmodd}
		if rules != "" {
			c.files = map[string]string{"/etc/kmodd/kmodd.toml": rules}
		}
		c.title = name
		return c
	}
	deferring := ours("kmodd, fast-boot", fastBoot)
	deferring.settled = "kmodctl settle && kmodctl boot-complete && kmodctl settle && " + kmodd.settled
	foreseeing := func(name, rules string) contender {
		c := ours(name, rulesForesee+rules)
		c.files[forecast] = before.forecast
		return c
	}
	list := strings.Join(before.modules, "\n")
	bare := func(name, options string) contender {
		return contender{loader: ending(name, "/usr/lib/kmodlab/agent load /root/list "+options), files: map[string]string{"/root/list": list}, ends: true}
	}
	return []contender{
		{loader: udevd},
		{loader: ending("modprobe -ab in a loop", classicLoop), ends: true},
		ours("kmodd", ""),
		ours("kmodd, async = true for all", rulesAllAsync),
		ours("kmodd, three drivers critical by rule", rulesNamed),
		deferring,
		foreseeing("kmodd, prediction", ""),
		foreseeing("kmodd, prediction, three drivers critical by rule", rulesNamed),
		bare("the list in advance", ""),
		bare("the list in advance, async_probe", "async_probe"),
	}
}

// A standing is what the boots of a contender have given, one figure for each.
type standing struct {
	title                             string
	named, first, loaded, bound, user []float64 // in seconds
	memory                            []float64 // in bytes, none if it ends
}

// forecast is where kmodd writes down what the next boot may expect.
const forecast = "/var/lib/kmodd/forecast.json"

// learning is a contender that does so.
func learning() contender {
	c := contender{loader: kmodd, files: map[string]string{"/etc/kmodd/kmodd.toml": rulesForesee}, remembers: true}
	c.start = "mkdir -p /var/lib/kmodd; exec kmodd -remember 1s"
	return c
}

// Contest has each of the contenders boot a busy PC n times, by turns, and prints what
// it took them. only, if it is not empty, leaves out those whose title lacks it, but for
// the first, whose times the others' are compared with.
func Contest(ctx context.Context, out, progress io.Writer, n int, only string) error {
	build, err := lab.Prepare(ctx, progress, lab.Programs...)
	if err != nil {
		return err
	}
	fastBoot, err := os.ReadFile(rulesFastBoot)
	if err != nil {
		return err
	}
	fmt.Fprintln(progress, "a boot to know the list of modules")
	before, err := coldplugOf(ctx, build, learning())
	if err != nil {
		return err
	}
	all := contenders(string(fastBoot), before)
	all = append(all[:1], slices.DeleteFunc(all[1:], func(c contender) bool { return !strings.Contains(c.of(), only) })...)
	standings := make([]standing, len(all))
	for i := range n {
		for j, c := range all {
			fmt.Fprintf(progress, "boot %d of %d: %s\n", i+1, n, c.of())
			boot, err := soundly(ctx, progress, build, c)
			if err != nil {
				if i > 0 { // half an hour's figures
					err = errors.Join(writeStandings(out, standings), err)
				}
				return err
			}
			standings[j].add(c, boot)
		}
	}
	return writeStandings(out, standings)
}

// soundly is coldplugOf, again if the emulator crashes, which says nothing of a loader.
func soundly(ctx context.Context, progress io.Writer, build *lab.Build, c contender) (boot coldplug, err error) {
	for range 3 {
		boot, err = coldplugOf(ctx, build, c)
		var ended *qemu.Ended
		if !errors.As(err, &ended) || !ended.Killed() || ctx.Err() != nil {
			break
		}
		fmt.Fprintln(progress, "QEMU has crashed; once more")
	}
	return boot, err
}

func (s *standing) add(c contender, boot coldplug) {
	s.title = c.of()
	s.named = append(s.named, boot.named.Seconds())
	s.first = append(s.first, boot.first.Seconds())
	s.loaded = append(s.loaded, boot.loaded.Seconds())
	s.bound = append(s.bound, boot.bound.Seconds())
	s.user = append(s.user, boot.user.Seconds())
	if !c.ends {
		s.memory = append(s.memory, float64(boot.memory.rss))
	}
}

// writeStandings prints a table in Markdown: medians, from the least to the most, and
// how many times the first contender's they are.
func writeStandings(to io.Writer, standings []standing) error {
	for _, line := range about(Options{Boots: len(standings[0].first)})[:3] {
		fmt.Fprintf(to, "- %s: %s\n", line[0], line[1])
	}
	fmt.Fprintln(to)
	w := tabwriter.NewWriter(to, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| loader\t| three named\t| disks, network, keyboards\t| last module live\t| all bound\t| user time\t| RSS at rest\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	first := standings[0]
	for _, s := range standings {
		cells := []string{
			s.title, spread(s.named, first.named), spread(s.first, first.first), spread(s.loaded, first.loaded),
			spread(s.bound, first.bound), spread(s.user, first.user), "-",
		}
		if len(s.memory) > 0 {
			cells[6] = inBytes(median(s.memory))
		}
		fmt.Fprintln(w, "| "+strings.Join(cells, "\t| ")+"\t|")
	}
	return w.Flush()
}

// spread is a median, the range that it comes from, and how many times another median
// it is.
func spread(figures, than []float64) string {
	return fmt.Sprintf("%.1f s (%.1f to %.1f), %.2f", median(figures), slices.Min(figures), slices.Max(figures), median(figures)/median(than))
}

// keep accounts for a shell command's time, and that of all that it starts.
func keep(command string) string {
	return "mkdir -p " + account + " && echo $$ >" + account + "/cgroup.procs; " + command
}

// parseUser reads how long a cgroup's processes have run, without the kernel's work for
// them (Documentation/admin-guide/cgroup-v2.rst, cpu.stat).
func parseUser(text string) (microseconds int64, err error) {
	for line := range strings.Lines(text) {
		if number, ok := strings.CutPrefix(line, "user_usec "); ok {
			return strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		}
	}
	return 0, errors.New("cpu.stat has no user_usec")
}
