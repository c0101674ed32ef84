package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

// The ways to look at what is made of a configuration.
const (
	asSteps    = "steps"      // modprobe -n -v NAME: the files, and commands
	asAnswer   = "answer"     // the same, with what is named again
	asConfig   = "config"     // modprobe -c, without the aliases of the modules
	complaints = "complaints" // how many lines are bad
)

// deviations are the rows of the table in docs/modprobe.md: what modprobe must
// make of a configuration, and what we do.
var deviations = []struct {
	what, conf, cmdline, deny string
	look, ask                 string
	theirs, ours              string
}{
	{what: "Several softdep lines", conf: "softdep floppy early\nsoftdep floppy pre: loop\nsoftdep f* post: brd",
		look: asSteps, ask: "floppy", theirs: "floppy", ours: "loop;floppy;brd"},
	{what: "An install line beside a softdep", conf: "install floppy false\nsoftdep floppy pre: loop",
		look: asSteps, ask: "floppy", theirs: "loop;floppy", ours: "loop;install false"},
	{what: "Names in modprobe.blacklist=", cmdline: `modprobe.blacklist=a-b "modprobe.blacklist=c,d"`,
		look: asConfig, theirs: `blacklist a-b;blacklist "c;blacklist d"`, ours: "blacklist a_b;blacklist c;blacklist d"},
	{what: "The kernel's module_blacklist=", cmdline: "module_blacklist=floppy",
		look: asSteps, ask: "floppy", theirs: "floppy", ours: ""},
	{what: "An alias to what is not installed", conf: "alias nick ghost\nsoftdep ghost pre: loop",
		look: asSteps, ask: "nick", theirs: "loop", ours: ""},
	{what: "An indented comment", conf: " # comment", look: complaints, theirs: "1", ours: "0"},
	{what: "Blanks around options and commands", conf: "options a   b=1\t\ninstall c  d ",
		look: asConfig, theirs: "install c  d ;options a   b=1 ", ours: "install c d;options a b=1"},
	{what: "Options and commands of blanks", conf: "options a   \ninstall c   ",
		look: asConfig, theirs: "install c   ;options a   ", ours: ""},
	{what: "One blank too many before pre:", conf: "softdep floppy  pre: loop",
		look: asSteps, ask: "floppy", theirs: "floppy", ours: "loop;floppy"},
	{what: "A backslash that ends a file", conf: `install a b\`, look: asConfig, theirs: "install a b\xff", ours: `install a b\`},
	{what: "Parameters without a name", cmdline: "x.=1 .y=1", look: asConfig, theirs: "options x =1;options  y=1", ours: ""},
	{what: "How -c prints a softdep", conf: "softdep x pre: a post: b\nsoftdep x pre: a post: b pre: c",
		look: asConfig, theirs: "softdep x pre: apost: b;softdep x pre: a b cpost: b",
		ours: "softdep x pre: a post: b;softdep x pre: a c post: b"},
	{what: "What several modules need", conf: "softdep parport post: ppdev", look: asAnswer, ask: "lp",
		theirs: "parport;parport;ppdev;lp", ours: "parport;ppdev;lp"},
	{what: "deny in kmodd.toml", conf: "softdep floppy pre: loop", deny: "loop",
		look: asSteps, ask: "floppy", theirs: "loop;floppy", ours: "floppy"},
}

// Each row of the table is what Debian's modprobe does, what we do in the dialect
// of kmod, and what we do in our own.
func TestEachDeviationBothWays(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	for _, d := range deviations {
		t.Run(d.what, func(t *testing.T) {
			p.configure(t, d.conf, d.cmdline)
			if got := p.theirs(t, d.look, d.ask); got != d.theirs {
				t.Errorf("modprobe: %q, want %q", got, d.theirs)
			}
			if got := p.ours(t, modprobed.Kmod, d.deny, d.look, d.ask); got != d.theirs {
				t.Errorf("as kmod: %q, want %q", got, d.theirs)
			}
			if got := p.ours(t, modprobed.Kmodd, d.deny, d.look, d.ask); got != d.ours || d.ours == d.theirs {
				t.Errorf("as kmodd: %q, want %q", got, d.ours)
			}
		})
	}
}

// The table in docs/modprobe.md and the deviations that are tested are the same.
func TestEachDeviationIsInTheTable(t *testing.T) {
	text, err := os.ReadFile("../docs/modprobe.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows, tested []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) == 4 && cells[0] != "| What" {
			rows = append(rows, strings.TrimPrefix(cells[0], "| "))
		}
	}
	for _, d := range deviations {
		tested = append(tested, d.what)
	}
	if diff := cmp.Diff(rows, tested); diff != "" {
		t.Errorf("(- docs/modprobe.md, + tested):\n%s", diff)
	}
}

// theirs is what modprobe says, its lines separated by ";".
func (p *peer) theirs(t *testing.T, look, ask string) string {
	t.Helper()
	switch look {
	case asSteps:
		return summary(once(p.each(t, []string{ask}, p.args("-n", "-v")...)[0]))
	case asAnswer:
		return summary(p.each(t, []string{ask}, p.args("-n", "-v")...)[0])
	}
	out, stderr := p.modprobe(t, p.args("-c")...)
	if look == complaints {
		return fmt.Sprint(strings.Count(stderr, "ignoring bad line"))
	}
	return p.withoutShipped(out)
}

// ours is the same of a set in some dialect, with a policy that denies a module.
func (p *peer) ours(t *testing.T, d modprobed.Dialect, deny, look, ask string) string {
	t.Helper()
	toml := policy.Parse()
	if deny != "" {
		toml = policy.Parse(policy.File{Name: "x.toml", Text: fmt.Sprintf("[[rule]]\nmodule = %q\nstage = \"deny\"\n", deny)})
	}
	set := rules.NewSet(p.tables, p.config(d), rules.WithPolicy(toml))
	switch look {
	case asSteps:
		return summary(printed(set.Resolve(ask)))
	case asAnswer:
		return summary(shown(set.Ask(ask, rules.Ask{})))
	case complaints:
		return fmt.Sprint(len(p.config(d).Warnings))
	}
	var dump strings.Builder
	if err := set.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	return p.withoutShipped(dump.String())
}

// withoutShipped is the dump of a configuration without the softdeps of Debian's
// modules.
func (p *peer) withoutShipped(dump string) string {
	var kept []string
	conf, _, _ := strings.Cut(dump, "\n\n")
	for line := range strings.Lines(conf + "\n") {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "softdep ") || strings.HasPrefix(line, "softdep x ") {
			kept = append(kept, line)
		}
	}
	return strings.Trim(strings.Join(kept, ";"), ";")
}

// summary names modules in place of files.
func summary(lines []string) string {
	for i, line := range lines {
		if file, ok := strings.CutPrefix(line, "insmod "); ok {
			line = strings.TrimSuffix(filepath.Base(file), ".ko ")
		}
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, ";")
}
