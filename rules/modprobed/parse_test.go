package modprobed_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules/modprobed"
)

func parse(text string) *modprobed.Config {
	return modprobed.Parse("", modprobed.File{Name: "x.conf", Text: text})
}

func TestBadLinesAreSkippedAndNamed(t *testing.T) {
	for _, tt := range []struct{ name, line, says string }{
		{"an unknown statement", "aliass a b", `no such statement: "aliass"`},
		{"a statement alone", "blacklist", "blacklist of what?"},
		{"an alias without a module", "alias pci:*", "alias without a module"},
		{"a pattern with an unclosed bracket", "alias usb:[0 m", `"[" without "]"`},
		{"a module with a stray bracket", "alias usb:* m]", `"]" without "["`},
		{"options without any", "options snd", "options without any"},
		{"install without a command", "install snd", "no command"},
		{"softdep on nothing", "softdep snd", "softdep on nothing"},
		{"include", "include /etc/other", "put a file into modprobe.d"},
		{"config", "config /etc/other", "put a file into modprobe.d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := parse("# first\n\\\n\n" + tt.line + "\nblacklist after")
			if len(c.Warnings) != 1 {
				t.Fatalf("warnings: %q, want one", c.Warnings)
			}
			if w := c.Warnings[0].String(); !strings.HasPrefix(w, "x.conf:4: line skipped: ") || !strings.Contains(w, tt.says) {
				t.Errorf("warning is %q", w)
			}
			if len(c.Blacklists) != 1 || c.Blacklists[0].Line != 5 {
				t.Errorf("the line after it: %v", c.Blacklists)
			}
		})
	}
}

func TestStatements(t *testing.T) {
	c := parse(`
  # an indented comment
alias usb-v[0-9]-* snd-usb
	options snd-usb index=1 \
  name="a b" # no comment here
blacklist pc-speaker and what follows
install if-[0-9]  /bin/echo  $CMDLINE_OPTS \\o/
remove if-0 /bin/true
softdep snd-usb pre: a-b c post: d pre: e
softdep snd-usb dracut only
weakdep snd-usb f-g`)
	rule := func(line int, text string) modprobed.Rule {
		return modprobed.Rule{File: "x.conf", Line: line, Text: text}
	}
	want := &modprobed.Config{
		Aliases: []modprobed.Alias{{Pattern: "usb_v[0-9]_*", Module: "snd_usb", Rule: rule(3, "alias usb-v[0-9]-* snd-usb")}},
		Options: []modprobed.Options{{Name: "snd_usb", Values: `index=1   name="a b" # no comment here`,
			Rule: rule(4, `options snd-usb index=1   name="a b" # no comment here`)}},
		Blacklists: []modprobed.Blacklist{{Module: "pc_speaker", Rule: rule(6, "blacklist pc-speaker and what follows")}},
		Installs: []modprobed.Command{{Pattern: "if_[0-9]", Shell: `/bin/echo  $CMDLINE_OPTS \o/`,
			Rule: rule(7, `install if-[0-9]  /bin/echo  $CMDLINE_OPTS \o/`)}},
		Removes: []modprobed.Command{{Pattern: "if_0", Shell: "/bin/true", Rule: rule(8, "remove if-0 /bin/true")}},
		Softdeps: []modprobed.Softdep{
			{Pattern: "snd_usb", Pre: []string{"a-b", "c", "e"}, Post: []string{"d"}, Rule: rule(9, "softdep snd-usb pre: a-b c post: d pre: e")},
			{Pattern: "snd_usb", Rule: rule(10, "softdep snd-usb dracut only")},
		},
		Weakdeps: []modprobed.Weakdep{{Pattern: "snd_usb", Modules: []string{"f-g"}, Rule: rule(11, "weakdep snd-usb f-g")}},
	}
	if diff := cmp.Diff(want, c, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// Only what is asked for can be too long.
func TestNamesOfAnyLength(t *testing.T) {
	name := strings.Repeat("n", modalias.MaxLen+1)
	c := parse("alias " + name + "* m")
	if len(c.Aliases) != 1 || c.Aliases[0].Pattern != name+"*" {
		t.Errorf("aliases %v, warnings %v", c.Aliases, c.Warnings)
	}
}

func TestBackslashes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"at the end of the file", `install a b\`, `b\`},
		{"before another byte it goes", `install a b\c`, "bc"},
		{"twice is once", `install a b\\c`, `b\c`},
		{"before the end of a line it joins", "install a b\\\nc", "bc"},
		{"before the end of a line that ends the file", "install a b\\\n", "b"},
		{"twice before the end of a line it does not join", "install a b\\\\\nblacklist c", `b\`},
		{"it joins comments too", "# \\\nblacklist x\ninstall a b", "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(tt.text)
			if len(c.Installs) != 1 || c.Installs[0].Shell != tt.want {
				t.Errorf("%q is %v, want the command %q", tt.text, c.Installs, tt.want)
			}
			for _, b := range c.Blacklists {
				if b.Module == "x" {
					t.Error("a comment's second line counts")
				}
			}
		})
	}
}

func TestFirstCommandAndExactCommand(t *testing.T) {
	c := parse("install snd* first\ninstall snd-usb second\nremove gone /bin/true")
	if got, ok := c.Install("snd_usb"); !ok || got.Shell != "first" {
		t.Errorf("Install = %v, %v", got, ok)
	}
	if _, ok := c.Install("usb"); ok {
		t.Error("usb has a command")
	}
	for name, line := range map[string]int{"snd_usb": 2, "snd*": 1, "gone": 0, "snd": 0} {
		if got, ok := c.InstallOf(name); ok != (line > 0) || ok && got.Line != line {
			t.Errorf("InstallOf(%q) = %v, %v", name, got, ok)
		}
	}
	for name, line := range map[string]int{"snd_usb": 0, "gone": 3, "gon": 0} {
		if got, ok := c.RemoveOf(name); ok != (line > 0) || ok && got.Line != line {
			t.Errorf("RemoveOf(%q) = %v, %v", name, got, ok)
		}
	}
}

// FuzzParse looks for panics, and for rules without a place.
func FuzzParse(f *testing.F) {
	f.Add("alias a b\nsoftdep a pre: b post: c\noptions a b=\\\nc", `a.b=c "d.e=f g" modprobe.blacklist=h`)
	f.Add("install \\", `"`)
	f.Fuzz(func(t *testing.T, text, cmdline string) {
		c := modprobed.Parse(cmdline, modprobed.File{Name: "x.conf", Text: text})
		lines := strings.Count(text, "\n") + 1
		for _, o := range c.Options {
			if o.File == "x.conf" && (o.Line < 1 || o.Line > lines) {
				t.Errorf("%v is from line %d of %d", o, o.Line, lines)
			}
		}
	})
}
