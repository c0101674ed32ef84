package modprobed_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/rules/modprobed"
)

// The answers are those of libkmod, but for the names in modprobe.blacklist=,
// which it takes with dashes and quotes as they are.
func TestKernelCommandLine(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       string // "module option" and "-module", separated by ";"
	}{
		{"words of others", "root=/dev/sda.1 quiet ro", ""},
		{"two dots before the value", "usb.a.b=1", ""},
		{"no module", ".p=1", ""},
		{"no parameter", "mod.=1 mod.", ""},
		{"a quote within the name", `a"b.c=1" x.y=1`, "x y=1"},
		{"quotes around the parameter", `m."p"=1 z.z=1`, "z z=1"},
		{"quotes around a word without a value", `"mod.p" "mod.p q.r=1"`, ""},
		{"a quote that nothing closes", `a.b=1 mod.p="unbalanced x.y=1`, "a b=1"},
		{"a stray bracket in the name", "a]b.c=1 d.e=2", "d e=2"},

		{"a parameter", "a.b=1", "a b=1"},
		{"a parameter without a value", "a.b", "a b"},
		{"dashes in the module's name, not in the parameter's", "a-b.c-d=1", "a_b c-d=1"},
		{"dots in the value", "a.b=c.d", "a b=c.d"},
		{"any blank ends a word", "a.b=1\tc.d=2\n", "a b=1;c d=2"},
		{"tabs are blanks", "a.b=\"c\td\" \"e.f=g\th\"", `a b="c d";e f="g h"`},
		{"quotes around the value", `q.z="a b" w.x=1`, `q z="a b";w x=1`},
		{"quotes within the value", `c.d=e"f g"h`, `c d=e"f g"h`},
		{"quotes around the word move to the value", `"parport.dyndbg=file drivers/x.c +mpf" a.b=1`, `parport dyndbg="file drivers/x.c +mpf";a b=1`},
		{"blacklists", "modprobe.blacklist=a-b,c_d modprobe.blacklist=e", "-a_b;-c_d;-e"},
		{"quoted blacklists", `modprobe.blacklist="e,f" "modprobe.blacklist=g,h"`, "-e;-f;-g;-h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := modprobed.Parse(tt.line)
			var got []string
			for _, o := range c.Options {
				got = append(got, o.Name+" "+o.Values)
			}
			for _, b := range c.Blacklists {
				got = append(got, "-"+b.Module)
			}
			if strings.Join(got, ";") != tt.want {
				t.Errorf("%s is %q, want %q", tt.line, got, tt.want)
			}
		})
	}
}

// The kernel compares names as they are and keeps the last of several lists.
func TestKernelsOwnBlacklist(t *testing.T) {
	c := modprobed.Parse(`module_blacklist=a module-blacklist="b,c-d"`)
	for name, want := range map[string]bool{"a": false, "b": true, "c-d": true, "c_d": false} {
		if _, got := c.Refused(name); got != want {
			t.Errorf("Refused(%q) = %v", name, got)
		}
	}
	if _, ok := c.Blacklisted("b"); ok {
		t.Error("it is modprobe's blacklist, too")
	}
}

func TestCommandLineWarningsNameTheCommandLine(t *testing.T) {
	c := modprobed.Parse("a]b.c=1 modprobe.blacklist=d[")
	if len(c.Warnings) != 2 {
		t.Fatalf("warnings: %v", c.Warnings)
	}
	for _, w := range c.Warnings {
		if !strings.HasPrefix(w.String(), "kernel command line: ") {
			t.Errorf("warning is %q", w)
		}
	}
}

func TestWhatIsHeeded(t *testing.T) {
	got := modprobed.Heeded(`root=UUID=1 a-b.c="d e" rd.luks.uuid=2 "f.g=h i" modprobe.blacklist=j,k quiet module_blacklist=l .m=1 n.o]`)
	want := []modprobed.Word{
		{Text: `a-b.c="d e"`, Module: "a_b", Option: `c="d e"`},
		{Text: `"f.g=h i"`, Module: "f", Option: `g="h i"`},
		{Text: "modprobe.blacklist=j,k"},
		{Text: "module_blacklist=l"},
		{Text: "n.o]", Module: "n", Option: "o]"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
