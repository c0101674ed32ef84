package rules_test

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// The words that configuration is made of. Names are those of Debian's kernel:
// of modules that need others or have softdeps, of some that are built in (unix,
// af_packet), and of none.
var (
	someNames = []string{"e1000e", "snd-hda-intel", "snd_hda_codec", "ppdev", "parport", "lp", "unix", "af-packet", "btrfs",
		"libcrc32c", "ext4", "cifs", "nick", "nick-2", "no_such", "net-pf-1", "net_pf_17", "fs-ext4", "crc32c"}
	somePatterns = []string{"*", "l?", "l[!a]", "pp*", "n[a-z]ck*", "snd[-_]hda*", "[!a-z]*", "ext[0-9]", "a]", "b[", "pci:*", `\lp`,
		"[]a]", "[a-", "[!]", "n[-i]ck", "e1000e.ko", "[a-z]*"}
	someNeverPlain = []string{"pre:", "post:", "#", "=", "'", `"`, `"x y"`, `a="b c"`, "a=1", "b-c=2", ".", "a.b", "$CMDLINE_OPTS", "\\", "é", "\v", "\f x"}
	someKinds      = []string{"alias", "options", "blacklist", "install", "remove", "softdep", "include", "config", "aliass", "#", "Alias"}
	someAsked      = []string{"snd-hda-intel.ko", "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", "symbol:snd_pcm_new",
		"symbol:no_such", "platform:pcspkr", "net-pf-10", "fs-btrfs", "crypto-crc32c", "a]", "b[", "no_such.x", "nick.a", "l[p]", "*"}
)

// A drawer draws random things about a few names, so that they meet.
type drawer struct {
	*rapid.T
	names []string
}

func newDrawer(t *rapid.T) drawer {
	return drawer{t, rapid.SliceOfN(rapid.SampledFrom(someNames), 1, 6).Draw(t, "names")}
}

func (d drawer) one(of ...string) string { return rapid.SampledFrom(of).Draw(d.T, "word") }

func (d drawer) upTo(n int) int { return rapid.IntRange(0, n).Draw(d.T, "number") }

// rarely is true once in n times.
func (d drawer) rarely(n int) bool { return d.upTo(n-1) == n-1 }

func (d drawer) name() string {
	if d.rarely(30) {
		return strings.Repeat("l", modalias.MaxLen-2+d.upTo(3))
	}
	return d.shortName()
}

func (d drawer) shortName() string {
	if d.rarely(4) {
		return d.one(somePatterns...)
	}
	return d.one(d.names...)
}

// word is a name, or anything else.
func (d drawer) word() string {
	switch {
	case d.rarely(4):
		return d.one(someNeverPlain...)
	case d.rarely(12):
		return rapid.StringMatching(`[a-c._*?\[\]!"'#,=:\\-]{1,6}`).Draw(d.T, "garbage")
	}
	return d.name()
}

// statement is a line of modprobe.d, good or bad.
func (d drawer) statement() string {
	words := []string{d.one(someKinds...)}
	if !d.rarely(12) {
		words = append(words, d.name())
	}
	switch {
	case words[0] == "softdep":
		for range 1 + d.upTo(1) {
			words = append(words, d.one("pre:", "post:", "pre:", "post:", "lp"))
			for range d.upTo(2) {
				words = append(words, d.word())
			}
		}
	case words[0] == "alias" && !d.rarely(8):
		// An alias for a module with too long a name hides all others from
		// modprobe: see docs/modprobe.md.
		words = append(words, d.shortName())
	case words[0] == "alias" && len(words) == 2:
		// without a module
	default:
		for range d.upTo(3) {
			words = append(words, d.word())
		}
	}
	line := d.blanked(words)
	if line != "" && d.rarely(8) {
		at := d.upTo(len(line))
		line = line[:at] + d.one("\\\n", "\\\n", "\\", "\\\\", "\t", "\n") + line[at:]
	}
	return line
}

// blanked puts blanks between words, and now and then around them.
func (d drawer) blanked(words []string) string {
	line := strings.Join(words, " ")
	if d.rarely(4) {
		line = words[0]
		for _, word := range words[1:] {
			line += d.one(" ", " ", "\t", "  ", " \t ") + word
		}
		line = d.one("", "", " ", "\t") + line + d.one("", " ", "  ", "\t")
	}
	return line
}

// text is that of a file of modprobe.d.
func (d drawer) text() string {
	var lines []string
	for range d.upTo(8) {
		lines = append(lines, d.statement())
	}
	return strings.Join(lines, "\n") + d.one("\n", "\n", "", "\\")
}

// cmdline is a kernel command line, no longer than one can be on amd64
// (COMMAND_LINE_SIZE).
func (d drawer) cmdline() string {
	var words []string
	for range d.upTo(4) {
		words = append(words, d.cmdlineWord())
	}
	line := ""
	for _, word := range words {
		word = d.one("", "", " ", "\t", "  ") + word + d.one(" ", " ", " ", "\t")
		if len(line)+len(word) < 2048 {
			line += word
		}
	}
	return line
}

