package modprobe_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/cmd/kmodctl/modprobe"
	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// A peer is Debian's modprobe and ours, over the modules of Debian's kernel and
// one configuration. What the machine that runs the tests has loaded, both see.
type peer struct {
	theirs string
	before []string // arguments that both get
	root   string   // of the kernel
}

func newPeer(tb testing.TB) *peer {
	tb.Helper()
	kernel, err := debian.LoadKernel(tb.Context(), os.Stderr)
	if err != nil {
		tb.Fatal(err)
	}
	theirs, err := debian.Need(tb.Context(), os.Stderr, "modprobe", "kmod")
	if err != nil {
		tb.Fatal(err)
	}
	return &peer{theirs, []string{"-d", kernel.Root, "-S", kernel.Version}, kernel.Root}
}

// A said is what modprobe has said.
type said struct {
	Stdout []string
	Stderr []string
	Exit   int
}

// libkmodPlace is where in its source libkmod found something wrong.
var libkmodPlace = regexp.MustCompile(`\.\./libkmod/[a-z-]+\.c:\d+ \w+\(\) `)

// libkmodRemark begins what libkmod says about its own work.
var libkmodRemark = regexp.MustCompile(`^modprobe: (INFO|DEBUG): `)

func newSaid(stdout, stderr string, exit int) (s said) {
	for line := range strings.Lines(stdout) {
		s.Stdout = append(s.Stdout, line)
	}
	for line := range strings.Lines(stderr) {
		if !libkmodRemark.MatchString(line) {
			s.Stderr = append(s.Stderr, libkmodPlace.ReplaceAllString(line, ""))
		}
	}
	s.Exit = exit
	return s
}

// once leaves out what kmod repeats: a module that several others need.
func (s said) once() said {
	known := make(map[string]bool)
	s.Stdout = slices.DeleteFunc(s.Stdout, func(line string) bool {
		again := known[line]
		known[line] = line != "\n"
		return again
	})
	return s
}

// A fataler is what testing and rapid have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func (p *peer) ask(tb fataler, args []string) said {
	tb.Helper()
	cmd := exec.Command(p.theirs, slices.Concat(p.before, args)...)
	cmd.Args[0] = "modprobe"
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return newSaid(stdout.String(), stderr.String(), cmd.ProcessState.ExitCode())
}

func (p *peer) we(args []string) said {
	var stdout, stderr bytes.Buffer
	exit := modprobe.Main(slices.Concat(p.before, args), "1.0", &stdout, &stderr)
	return newSaid(stdout.String(), stderr.String(), exit)
}

const conf = `
alias my-nic e1000e
alias my-nic r8169
alias nowhere no-such-module
alias nick my-nic
options e1000e IntMode=1
options my-nic debug=1
blacklist e1000
blacklist r8169
install floppy /bin/echo floppy $CMDLINE_OPTS
install only-a-command exit 0; echo $CMDLINE_OPTS
remove only-a-remove exit 0
remove tty_io exit 0
remove ppdev /bin/false
install failing exit 3
install i2c-algo-bit /bin/echo i2c
softdep e100 pre: my-nic post: ppdev
softdep pcspkr pre: no-such-module post: lp
alias inside unix
softdep unix pre: lp post: ppdev
install af-packet exit 0 $CMDLINE_OPTS
blacklist unix
softdep lp post: af_packet
`

