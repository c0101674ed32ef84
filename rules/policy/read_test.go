package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	tomllib "github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/rules/policy"
)

func parse(text string) *policy.Policy {
	return policy.Parse(policy.File{Name: "x.toml", Text: text})
}

func warnings(p *policy.Policy) string {
	var lines []string
	for _, w := range p.Warnings {
		lines = append(lines, w.String())
	}
	return strings.Join(lines, "\n")
}

const sound = `
[[rule]]
name = "sound"
class = "sound"
stage = "deny"
`

func TestMistakesAreNamedWithTheirLineAndTheRestStands(t *testing.T) {
	for _, tt := range []struct{ name, text, says string }{
		{"an unknown key", "[[rule]]\nname = \"a\"\nclas = \"wifi\"\nstage = \"deny\"", `x.toml:3: there is no key "clas"; did you mean "class"?: rule "a" is left out`},
		{"an unknown key like none", "[[rule]]\nfrobnicate = 1\nstage = \"deny\"",
			`x.toml:2: there is no key "frobnicate", only after, async, bind_timeout, class, env, force, identity, idle, modalias, module, name, options, prefer, stage, subsystem: the rule of line 1 is left out`},
		{"an unknown setting", "bind_timout = \"5s\"", `x.toml:1: there is no key "bind_timout"; did you mean "bind_timeout"?: left out`},
		{"an unknown table", "[rules]\nname = \"a\"", `x.toml:1: there is no table "rules"; rules begin with [[rule]]`},
		{"a table in a rule", "[[rule]]\nstage = \"deny\"\n[rule.envs]\nA = \"b\"", `x.toml:3: there is no table "rule.envs"; rules begin with [[rule]]`},
		{"a rule that is no array", "[rule]\nstage = \"deny\"", `x.toml:1: there is no table "rule"; rules begin with [[rule]]`},
		{"an unknown stage", "[[rule]]\nstage = \"defered\"", `x.toml:2: stage: there is no stage "defered"; did you mean "deferred"?: the rule of line 1 is left out`},
		{"an unknown class", "[[rule]]\nclass = [\"sound\",\n \"wify\"]\nstage = \"deny\"", `x.toml:2: class: there is no class "wify"; did you mean "wifi"?: the rule of line 1 is left out`},
		{"a number for a string", "[[rule]]\nmodule = 3\nstage = \"deny\"", "x.toml:2: module: it is to be a string, not an integer: the rule of line 1 is left out"},
		{"a string for a table", "[[rule]]\nenv = \"A=b\"\nstage = \"deny\"", "x.toml:2: env: it is to be a table, not a string: the rule of line 1 is left out"},
		{"nothing in a list", "[[rule]]\nmodule = []\nstage = \"deny\"", "x.toml:2: module: it is empty: the rule of line 1 is left out"},
		{"no time span", "[[rule]]\nidle = \"30\"", `x.toml:2: idle: "30" is no time span such as "500ms", "30s" or "2m", nor "off": the rule of line 1 is left out`},
		{"a time span below nothing", "[[rule]]\nidle = \"-1s\"", `x.toml:2: idle: "-1s" is no time span such as "500ms", "30s" or "2m", nor "off": the rule of line 1 is left out`},
		{"waiting for what there is not", "[[rule]]\nstage = \"deferred\"\nafter = \"lunch\"",
			`x.toml:3: after: "lunch" is none of "boot-complete", "request", a time span such as "5s", and the path of a file: the rule of line 1 is left out`},
		{"waiting without being deferred", "[[rule]]\nafter = \"5s\"\nstage = \"normal\"", `x.toml:2: after: only stage = "deferred" waits for something: the rule of line 1 is left out`},
		{"a time to bind for nobody", "[[rule]]\nstage = \"normal\"\nbind_timeout = \"1s\"", "x.toml:3: bind_timeout: it is about prefer, of which the rule has none: the rule of line 1 is left out"},
		{"async neither way", "[[rule]]\nasync = \"maybe\"", `x.toml:2: async: it is to be true, false or "auto": the rule of line 1 is left out`},
		{"a pattern for a module to prefer", "[[rule]]\nprefer = [\"a*\"]", `x.toml:2: prefer: "a*" is not the name of a module: the rule of line 1 is left out`},
		{"a bracket that nothing closes", "[[rule]]\nmodalias = \"usb:[\"\nstage = \"deny\"", `x.toml:2: modalias: name "usb:[", byte 4: "[" without "]": the rule of line 1 is left out`},
		{"the same key twice", "[[rule]]\nstage = \"deny\"\nstage = \"normal\"", "x.toml:3: stage: it is in line 2 already: the rule of line 1 is left out"},
		{"the same variable twice", "[[rule]]\nenv.A = \"b\"\nenv.A = \"c\"\nstage = \"deny\"", "x.toml:3: env.A: it is in line 2 already: the rule of line 1 is left out"},
		{"force without idle", "[[rule]]\nmodule = \"a\"\nstage = \"deny\"\nforce = true", "x.toml:4: force and identity are about idle, of which the rule has none: the rule of line 1 is left out"},
		{"force for whatever module", "[[rule]]\nclass = \"input\"\nidle = \"1m\"\nforce = true", "x.toml:4: force: it counts only in a rule that names the module: the rule of line 1 is left out"},
		{"an unknown identity", "[[rule]]\nidle = \"1m\"\nidentity = \"samme\"", `x.toml:3: identity: there is no identity "samme"; did you mean "same"?: the rule of line 1 is left out`},
		{"a rule that says nothing", "[[rule]]\nclass = \"wifi\"", "x.toml:1: it says nothing: give it one of stage, after, async, idle, prefer, bind_timeout, options: the rule of line 1 is left out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(tt.text + "\n" + sound)
			if diff := cmp.Diff(tt.says, warnings(p)); diff != "" {
				t.Error(diff)
			}
			if len(p.Rules) != 1 || p.Rules[0].Name != "sound" {
				t.Errorf("%d rules stand, want the one after the mistake", len(p.Rules))
			}
		})
	}
}