func (d drawer) cmdlineWord() string {
	quoted := func(s string) string { return `"` + s + `"` }
	switch d.upTo(9) {
	case 0:
		return "modprobe.blacklist=" + d.name() + d.one("", ",", ","+d.name(), ",,")
	case 1:
		return quoted("modprobe.blacklist=" + d.name() + "," + d.name())
	case 2:
		return quoted(d.name() + ".a=b " + d.word())
	case 3:
		return d.name() + ".a=" + quoted("b "+d.word())
	case 4:
		return d.one("module_blacklist=", "modprobe.", "modprobe", "quiet=", "root=/dev/") + d.word()
	case 5:
		return d.word()
	case 6:
		return rapid.StringMatching(`[a-c._"=, -]{1,10}`).Draw(d.T, "garbage")
	case 7:
		return d.name() + d.one(".", "..", ".=", ".a.b", ".a.b=1", ".a", `."a"=1`, `.a"=1`, ".a==", ".a-b=c.d", `.a="`)
	case 8:
		return "." + d.word()
	}
	return d.name() + "." + d.one("a", "a-b", "b") + "=" + d.one("1", "x.y", `c"d e"f`, "")
}

// A forest is configuration in many places, which both read: the directories of
// the system, or some of them and of their files with -C.
type forest struct {
	*peer
	bare  string   // a root with modules.softdep, and no modules
	given []string // with -C; none for the system's directories
	text  string   // all files, for a person
}

const noRelease = "none" // the kernel of the bare root

func newForest(t *testing.T) *forest {
	f := &forest{peer: newPeer(t, debian.AMD64), bare: t.TempDir()}
	if err := os.MkdirAll(f.bareDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *forest) bareDir() string { return filepath.Join(f.bare, "lib/modules", noRelease) }

// grow makes all of it anew.
func (f *forest) grow(d drawer) {
	f.given, f.text = nil, ""
	dirs := f.system()
	for _, dir := range dirs {
		d.empty(dir)
	}
	f.write(d, filepath.Join(f.bareDir(), "modules.softdep"), d.text())
	var files []string
	for range d.upTo(6) {
		path := filepath.Join(d.one(dirs...), d.one("a.conf", "b.conf", "modules.conf", "z.conf", "z.conf", "c", ".d.conf", "Z.conf", "mozart.conf"))
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		switch d.upTo(12) {
		case 0:
			d.must(os.Symlink("/dev/null", path))
		case 1:
			d.must(os.Mkdir(path, 0o755))
		default:
			f.write(d, path, d.text())
			files = append(files, path)
		}
	}
	f.cmdline = d.cmdline()
	f.boot(d, f.cmdline)
	if !d.rarely(3) {
		f.mark(d, dirs[0])
		return
	}
	f.given = []string{f.mark(d, f.dir)}
	for range 1 + d.upTo(2) {
		f.given = append(f.given, d.one(append(files, dirs...)...))
	}
}

func (f *forest) write(d drawer, path, text string) {
	d.must(os.WriteFile(path, []byte(text), 0o644))
	f.text += fmt.Sprintf("%s: %q\n", strings.TrimPrefix(path, f.root()), text)
}

// empty takes all out of a directory, which stays: it is mounted elsewhere.
func (d drawer) empty(dir string) {
	entries, err := os.ReadDir(dir)
	d.must(err)
	for _, e := range entries {
		d.must(os.Remove(filepath.Join(dir, e.Name())))
	}
}

func (d drawer) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// reading are the arguments that have modprobe read the configuration beside
// some modules.
func (f *forest) reading(root, release string, more ...string) []string {
	args := append([]string{"-d", root, "-S", release}, more...)
	for _, path := range f.given {
		args = append(args, "-C", path)
	}
	return args
}

// read is the configuration beside some modules, as kmod has it.
func (f *forest) read(moduleDir string) *modprobed.Config {
	if len(f.given) == 0 {
		return modprobed.Kmod.Load(f.root(), moduleDir, f.cmdline)
	}
	return modprobed.Kmod.LoadPaths(f.given, moduleDir, f.cmdline)
}

// kmodSkips is how libkmod says that it skips a line.
var kmodSkips = regexp.MustCompile(`kmod_config_parse: (.*?)(?: line \d+: ignoring bad line|: command \w+ is deprecated)`)

// sameConfig compares what is read, and how many lines of each file are skipped.
func (f *forest) sameConfig(d drawer) {
	theirs, stderr := f.modprobe(d, f.reading(f.bare, noRelease, "-c")...)
	theirs, _, _ = strings.Cut(theirs, "\n# End of configuration files.")
	config := f.read(f.bareDir())
	var ours strings.Builder
	d.must(config.Dump(&ours))
	f.same(d, "-c", strings.Split(theirs, "\n"), strings.Split(ours.String(), "\n"))

	skipped := make(map[string]int)
	for _, found := range kmodSkips.FindAllStringSubmatch(stderr, -1) {
		skipped[strings.TrimPrefix(found[1], f.root())]++
	}
	for _, w := range config.Warnings {
		if w.Line > 0 {
			skipped[strings.TrimPrefix(w.File, f.root())]--
		}
	}
	for file, more := range skipped {
		if more != 0 {
			d.Fatalf("%s: kmod skips %d lines more than we, with\n%s%s", file, more, f.text, stderr)
		}
	}
}

func (f *forest) same(d drawer, what string, theirs, ours []string) {
	d.Helper()
	if diff := cmp.Diff(theirs, ours, cmpopts.EquateEmpty()); diff != "" {
		d.Fatalf("%s with %q on the kernel command line, -C %q (- modprobe, + we):\n%s%s", what, f.cmdline, f.given, diff, f.text)
	}
}

// asked are modprobe's answers about names.
func (f *forest) asked(d drawer, names []string, options ...string) (answers [][]string) {
	args := f.reading(f.kernel, f.version, options...)
	means := func(a modprobed.Alias) bool { return modalias.Match(a.Pattern, next) }
	if !slices.Contains(options, "-i") && !slices.ContainsFunc(f.read(f.moduleDir()).Aliases, means) {
		return f.eachMarked(d, names, args...)
	}
	for _, name := range names {
		out, _ := f.modprobe(d, append(args, "--", name)...)
		answers = append(answers, slices.Collect(lines(out)))
	}
	return answers
}

// lines goes through the lines of a text, without their ends.
func lines(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if !yield(strings.TrimSuffix(line, "\n")) {
				return
			}
		}
	}
}

