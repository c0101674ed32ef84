package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// A drawer draws random things.
type drawer struct{ *rapid.T }

func (d drawer) one(of ...string) string { return rapid.SampledFrom(of).Draw(d.T, "word") }

func (d drawer) upTo(n int) int { return rapid.IntRange(0, n).Draw(d.T, "number") }

// rarely is true once in n times.
func (d drawer) rarely(n int) bool { return d.upTo(n-1) == n-1 }

func (d drawer) name() string {
	if d.rarely(4) {
		return d.one(somePatterns...)
	}
	return d.one(someNames...)
}

// word is a name, or anything else.
func (d drawer) word() string {
	switch {
	case d.rarely(4):
		return d.one(someNeverPlain...)
	case d.rarely(12):
		return rapid.StringMatching(`[a-c._*?\[\]!"'#,=:-]{1,6}`).Draw(d.T, "garbage")
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
		words = append(words, d.name())
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
	for range d.upTo(5) {
		lines = append(lines, d.statement())
	}
	return strings.Join(lines, "\n") + d.one("\n", "\n", "", "\\")
}

// cmdline is a kernel command line.
func (d drawer) cmdline() string {
	var words []string
	for range d.upTo(4) {
		words = append(words, d.cmdlineWord())
	}
	line := ""
	for _, word := range words {
		line += d.one("", "", " ", "\t", "  ") + word + d.one(" ", " ", " ", "\t")
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

// A whatever is the directories of modprobe.d, which both are given.
type whatever struct {
	*peer
	shipped string // the directory of modules that are not there, with softdeps that are
	dirs    []string
	files   []string // beside them
}

// The mark comes before everything else: its install line is the first that
// matches, and so is its softdep.
const (
	markFile = "!next.conf"
	markText = "install " + next + " " + next + "\nsoftdep " + next + " nothing\n"
)

// draw fills the directories anew, and returns the paths of those to read.
func (w *whatever) draw(d drawer) (paths []string) {
	w.clear(d)
	var aliases []string
	for range d.upTo(4) {
		dir := d.one(w.dirs...)
		path := filepath.Join(dir, d.one("a.conf", "b.conf", "modules.conf", "z.conf", "z.conf", "c", ".d.conf", "modules.softdep.conf", "Z.conf"))
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		switch d.upTo(12) {
		case 0:
			w.must(d, os.Symlink("/dev/null", path))
		case 1:
			w.must(d, os.Mkdir(path, 0o755))
		default:
			text := d.text()
			aliases = append(aliases, text)
			w.write(d, path, text)
		}
	}
	return paths
}

func (w *whatever) must(d drawer, err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (w *whatever) write(d drawer, path, text string) {
	d.Helper()
	w.must(d, os.WriteFile(path, []byte(text), 0o644))
}