// commandLines are those that modprobe must read and answer like kmod.
var commandLines = `

-x ppdev
-nv -x ppdev
-d
--wait
-w x -nv ppdev
--config
--quiet=1 ppdev
--no-such-option
--show
-nvr
-R
-D
-a
-r
-n e1000e
-nv e1000e
-v -n e1000e a=1 b=c
-nv e1000e -q
-q -nv e1000e
-q -nvv e1000e
-nv e1000e -- -q
-nv -- e1000e -q a=b
-nv e1000e a=b -w 3
e1000e -nv IntMode=2
-nvqb e1000e
--show e1000e -v
--show-d e1000e
--verb --dry e1000e
-nv -w 3 e1000e
-nv e1000e.ko
-nv /x/e1000e.ko
-nv a]
-nv a[b
-nv snd-hda-intel
-nv snd_hda-intel
-q -nv nosuch
-nv nosuch
nosuch
-q nosuch
-b nosuch
-a nosuch nosuch2
-a -q nosuch
-D nosuch
-R nosuch
-aD nosuch e1000e
-R my-nic
-R e1000 e1000e
-aR e1000 e1000e
-bR e1000
-R nowhere
-R unix
-D my-nic
-D my-nic ppdev
-D unix
-bD unix
-iD unix
-D inside
-D lp
-D af_packet x=1
-nv af_packet
-nv unix
unix
--first-time unix
--first-time -n unix
-nv my-nic x=y
-nva my-nic floppy nosuch e1000e
-D floppy
-nv floppy a=b c=d
-i -nv floppy a=1
-nv e1000
-nv -b e1000
-D -b e1000
-b --first-time e1000
-b my-nic -nv
-nv pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00
-nv symbol:snd_pcm_new
-nv symbol:kmalloc
-nv nick
-nvi only-a-command
-nv only-a-command z=1
only-a-command
--first-time only-a-command
-nv only-a-remove
-nv nowhere
-D nowhere
-nv e100
-nvi e100
-D pcspkr
-nv i2c-algo-bit
-nv igb
failing
failing a=b
-q failing
-a failing only-a-command
-a only-a-command failing
-r nosuch
-rq nosuch
-ra nosuch nosuch2
-r nosuch nosuch2
-r unix
-rn unix
-ra unix nosuch
-r --first-time unix
-r snd_hda_intel
-r --first-time snd_hda_intel
-r --first-time -q snd_hda_intel
-rnv snd_hda_intel
-rnv only-a-remove
-r only-a-remove
-rv only-a-remove
-r ppdev
-rv ppdev
-ra ppdev e1000
-r ppdev e1000
-rnv e100
-rD e1000e
-rnvi ppdev
-rnv --remove-holders only-a-remove
--ignore-remove -rnv ppdev
-rR e1000e
-nv --remove-holders e1000e
-f -nv e1000e
--force-vermagic --force-modversion -nv e1000e
-c
-c -b e1000e`

// args are the arguments in a line.
func args(line string) []string { return strings.Fields(line) }

func (p *peer) configured(t testing.TB, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p.before = append(slices.Clip(p.before[:4]), "-C", file)
}

// With --compat=kmod all is as kmod has it.
func TestSameWordsAndExitStatusAsKmod(t *testing.T) {
	p := newPeer(t)
	p.configured(t, conf)
	for line := range strings.SplitSeq(commandLines, "\n") {
		t.Run(line, func(t *testing.T) {
			want, got := p.ask(t, args(line)), p.we(append([]string{"--compat=kmod"}, args(line)...))
			if diff := cmp.Diff(want, got); diff != "" && !ambiguous(want) {
				t.Errorf("- modprobe, + we:\n%s", diff)
			}
		})
	}
}