func TestAFileThatIsNoTOMLIsLeftOutAsAWhole(t *testing.T) {
	p := policy.Parse(policy.File{Name: "a.toml", Text: sound + "\n[[rule]]\nstage = deny\n"}, policy.File{Name: "b.toml", Text: sound})
	if len(p.Rules) != 1 || p.Rules[0].File != "b.toml" {
		t.Errorf("rules: %v", p.Rules)
	}
	if got := warnings(p); !strings.HasPrefix(got, "a.toml:8: ") || !strings.HasSuffix(got, ": the file is left out as a whole") {
		t.Errorf("warnings: %s", got)
	}
}

func TestARuleInAllItsForms(t *testing.T) {
	want := &policy.Rule{
		Name: "all", Class: []string{"wifi", "sound"}, Module: []string{"snd_usb"}, Modalias: []string{"usb:v[0-9]*p_"},
		Subsystem: []string{"usb"}, Env: []policy.Variable{{"DEVTYPE", "usb_*"}, {"A", "b"}},
		Stage: policy.Deferred, After: "boot-complete", Async: "true", Idle: 30 * time.Second,
		Prefer: []string{"a_b", "c"}, BindTimeout: time.Second, Options: "power_save=1",
	}
	const rest = `
name = "all"
class = ["wifi", "sound"]
module = "snd-usb"
modalias = ["usb:v[0-9]*p-"]
subsystem = ["usb"]
stage = "deferred"
after = "boot-complete"
async = true
idle = "30s"
prefer = ["a-b", "c"]
bind_timeout = "1s"
options = "power_save=1"
`
	inline := "rule = [{" + strings.Join(strings.FieldsFunc(rest, func(r rune) bool { return r == '\n' }), ", ") + `, env = {DEVTYPE = "usb_*", A = "b"}}]`
	for name, text := range map[string]string{
		"an inline table":    "[[rule]]" + rest + `env = { DEVTYPE = "usb_*", A = "b" }`,
		"dotted keys":        "[[rule]]" + rest + `env.DEVTYPE = "usb_*"` + "\n" + `env.A = "b"`,
		"a table of its own": "[[rule]]" + rest + "[rule.env]\n" + `DEVTYPE = "usb_*"` + "\n" + `A = "b"`,
		"all in one line":    inline,
	} {
		t.Run(name, func(t *testing.T) {
			p := parse(text)
			if len(p.Warnings) > 0 || len(p.Rules) != 1 {
				t.Fatalf("%d rules; %s", len(p.Rules), warnings(p))
			}
			if diff := cmp.Diff(want, p.Rules[0], cmpopts.IgnoreUnexported(policy.Rule{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What we take from the parser's pieces is what a decoder makes of the whole.
func TestRulesAreReadAsADecoderReadsThem(t *testing.T) {
	type rule struct {
		Name, Options string
		Module        []string
		Env           map[string]string
	}
	quoted := func(s string) string {
		b, err := tomllib.Marshal(map[string]string{"k": s})
		if err != nil {
			panic(err)
		}
		return strings.TrimSpace(strings.TrimPrefix(string(b), "k = "))
	}
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		for range rapid.IntRange(1, 4).Draw(t, "rules") {
			word := rapid.StringN(1, 12, 40).Filter(func(s string) bool { return strings.ToValidUTF8(s, "") == s })
			fmt.Fprintf(&text, "[[rule]] # %d\n", text.Len())
			fmt.Fprintf(&text, "name = %s\noptions=%s\n", quoted(word.Draw(t, "name")), quoted(word.Draw(t, "options")))
			fmt.Fprintf(&text, "module = [ %s,\n\t'literal', # comment ]\n]\n", quoted(rapid.StringMatching(`[a-z_*]{1,8}`).Draw(t, "module")))
			fmt.Fprintf(&text, "env = { A = %s, \"B\" = '''x\ny''' }\n\n", quoted(word.Draw(t, "variable")))
		}
		var decoded struct{ Rule []rule }
		if err := tomllib.Unmarshal([]byte(text.String()), &decoded); err != nil {
			t.Skip(err)
		}
		p := parse(text.String())
		var ours []rule
		for _, r := range p.Rules {
			env := make(map[string]string)
			for _, v := range r.Env {
				env[v.Name] = v.Pattern
			}
			ours = append(ours, rule{r.Name, r.Options, r.Module, env})
		}
		if diff := cmp.Diff(decoded.Rule, ours); diff != "" {
			t.Errorf("%s\n%s\n%s", text.String(), diff, warnings(p))
		}
	})
}

func TestTheFirstRuleThatSaysSomethingCounts(t *testing.T) {
	p := parse(`
bind_timeout = "9s"
[[rule]]
module = "iwl*"
options = "a=1"
[[rule]]
class = "wifi"
stage = "deferred"
idle = "1m"
[[rule]]
module = "iwlwifi"
stage = "deny"
options = "a=2"
`)
	v := p.OfModule(policy.Module{Name: "iwlwifi", Class: policy.ClassOf("kernel/drivers/net/wireless/intel/iwlwifi/iwlwifi.ko", "")}, nil)
	for key, want := range map[policy.Key]int{policy.KeyOptions: 3, policy.KeyStage: 6, policy.KeyIdle: 6} {
		if r := v.First(key); r == nil || r.Line != want {
			t.Errorf("%s is decided by %v, want the rule of line %d", key, r, want)
		}
	}
	if len(v[policy.KeyStage]) != 2 || v.First(policy.KeyAfter) != nil {
		t.Errorf("verdict %v", v)
	}
	if p.BindTimeout() != 9*time.Second {
		t.Errorf("bind timeout %v", p.BindTimeout())
	}
}

func TestConditionsOnADeviceHoldForNoModuleByItsName(t *testing.T) {
	p := parse("[[rule]]\nmodalias = \"*\"\nstage = \"deny\"")
	if v := p.OfModule(policy.Module{Name: "a"}, nil); v != nil {
		t.Errorf("%v", v)
	}
	if v := p.OfModule(policy.Module{Name: "a"}, &policy.Device{Modalias: "usb:v1"}); v.First(policy.KeyStage) == nil {
		t.Error("it does not hold for the device either")
	}
}

func TestAllConditionsMustHold(t *testing.T) {
	p := parse("[[rule]]\nmodalias = \"usb:*\"\nsubsystem = [\"usb\", \"hid\"]\nenv = { DEVTYPE = \"usb_*\" }\nstage = \"deny\"")
	usb := policy.Device{Modalias: "usb:v1", Subsystem: "usb", Env: []string{"A=b", "DEVTYPE=usb_interface"}}
	for _, tt := range []struct {
		name   string
		change func(*policy.Device)
		want   bool
	}{
		{"all", func(*policy.Device) {}, true},
		{"the other subsystem", func(d *policy.Device) { d.Subsystem = "hid" }, true},
		{"no such subsystem", func(d *policy.Device) { d.Subsystem = "pci" }, false},
		{"another modalias", func(d *policy.Device) { d.Modalias = "pci:v1" }, false},
		{"another value", func(d *policy.Device) { d.Env = []string{"DEVTYPE=disk"} }, false},
		{"no such variable", func(d *policy.Device) { d.Env = nil }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := usb
			tt.change(&d)
			if got := p.Rules[0].MatchesDevice(&d); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	if diff := cmp.Diff([]string{"DEVTYPE"}, p.Variables()); diff != "" {
		t.Error(diff)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"stage", "class", "module", "modalias"}
	for word, want := range map[string]string{"stag": "stage", "calss": "class", "modul": "module", "modules": "module", "xyz": "", "": ""} {
		if got := policy.Nearest(word, known); got != want {
			t.Errorf("%q is next to %q, want %q", word, got, want)
		}
	}
}

// FuzzParse looks for panics, and for rules and warnings without a line.
func FuzzParse(f *testing.F) {
	f.Add(sound)
	f.Add("rule = [{stage='deny', env.A='b'}, 3]\nbind_timeout='5s'")
	f.Add("[[rule]]\n[rule.env]\nA.b = 1\n[[rule.x]]\n[a]\n'' = 1979-05-27")
	f.Fuzz(func(t *testing.T, text string) {
		p := parse(text)
		lines := strings.Count(text, "\n") + 1
		for _, r := range p.Rules {
			if r.Line < 1 || r.Line > lines {
				t.Errorf("%v is from line %d of %d", r, r.Line, lines)
			}
		}
		for _, w := range p.Warnings {
			if w.Line > lines {
				t.Errorf("%v: there are %d lines", w, lines)
			}
		}
	})
}
