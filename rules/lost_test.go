package rules_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/rules"
)

func TestWhatWouldHaveCountedIsNamed(t *testing.T) {
	for _, tt := range []struct{ name, policy, conf, cmdline, asked, want string }{
		{"nothing in the way of nothing", "", "", "", "pci:v1d2", ""},
		{"an option that comes once", "", "options drv a=1 b=2", "", "drv", ""},
		{"the same value twice", "", "options drv a=1\noptions drv a=1", "", "drv", ""},
		{"parameters of which all values count", "", "options drv dyndbg=+p\noptions drv dyndbg=+m", "", "drv", ""},
		{"an alias line that leads to what the tables do, too", "", "alias pci:v1d1 drv", "", "pci:v1d1", ""},

		{"matches of the tables, by an alias line", "", "alias pci:v1* extra", "", "pci:v1d2",
			"modules.alias:1: alias pci:v1d* drv; but x.conf:1 (alias pci:v1* extra) comes before it\n" +
				"modules.alias:2: alias pci:v1d2* rival; but x.conf:1 (alias pci:v1* extra) comes before it"},
		{"a module, by an alias line of its name", "", "alias drv extra", "", "drv",
			"modules.dep:1: drv is the name of a module; but x.conf:1 (alias drv extra) comes before it"},
		{"what is built in, by an alias line", "", "alias pci:v4* extra", "", "pci:v4",
			"modules.builtin.modinfo:0: alias pci:v4* built; but x.conf:1 (alias pci:v4* extra) comes before it"},
		{"an alias of the tables, by an install line of that name", "", "install extra-one /bin/true", "", "extra-one",
			"modules.alias:4: alias extra_* extra; but x.conf:1 (install extra-one /bin/true) comes before it"},

		{"a module's file, by an install line", "", "install extra /bin/true", "", "extra",
			"modules.dep:5: " + dir + "/extra.ko; but x.conf:1 (install extra /bin/true) stands for it"},
		{"the second install line", "", "install ex* /bin/true\ninstall extra /bin/false", "", "extra",
			"modules.dep:5: " + dir + "/extra.ko; but x.conf:1 (install ex* /bin/true) stands for it\n" +
				"x.conf:2: install extra /bin/false; but x.conf:1 (install ex* /bin/true) comes before it"},

		{"a value, by a later line", "", "options core a=1\noptions core b=2 a=3", "", "drv",
			"x.conf:1: a=1; but a=3 in x.conf:2 comes after it, and the kernel keeps the last value"},
		{"a value, by another of the same line", "", `options core a="1 2" a=3`, "", "core",
			`x.conf:1: a="1 2"; but a=3 in x.conf:1 comes after it, and the kernel keeps the last value`},
		{"dashes and underscores are one in a parameter's name", "", "options core a-b=1 a_b=2", "", "core",
			"x.conf:1: a-b=1; but a_b=2 in x.conf:1 comes after it, and the kernel keeps the last value"},
		{"values, by the last of all", "", "options core a=1\noptions core a=2", "core.a=3", "core",
			"x.conf:1: a=1; but a=3 in kernel command line comes after it, and the kernel keeps the last value\n" +
				"x.conf:2: a=2; but a=3 in kernel command line comes after it, and the kernel keeps the last value"},
		{"a value, by the policy", rule(`module = "core"`, `options = "a=2"`), "options core a=1", "", "core",
			"x.conf:1: a=1; but a=2 in k.toml:3 comes after it, and the kernel keeps the last value"},
		{"the policy's, by the kernel command line", rule(`module = "core"`, `options = "a=2"`), "", "core.a=3", "core",
			`k.toml:3: a=2; but a=3 in kernel command line comes after it, and the kernel keeps the last value`},

		{"a blacklist, of what something needs", "", "blacklist core", "", "pci:v1d1",
			`x.conf:1: blacklist core; but another module needs it, or names it in a softdep, which only stage = "deny" in kmodd.toml heeds`},
		{"a blacklist, of what is asked for by its name", "", "blacklist extra", "", "extra",
			"x.conf:1: blacklist extra; but it was asked for by its own name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := policedSet(t, tt.policy, tt.conf, tt.cmdline).Resolve(tt.asked)
			if diff := cmp.Diff(tt.want, strings.ReplaceAll(says(d.Lost), dir+"/modules.", "modules.")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a device wins and loses does not depend on who asked before.
func TestWhatIsLostIsSaidEachTime(t *testing.T) {
	s := policedSet(t, "", "options core a=1 a=2\nblacklist core", "")
	first := s.Decide(rules.Device{Modalias: "pci:v1d2"}).Lost
	if len(first) != 2 {
		t.Fatalf("lost:\n%s", says(first))
	}
	if diff := cmp.Diff(first, s.Decide(rules.Device{Modalias: "pci:v1d2"}).Lost); diff != "" {
		t.Error(diff)
	}
}