// oddities are where --compat=kmod has to follow kmod around corners.
var oddities = []struct{ name, conf, line string }{
	{"a module that several need is named again", "softdep parport post: ppdev", "-nv lp"},
	{"by another alias it is another module", "alias nick lp\nsoftdep lp pre: nick", "-nv lp a=b"},
	{"an alias twice", "alias nick lp\nalias nick lp", "-nv nick"},
	{"a post-softdep that stays", "remove lp exit 0\nremove ppdev exit 1\nsoftdep lp post: ppdev", "-rv lp"},
	{"a pre-softdep that stays", "remove lp exit 0\nremove ppdev exit 1\nsoftdep lp pre: ppdev", "-rv lp"},
	{"with -a", "remove lp exit 0\nremove ppdev exit 1\nsoftdep lp pre: ppdev post: ppdev", "-rva lp"},
	{"with -q", "remove lp exit 0\nremove ppdev exit 1\nsoftdep lp pre: ppdev post: ppdev", "-rvq lp"},
	{"a softdep that is not there", "remove lp exit 0\nsoftdep lp pre: ppdev floppy", "-rnv --first-time lp"},
	{"and one that is built in", "remove lp exit 0\nsoftdep lp post: unix", "-rnv lp"},
	{"a softdep of a softdep that stays", "remove lp exit 0\nremove ppdev exit 0\nremove loop exit 1\nsoftdep lp pre: ppdev\nsoftdep ppdev post: loop", "-rv lp"},
	{"a softdep goes twice", "remove lp exit 0\nremove ppdev exit 0\nsoftdep lp pre: ppdev ppdev post: ppdev", "-rv lp"},
	{"what a softdep's name leads to goes backwards", "remove lp exit 0\nsoftdep lp pre: nick\nalias nick floppy\nalias nick ppdev\nremove floppy : floppy\nremove ppdev : ppdev", "-rv lp"},
	{"a softdep in a circle", "remove lp exit 0\nsoftdep lp pre: ppdev\nsoftdep ppdev post: lp", "-rv lp"},
}

func TestOdditiesOfKmod(t *testing.T) {
	p := newPeer(t)
	for _, test := range oddities {
		t.Run(test.name, func(t *testing.T) {
			p.configured(t, test.conf)
			want, got := p.ask(t, args(test.line)), p.we(append([]string{"--compat=kmod"}, args(test.line)...))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("- modprobe, + we:\n%s", diff)
			}
		})
	}
}

func TestSymbolsOfFilesAreShownAsByKmod(t *testing.T) {
	p := newPeer(t)
	p.before = nil
	modules := filepath.Join(p.root, "lib/modules")
	files := []string{"/nosuch.ko", "/dev/null", modules}
	for _, pattern := range []string{"*/kernel/sound/core/*.ko", "*/kernel/drivers/net/*.ko", "*/kernel/fs/x*/*.ko"} {
		found, err := filepath.Glob(filepath.Join(modules, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%q, %v", found, err)
		}
		files = append(files, found...)
	}
	for i, file := range files {
		for _, options := range []string{"--show-exports", "--dump-modversions", "--show-modversions", "--show-exports --show-modversions", "-q --show-exports", "-va --show-exports", "-a --show-modversions"} {
			if i > 8 && len(options) > len("--dump-modversions") {
				continue // often enough
			}
			line := append(args(options), file)
			want, got := p.ask(t, line), p.we(append([]string{"--compat=kmod"}, line...))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: - modprobe, + we:\n%.1000s", line, diff)
			}
		}
	}
}

func TestWhyAFileHasNoSymbolsIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cut.ko")
	if err := os.WriteFile(file, []byte("\x7fELF"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := (&peer{}).we([]string{"--show-exports", file})
	want := said{Exit: 1, Stderr: []string{
		"modprobe: FATAL: could not get symbols of " + file + ": Invalid argument\n",
		"modprobe: " + file + ": cut short at byte 4: the ELF header would reach to byte 64\n",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// ambiguous says whether kmod lists what an abbreviation may mean, of which we
// don't have all.
func ambiguous(s said) bool {
	return len(s.Stderr) > 0 && strings.Contains(s.Stderr[0], "is ambiguous")
}

// Without it there may be lines behind kmod's, or where kmod is silent; its own
// words and the exit status stay.
func TestOurOwnWordsComeBehindThoseOfKmod(t *testing.T) {
	p := newPeer(t)
	p.configured(t, conf)
	ours := []string{"-c", "-c -b e1000e"} // see modprobed.Config.Dump
	for line := range strings.SplitSeq(commandLines, "\n") {
		if slices.Contains(ours, line) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			want, got := p.ask(t, args(line)).once(), p.we(args(line))
			got.Stderr = slices.DeleteFunc(got.Stderr, func(line string) bool { return !slices.Contains(want.Stderr, line) })
			if len(got.Stderr) == 0 {
				got.Stderr = nil
			}
			if diff := cmp.Diff(want, got); diff != "" && !ambiguous(want) {
				t.Errorf("- modprobe, + we:\n%s", diff)
			}
		})
	}
}

// The words behind a name have lost their quotes to a shell, but those between
// MODPROBE_OPTIONS' have not.
func TestParametersAreQuotedAsByKmod(t *testing.T) {
	p := newPeer(t)
	p.configured(t, "")
	for _, words := range [][]string{
		{"a=", "=b", "c=", ""}, {`d="x"`, `e="x y"`, `f=x"y z`}, {"g h=3", "i==4 5"}, {"a='x y'", "b='x"}, {"a=b\tc", "d= "},
	} {
		line := append([]string{"--compat=kmod", "-nv", "ppdev"}, words...)
		if diff := cmp.Diff(p.ask(t, line[1:]), p.we(line)); diff != "" {
			t.Errorf("%q: - modprobe, + we:\n%s", words, diff)
		}
	}
	for _, options := range []string{`-nv`, `-nv ppdev`, `-nv ppdev x="a b"`, `-nv ppdev x='a b' `, `-n -v "ppdev" z`, `-x`} {
		t.Setenv("MODPROBE_OPTIONS", options)
		if diff := cmp.Diff(p.ask(t, []string{"e1000e"}), p.we([]string{"e1000e"})); diff != "" {
			t.Errorf("%s: - modprobe, + we:\n%s", options, diff)
		}
	}
}

func TestSameAsKmodWhateverIsConfiguredAndAsked(t *testing.T) {
	p := newPeer(t)
	modules := rapid.SampledFrom([]string{"e1000e", "ppdev", "snd-hda-intel", "unix", "no_such", "nick", "parport", "lp", "btrfs", "nick2", "ext4"})
	statement := rapid.OneOf(
		rapid.Custom(func(t *rapid.T) string {
			return "alias " + rapid.SampledFrom([]string{"nick", "nick2", "n*", "lp"}).Draw(t, "alias") + " " + modules.Draw(t, "module")
		}),
		rapid.Custom(func(t *rapid.T) string {
			return "options " + modules.Draw(t, "module") + " a=" + modules.Draw(t, "value")
		}),
		rapid.Custom(func(t *rapid.T) string { return "blacklist " + modules.Draw(t, "module") }),
		rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"install ", "remove "}).Draw(t, "kind") + modules.Draw(t, "module") + " exit 0 $CMDLINE_OPTS"
		}),
		rapid.Custom(func(t *rapid.T) string {
			return "softdep " + modules.Draw(t, "module") + rapid.SampledFrom([]string{" pre: ", " post: "}).Draw(t, "when") + modules.Draw(t, "other")
		}),
	)
	option := rapid.SampledFrom([]string{"-a", "-b", "-i", "-r", "-D", "-R", "-q", "--first-time", "--remove-holders", "-nv", "a=b"})
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		file := filepath.Join(dir, "test.conf")
		text := strings.Join(rapid.SliceOfN(statement, 0, 6).Draw(t, "conf"), "\n") + "\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		p := peer{p.theirs, append(slices.Clip(p.before), "-C", file), p.root}
		line := slices.Concat([]string{"-n", "-v"}, rapid.SliceOfN(modules, 1, 2).Draw(t, "names"), rapid.SliceOfN(option, 0, 3).Draw(t, "options"))
		if slices.Contains(line, "-r") { // which has nothing to say about what -D is for
			line = slices.DeleteFunc(line, func(word string) bool { return word == "-D" })
		}
		want := p.ask(t, line)
		if want.Exit < 0 {
			t.Skip("kmod has crashed: remove commands whose softdeps go in a circle are without an end for it")
		}
		got := p.we(append([]string{"--compat=kmod"}, line...))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%v with\n%s(- modprobe, + we):\n%s", line, text, diff)
		}
	})
}
