package rules_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/modalias/modaliastest"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// A peer is Debian's modprobe and a Set, both over the tables of Debian's
// kernel and the same configuration.
type peer struct {
	modprobe, root, version, conf string
	tables                        *match.Tables
	config                        *modprobed.Config
}

func newPeer(tb testing.TB, conf string) *peer {
	tb.Helper()
	kernel, err := debian.LoadKernel(tb.Context(), os.Stderr)
	if err != nil {
		tb.Fatal(err)
	}
	p := &peer{root: kernel.Root, version: kernel.Version}
	if p.modprobe, err = debian.Need(tb.Context(), os.Stderr, "modprobe", "kmod"); err != nil {
		tb.Fatal(err)
	}
	if p.tables, err = match.Open(p.dir()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.tables.Close(); err != nil {
			tb.Error(err)
		}
	})
	etc := tb.TempDir()
	p.conf = filepath.Join(etc, "etc/modprobe.d")
	if err := os.MkdirAll(p.conf, 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.conf, "test.conf"), []byte(conf), 0o644); err != nil {
		tb.Fatal(err)
	}
	cmdline, err := os.ReadFile("/proc/cmdline") // modprobe reads it, too
	if err != nil {
		tb.Fatal(err)
	}
	p.config = modprobed.Load(etc, p.dir(), string(cmdline))
	return p
}

func (p *peer) dir() string { return filepath.Join(p.root, "lib/modules", p.version) }

func (p *peer) set() *rules.Set { return rules.NewSet(p.tables, p.config) }

// setOfFirstSoftdeps is the set with the softdep lines that modprobe heeds:
// the first for each module.
func (p *peer) setOfFirstSoftdeps() *rules.Set {
	c := *p.config
	c.Softdeps = nil
	for _, s := range p.config.Softdeps {
		if !slices.ContainsFunc(c.Softdeps, func(t modprobed.Softdep) bool { return t.Pattern == s.Pattern }) {
			c.Softdeps = append(c.Softdeps, s)
		}
	}
	return rules.NewSet(p.tables, &c)
}