// sameAnswers compares what is done about names.
func (f *forest) sameAnswers(d drawer) {
	var names []string
	for range 1 + d.upTo(5) {
		names = append(names, d.one(slices.Concat(d.names, d.names, d.names, someAsked)...))
	}
	set := rules.NewSet(f.tables, f.read(f.moduleDir()))
	ask := func(how rules.Ask, options ...string) {
		if how.Bare {
			options = append(options, "-i")
		}
		if how.Blacklist {
			options = append(options, "-b")
		}
		for i, theirs := range f.asked(d, names, options...) {
			f.same(d, fmt.Sprintf("%q %s", options, names[i]), theirs, shown(set.Ask(names[i], how)))
		}
	}
	how := rules.Ask{Bare: d.rarely(4), Blacklist: d.rarely(2)}
	switch d.upTo(3) {
	case 0:
		for i, theirs := range f.asked(d, names, "-R") {
			f.same(d, "-R "+names[i], theirs, set.Found(names[i]))
		}
	case 1:
		how.Anew = true
		ask(how, "-D")
	case 2:
		ask(how, "-n", "-v")
	case 3:
		ask(rules.Ask{}, "-n", "-v")
		ask(rules.Ask{Blacklist: true}, "-n", "-v")
		for _, name := range names {
			f.same(d, "resolve "+name, shown(eachOnce(set.Ask(name, rules.Ask{}))), stepLines(set.Resolve(name).Steps))
			f.same(d, "decide "+name, shown(eachOnce(set.Ask(name, rules.Ask{Blacklist: true}))),
				stepLines(set.Decide(rules.Device{Modalias: name}).Steps))
		}
	}
}

// eachOnce leaves out the steps of modules that have one already.
func eachOnce(answers []rules.Answer) []rules.Answer {
	seen := map[string]bool{}
	for i := range answers {
		answers[i].Steps = slices.DeleteFunc(answers[i].Steps, func(s rules.Step) bool {
			again := seen[s.Module]
			seen[s.Module] = true
			return again
		})
	}
	return answers
}

// What chance has found, each with the name to ask for.
func TestSameAsModprobeWhereItOnceWasNot(t *testing.T) {
	p := newPeer(t, debian.AMD64)
	for _, test := range []struct{ what, conf, cmdline, ask string }{
		{"an empty word, and no other", "", "floppy.", "floppy"},
		{"empty words before another", "", "floppy. floppy. floppy.a=1", "floppy"},
		{"an empty word behind another", "", "floppy.a=1 floppy.", "floppy"},
		{"empty words between others", "options floppy b=1", "floppy.a=1 floppy. floppy. floppy.c", "floppy"},
		{"an empty word behind a blank", "options floppy b=1\t", "floppy.", "floppy"},
		{"a tab in quotes", "", "floppy.a=\"b\tc\"", "floppy"},
		{"a softdep that is built in", "softdep unix pre: floppy\nsoftdep loop pre: unix", "", "loop"},
	} {
		t.Run(test.what, func(t *testing.T) {
			p.configure(t, test.conf, test.cmdline)
			theirs := p.each(t, []string{test.ask}, p.args("-n", "-v")...)[0]
			if diff := cmp.Diff(theirs, shown(p.set(modprobed.Kmod).Ask(test.ask, rules.Ask{}))); diff != "" {
				t.Errorf("(- modprobe, + we):\n%s", diff)
			}
		})
	}
}

// Whatever is in modprobe.d and on the kernel command line, modprobe and we, in
// its dialect, read the same and make the same of it.
func TestSameAsModprobeWhateverIsConfigured(t *testing.T) {
	f := newForest(t)
	rapid.Check(t, func(t *rapid.T) {
		d := newDrawer(t)
		f.grow(d)
		f.sameConfig(d)
		f.sameAnswers(d)
	})
}
