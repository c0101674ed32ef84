package rules_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/modalias/modaliastest"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// A peer is Debian's modprobe and what a Set is made of: the tables of a kernel
// of Debian's, and configuration.
type peer struct {
	*sandbox
	kernel, version, conf, cmdline string

	tables *match.Tables
}

// newPeer returns a peer for the kernel of an architecture.
func newPeer(tb testing.TB, arch debian.Architecture) *peer {
	tb.Helper()
	kernel, err := arch.LoadKernel(tb.Context(), os.Stderr)
	if err != nil {
		tb.Fatal(err)
	}
	p := &peer{sandbox: newSandbox(tb), kernel: kernel.Root, version: kernel.Version, conf: tb.TempDir()}
	if p.tables, err = match.Open(p.moduleDir()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.tables.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// configure has both read other configuration from here on.
func (p *peer) configure(tb testing.TB, conf, cmdline string) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(p.conf, "test.conf"), []byte(conf), 0o644); err != nil {
		tb.Fatal(err)
	}
	p.cmdline = cmdline
	p.boot(tb, cmdline)
}

func (p *peer) moduleDir() string { return filepath.Join(p.kernel, "lib/modules", p.version) }

// config is what was configured, as a dialect has it.
func (p *peer) config(d modprobed.Dialect) *modprobed.Config {
	return d.LoadPaths([]string{p.conf}, p.moduleDir(), p.cmdline)
}

func (p *peer) set(d modprobed.Dialect) *rules.Set { return rules.NewSet(p.tables, p.config(d)) }

// args are modprobe's arguments for the peer's tables and configuration.
func (p *peer) args(more ...string) []string {
	return append([]string{"-d", p.kernel, "-S", p.version, "-C", p.conf}, more...)
}

// once leaves out what modprobe names again: a step for each module that needs
// it, and a module for each of its aliases that matches. The second time the
// module would be live. What is built in is no step.
func once(lines []string) (kept []string) {
	seen := map[string]bool{}
	for _, line := range lines {
		what, _, _ := strings.Cut(line, ".ko ")
		if !seen[what] && !strings.HasPrefix(line, "builtin ") {
			kept = append(kept, line)
		}
		seen[what] = true
	}
	return kept
}

// printed is a decision in the words of modprobe -D.
func printed(d rules.Decision) (lines []string) { return once(stepLines(d.Steps)) }

// shown is an answer in the words of modprobe -n -v.
func shown(answers []rules.Answer) (lines []string) {
	for _, a := range answers {
		lines = append(lines, stepLines(a.Steps)...)
	}
	return lines
}

func stepLines(steps []rules.Step) (lines []string) {
	for _, s := range steps {
		lines = append(lines, line(s))
	}
	return lines
}

// line is a step in the words of modprobe, which has a blank after each of them.
func line(s rules.Step) string {
	line := "insmod " + s.File + " "
	switch {
	case s.Install != "":
		line = "install " + s.Install + " "
	case s.Builtin:
		return "builtin " + s.Module
	}
	if s.Options != "" {
		line += s.Options + " "
	}
	return line
}

// compare asks modprobe and us about each name.
func (p *peer) compare(t *testing.T, names []string, ours func(name string) []string, args ...string) {
	t.Helper()
	differ := 0
	for batch := range slices.Chunk(names, 500) {
		for i, theirs := range p.each(t, batch, p.args(args...)...) {
			if diff := cmp.Diff(once(theirs), ours(batch[i])); diff != "" {
				t.Errorf("%s (- modprobe, + we):\n%s", batch[i], diff)
				differ++
			}
			if differ > 20 {
				t.Fatal("and so on")
			}
		}
	}
}

// named returns a name made from every pattern of a text table.
func (p *peer) named(t testing.TB, table string, r *rand.Rand) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.moduleDir(), table))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
			names = append(names, modaliastest.Concrete(f[1], r))
		}
	}
	return names
}

// missed returns names that are each wrong in one byte behind the name of the
// bus.
func missed(names []string, r *rand.Rand) (missed []string) {
	for _, name := range names {
		b := []byte(name)
		at := strings.IndexByte(name, ':') + 1
		b[min(at+r.IntN(max(1, len(b)-at)), len(b)-1)] = '~'
		missed = append(missed, string(b))
	}
	return missed
}