// run returns what modprobe prints, a line for each item, each once. That it
// finds nothing is no failure.
func (p *peer) run(args ...string) ([]string, error) {
	args = append([]string{"-q", "-d", p.root, "-S", p.version, "-C", p.conf}, args...)
	out, err := exec.Command(p.modprobe, args...).Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if !slices.Contains(lines, line) && !strings.HasPrefix(line, "builtin ") {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// printed is a decision in the words of modprobe -D.
func printed(d rules.Decision) (lines []string) {
	for _, s := range d.Steps {
		what, rest := "insmod "+s.File, s.Options
		if s.Install != "" {
			what = "install " + s.Install
		}
		lines = append(lines, strings.TrimSpace(what+" "+rest))
	}
	return lines
}

// compare asks modprobe and us about each name, two at a time.
func (p *peer) compare(t *testing.T, names []string, ours func(name string) []string, args ...string) {
	t.Helper()
	var all errgroup.Group
	all.SetLimit(2)
	for _, name := range names {
		all.Go(func() error {
			theirs, err := p.run(slices.Concat(args, []string{"--", name})...)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(theirs, ours(name), cmp.Transformer("set", func(s []string) string { return strings.Join(s, "\n") })); diff != "" {
				t.Errorf("%s (- modprobe, + we):\n%s", name, diff)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
}

// sampled returns a name made from every nth pattern of a text table.
func sampled(t testing.TB, file string, nth int) (names []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 0))
	number := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "alias" {
			continue
		}
		if number++; number%nth == 0 {
			names = append(names, modaliastest.Concrete(f[1], r))
		}
	}
	return names
}

func TestSameModulesAsModprobe(t *testing.T) {
	p := newPeer(t, "")
	names := sampled(t, filepath.Join(p.dir(), "modules.alias"), 10)
	for _, name := range slices.Clone(names[:100]) {
		names = append(names, name+"x", name[:len(name)-1], "x"+name)
	}
	names = append(names, sampled(t, filepath.Join(p.dir(), "modules.symbols"), 500)...)
	names = append(names, "snd-hda-intel", "snd_hda_intel", "no-such-module", "symbol:nothing", "crypto-sha256",
		"crypto-crc32c", "aes", "crypto-aes-all", "e1000e", "libata", "8250", "fs-ext4", "fs-nothing", "a]b")
	set := p.set()
	p.compare(t, names, func(name string) []string { return set.Resolve(name).Modules }, "-R")
}

func TestSameStepsAsModprobe(t *testing.T) {
	p := newPeer(t, "")
	set := p.setOfFirstSoftdeps()
	p.compare(t, p.modules(t, 1), func(name string) []string { return printed(set.Resolve(name)) }, "-D")
}

// modules returns every nth module, and those with softdeps.
func (p *peer) modules(t *testing.T, nth int) (names []string) {
	t.Helper()
	order, err := os.ReadFile(filepath.Join(p.dir(), "modules.order"))
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	for line := range strings.Lines(string(order)) {
		if number++; number%nth == 0 {
			names = append(names, modalias.ModuleName(filepath.Base(strings.TrimSpace(line))))
		}
	}
	for _, s := range p.config.Softdeps {
		names = append(names, s.Pattern)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Of the softdep lines of one module modprobe heeds the first. These are the
// modules of Debian's kernel where that makes a difference, beside those that
// need one of them.
func TestAllSoftdepLinesCount(t *testing.T) {
	p := newPeer(t, "")
	all, first := p.set(), p.setOfFirstSoftdeps()
	var differ []string
	for _, s := range p.config.Softdeps {
		ours, theirs := printed(all.Resolve(s.Pattern)), printed(first.Resolve(s.Pattern))
		for _, step := range theirs {
			if !slices.Contains(ours, step) {
				t.Errorf("%s: we leave out %s", s.Pattern, step)
			}
		}
		if len(ours) > len(theirs) && !slices.Contains(differ, s.Pattern) {
			differ = append(differ, s.Pattern)
		}
	}
	if diff := cmp.Diff([]string{"ksmbd", "btrfs"}, differ); diff != "" {
		t.Error(diff)
	}
}

// Configuration of every kind, in the words of modprobe -D, asked for by name
// and, with -b, as hot-plug does.
func TestSameConfigurationAsModprobe(t *testing.T) {
	p := newPeer(t, `
alias my-nic e1000e
alias my-nic r8169
alias pci:v00008086d000010D4* e1000
alias nowhere no-such-module
alias nick my-nic
options e1000e IntMode=1
options my-nic debug=1
options e1000e InterruptThrottleRate=1 \
  SmartPowerDownEnable=1
blacklist e1000
blacklist snd-pcsp
blacklist mii
install floppy /bin/echo floppy
install only-a-command /bin/true $CMDLINE_OPTS
remove only-a-remove /bin/true
install i2c-algo-bit /bin/echo i2c
options floppy floppy=thinkpad
softdep e100 pre: my-nic post: loop
softdep tg3 pre: snd-pcsp mii no-such-module
options only-a-command x=y
`)
	names := []string{"my-nic", "my_nic", "pci:v00008086d000010D4sv0sd0bc02sc00i00",
		"pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", "nowhere", "nick", "e1000", "e1000e", "snd-pcsp",
		"platform:pcspkr", "mii", "floppy", "only-a-command", "only-a-remove", "i2c-algo-bit", "igb", "e100", "tg3",
		"acpi:PNP0700:", "libata", "net-pf-10", "fs-xfs"}
	set := p.setOfFirstSoftdeps()
	t.Run("by name", func(t *testing.T) {
		p.compare(t, names, func(name string) []string { return printed(set.Resolve(name)) }, "-D")
	})
	t.Run("by hot-plug", func(t *testing.T) {
		p.compare(t, names, func(name string) []string { return printed(set.Decide(rules.Device{Modalias: name})) }, "-b", "-D")
	})
}

// modprobe passes over an install line of a module that has softdeps, and loads
// the module; who wrote "install X /bin/false" did not mean that.
func TestInstallLineCountsInSpiteOfSoftdeps(t *testing.T) {
	p := newPeer(t, "install floppy /bin/false\nsoftdep floppy pre: loop\n")
	theirs, err := p.run("-D", "floppy")
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) string {
		m, _ := p.tables.Module(name)
		return m.File
	}
	if diff := cmp.Diff([]string{"insmod " + file("loop"), "insmod " + file("floppy")}, theirs); diff != "" {
		t.Errorf("modprobe: %s", diff)
	}
	ours := printed(p.set().Resolve("floppy"))
	if diff := cmp.Diff([]string{"insmod " + file("loop"), "install /bin/false"}, ours); diff != "" {
		t.Error(diff)
	}
}