// modules returns the names of all modules.
func (p *peer) modules(t *testing.T) (names []string) {
	t.Helper()
	order, err := os.ReadFile(filepath.Join(p.moduleDir(), "modules.order"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(order)) {
		names = append(names, modalias.ModuleName(filepath.Base(strings.TrimSpace(line))))
	}
	return names
}

var architectures = []debian.Architecture{debian.AMD64, debian.ARM64}

// A name for each alias and for each symbol, one that misses for each alias, and
// the names of all modules lead to the modules that modprobe -R names, in its
// order.
func TestSameModulesAsModprobe(t *testing.T) {
	for _, arch := range architectures {
		t.Run(string(arch), func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, arch)
			p.configure(t, "", "")
			r := rand.New(rand.NewPCG(1, 0))
			hits := p.named(t, "modules.alias", r)
			names := slices.Concat(hits, missed(hits, r), p.named(t, "modules.symbols", r), p.modules(t),
				[]string{"snd-hda-intel", "no-such-module", "symbol:nothing", "crypto-sha256", "crypto-crc32c",
					"aes", "crypto-aes-all", "8250", "fs-ext4", "fs-nothing", "a]b"})
			if len(hits) < 20000 {
				t.Errorf("only %d aliases", len(hits))
			}
			set := p.set(modprobed.Kmodd)
			p.compare(t, names, func(name string) []string { return set.Resolve(name).Modules }, "-R")
			t.Logf("%d names", len(names))
		})
	}
}

// The steps of every module are those of modprobe -D. In our own dialect only
// those differ where a softdep line counts that is not the module's first.
func TestSameStepsAsModprobe(t *testing.T) {
	for _, arch := range architectures {
		t.Run(string(arch), func(t *testing.T) {
			p := newPeer(t, arch)
			p.configure(t, "", "")
			theirs := p.set(modprobed.Kmod)
			p.compare(t, p.modules(t), func(name string) []string { return printed(theirs.Resolve(name)) }, "-D")
			ours := p.set(modprobed.Kmodd)
			for _, name := range p.modules(t) {
				if diff := cmp.Diff(printed(theirs.Resolve(name)), printed(ours.Resolve(name))); diff != "" && !p.hasSeveralSoftdeps(name) {
					t.Errorf("%s (- as kmod, + as kmodd):\n%s", name, diff)
				}
			}
		})
	}
}

// hasSeveralSoftdeps reports whether there is more than one softdep line for a
// module, or for one that it needs.
func (p *peer) hasSeveralSoftdeps(name string) bool {
	m, _ := p.tables.Module(name)
	for _, name := range append(m.Needs, name) {
		count := 0
		for _, s := range p.config(modprobed.Kmodd).Softdeps {
			if s.Pattern == name {
				count++
			}
		}
		if count > 1 {
			return true
		}
	}
	return false
}

// Of the softdep lines of one module modprobe heeds the first. These are the
// modules of Debian's kernel where that makes a difference, beside those that
// need one of them.
func TestAllSoftdepLinesCount(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	p.configure(t, "", "")
	all, first := p.set(modprobed.Kmodd), p.set(modprobed.Kmod)
	var differ []string
	for _, s := range p.config(modprobed.Kmodd).Softdeps {
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

// Configuration of every kind beside Debian's own tables, asked for by name and,
// with -b, as hot-plug does.
func TestSameConfigurationAsModprobe(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	p.configure(t, `
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
`, "modprobe.blacklist=igb e1000e.debug=16 quiet")
	names := []string{"my-nic", "my_nic", "pci:v00008086d000010D4sv0sd0bc02sc00i00",
		"pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", "nowhere", "nick", "e1000", "e1000e", "snd-pcsp",
		"platform:pcspkr", "mii", "floppy", "only-a-command", "only-a-remove", "i2c-algo-bit", "igb", "e100", "tg3",
		"acpi:PNP0700:", "libata", "net-pf-10", "fs-xfs"}
	for _, dialect := range []modprobed.Dialect{modprobed.Kmodd, modprobed.Kmod} {
		set := p.set(dialect)
		p.compare(t, names, func(name string) []string { return printed(set.Resolve(name)) }, "-D")
		p.compare(t, names, func(name string) []string { return printed(set.Decide(rules.Device{Modalias: name})) }, "-b", "-D")
	}
}
