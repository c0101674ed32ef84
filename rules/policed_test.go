package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

func policedSet(t *testing.T, text, conf, cmdline string) *rules.Set {
	t.Helper()
	installed, err := match.Parse(dir, tables)
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Parse(policy.File{Name: "k.toml", Text: text})
	if len(p.Warnings) > 0 {
		t.Fatal(p.Warnings)
	}
	return rules.NewSet(installed, modprobed.Parse(cmdline, modprobed.File{Name: "x.conf", Text: conf}), rules.WithPolicy(p))
}

// refused prints refusals: the module, for whose sake, and what stood against
// it.
func refused(d rules.Decision) string {
	var lines []string
	for _, r := range d.Refused {
		line := r.Module
		if r.For != "" {
			line += " for " + r.For
		}
		against := r.Because[len(r.Because)-1]
		lines = append(lines, fmt.Sprintf("%s: %s:%d: %s", line, strings.TrimPrefix(against.Source, dir+"/"), against.Line, against.Says))
	}
	return strings.Join(lines, "\n")
}

func rule(lines ...string) string { return "[[rule]]\n" + strings.Join(lines, "\n") + "\n" }

func TestPolicyDeniesModules(t *testing.T) {
	deny := rule(`name = "no"`, `module = "core"`, `stage = "deny"`)
	const no = `k.toml:4: rule "no": stage = "deny"`
	for _, tt := range []struct{ name, policy, conf, asked, steps, refused string }{
		{"the module that matches", rule(`module = "drv"`, `stage = "deny"`), "", "pci:v1d2", "core; rival needs core",
			`drv: k.toml:3: a rule without a name: stage = "deny"`},
		{"what it needs, and so itself", deny, "", "drv", "",
			"core for drv: " + no + "\ndrv: modules.dep:1: it needs core, which is denied"},
		{"all that need it", deny, "", "pci:v1d2", "",
			"core for drv: " + no + "\ndrv: modules.dep:1: it needs core, which is denied\n" +
				"core for rival: " + no + "\nrival: modules.dep:4: it needs core, which is denied"},
		{"a softdep, which nobody needs", deny, "softdep extra pre: core", "extra", "extra", "core for extra: " + no},
		{"a softdep for what it needs", deny, "softdep extra pre: early", "extra", "extra",
			"core for early: " + no + "\nearly for extra: modules.dep:6: it needs core, which is denied"},
		{"by an alias line as well", rule(`module = "drv"`, `stage = "deny"`), "alias nick drv", "nick", "",
			`drv: k.toml:3: a rule without a name: stage = "deny"`},
		{"nothing if an earlier rule says otherwise", rule(`module = "core"`, `stage = "normal"`) + deny, "", "lib", "core; lib needs core", ""},
		{"not what is built in", rule(`module = "built"`, `stage = "deny"`), "", "built", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := policedSet(t, tt.policy, tt.conf, "").Resolve(tt.asked)
			if diff := cmp.Diff(tt.steps, steps(d)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.refused, refused(d)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestManualModulesWaitForSomebodyToAsk(t *testing.T) {
	s := policedSet(t, rule(`module = ["drv", "core"]`, `stage = "manual"`), "", "")
	hot := s.Decide(rules.Device{Modalias: "pci:v1d2"})
	if diff := cmp.Diff("core; rival needs core", steps(hot)); diff != "" {
		t.Error("a device's module needs a manual one:", diff)
	}
	if diff := cmp.Diff(`drv: k.toml:3: a rule without a name: stage = "manual"`, refused(hot)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("core; lib needs core; drv needs core,lib", steps(s.Resolve("drv"))); diff != "" {
		t.Error("somebody asks for it:", diff)
	}
	if diff := cmp.Diff("core; lib needs core; drv needs core,lib", steps(s.Want("drv"))); diff != "" {
		t.Error("modules-load.d asks for it:", diff)
	}
}

func TestADeviceIsDenied(t *testing.T) {
	for _, tt := range []struct {
		name, policy string
		denied       bool
	}{
		{"by a rule about it", rule(`modalias = "pci:v1*"`, `stage = "deny"`), true},
		{"by its subsystem", rule(`subsystem = "pci"`, `stage = "deny"`), true},
		{"by its environment", rule(`env.SLOT = "3"`, `stage = "deny"`), true},
		{"not by another subsystem", rule(`subsystem = "usb"`, `stage = "deny"`), false},
		{"not by a rule about its module", rule(`modalias = "pci:*"`, `module = "drv"`, `stage = "deny"`), false},
		{"not if an earlier rule lets a module of it in", rule(`module = "drv"`, `stage = "normal"`) + rule(`modalias = "pci:*"`, `stage = "deny"`), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := policedSet(t, tt.policy, "", "")
			d := s.Decide(rules.Device{Modalias: "pci:v1d1", Subsystem: "pci", Env: []string{"SLOT=3"}})
			if d.Denied != tt.denied || d.Denied && len(d.Steps) > 0 || d.Denied && len(d.Refused) == 0 {
				t.Errorf("denied %v, steps %s, refused %s", d.Denied, steps(d), refused(d))
			}
		})
	}
}

func TestADeviceThatNothingMatchesIsDeniedToo(t *testing.T) {
	d := policedSet(t, rule(`modalias = "pci:v9*"`, `stage = "deny"`), "", "").Decide(rules.Device{Modalias: "pci:v9"})
	if !d.Denied || refused(d) != `: k.toml:3: a rule without a name: stage = "deny"` {
		t.Errorf("denied %v, refused %s", d.Denied, refused(d))
	}
}

func TestPreferences(t *testing.T) {
	for _, tt := range []struct{ name, policy, conf, modules, prefer, refused string }{
		{"in their order", rule(`modalias = "pci:v1*"`, `prefer = ["rival", "drv"]`), "", "rival drv", "rival drv", ""},
		{"what is not preferred is not loaded, and by which words", rule(`module = "drv"`, `prefer = ["extra", "rival"]`), "", "extra rival", "extra rival",
			`drv: k.toml:3: a rule without a name: prefer = ["extra", "rival"]`},
		{"what is not preferred is not loaded", rule(`module = "drv"`, `prefer = ["rival"]`), "", "rival", "rival",
			`drv: k.toml:3: a rule without a name: prefer = ["rival"]`},
		{"one that does not match", rule(`modalias = "pci:v1*"`, `prefer = ["extra", "drv", "rival"]`), "", "extra drv rival", "extra drv rival", ""},
		{"one that is not installed", rule(`modalias = "pci:v1*"`, `prefer = ["gone", "drv", "rival"]`), "", "drv rival", "drv rival",
			"gone: " + dir + ":0: gone is not installed"},
		{"none that is installed: what matches", rule(`modalias = "pci:v1*"`, `prefer = ["gone"]`), "", "drv rival", "",
			"gone: " + dir + ":0: gone is not installed"},
		{"one that is blacklisted", rule(`modalias = "pci:v1*"`, `prefer = ["rival", "drv"]`), "blacklist rival", "drv", "drv", "rival: x.conf:1: blacklist rival"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := policedSet(t, tt.policy, tt.conf, "").Decide(rules.Device{Modalias: "pci:v1d2"})
			if got := strings.Join(d.Modules, " "); got != tt.modules {
				t.Errorf("modules %q, want %q", got, tt.modules)
			}
			if got := strings.Join(d.Preferred(), " "); got != tt.prefer {
				t.Errorf("preferred %q, want %q", got, tt.prefer)
			}
			if want := policy.DefaultBindTimeout; tt.prefer != "" && d.BindTimeout != want {
				t.Errorf("time to bind %v, want %v", d.BindTimeout, want)
			}
			if diff := cmp.Diff(tt.refused, refused(d)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The modules of the list are loaded one after the other, each when its turn
// comes.
func TestEachPreferenceHasItsSteps(t *testing.T) {
	d := policedSet(t, rule(`modalias = "pci:v1*"`, `prefer = ["drv", "rival", "drv"]`), "", "").Decide(rules.Device{Modalias: "pci:v1d2"})
	want := []rules.Preference{{Module: "drv", Through: 3}, {Module: "rival", Through: 4}}
	if diff := cmp.Diff(want, d.Prefer); diff != "" {
		t.Errorf("steps %s: %s", steps(d), diff)
	}
}

func TestATimeToBind(t *testing.T) {
	for text, want := range map[string]time.Duration{
		rule(`prefer = ["drv"]`):                                                    policy.DefaultBindTimeout,
		"bind_timeout = \"2s\"\n" + rule(`prefer = ["drv"]`):                        2 * time.Second,
		"bind_timeout = \"2s\"\n" + rule(`prefer = ["drv"]`, `bind_timeout = "3s"`): 3 * time.Second,
	} {
		if got := policedSet(t, text, "", "").Decide(rules.Device{Modalias: "pci:v1d1"}).BindTimeout; got != want {
			t.Errorf("%v, want %v of\n%s", got, want, text)
		}
	}
}

// The kernel lets the last value of a parameter win: what the boot loader says
// is the last word.
func TestOptionsOfThePolicyGoBetweenTheFilesAndTheCommandLine(t *testing.T) {
	s := policedSet(t, rule(`module = "drv"`, `options = "a=2"`), "options drv a=1", "drv.a=3")
	d := s.Resolve("drv")
	if got := d.Steps[len(d.Steps)-1].Options; got != "a=1 a=2 a=3" {
		t.Errorf("options %q", got)
	}
	if got := says(d.Reasons); !strings.Contains(got, `k.toml:3: a rule without a name: options = "a=2"`) {
		t.Errorf("reasons:\n%s", got)
	}
}

func TestStagesAndTheirReasonsWithTheClass(t *testing.T) {
	d := policedSet(t, rule(`class = "other"`, `stage = "deferred"`, `after = "5s"`), "", "").Resolve("core")
	if d.Steps[0].Stage != policy.Deferred {
		t.Errorf("stage %q", d.Steps[0].Stage)
	}
	want := `k.toml:3: a rule without a name: stage = "deferred" (core is of class other: its driver is kept in no directory, and the device has no class code that tells more)`
	if got := says(d.Reasons); !strings.Contains(got, want) {
		t.Errorf("reasons:\n%s\nwant among them\n%s", got, want)
	}
}

func TestRulesThatLoseAreNamed(t *testing.T) {
	d := policedSet(t, rule(`name = "a"`, `module = "core"`, `stage = "normal"`)+rule(`name = "b"`, `stage = "deny"`), "", "").Resolve("core")
	if diff := cmp.Diff(`k.toml:7: rule "b": stage = "deny" for core does not count, for rule "a" comes before it`, says(d.Lost)); diff != "" {
		t.Error(diff)
	}
}

func TestWhoReadsAsKmodKnowsNoPolicy(t *testing.T) {
	installed, err := match.Parse(dir, tables)
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Parse(policy.File{Name: "k.toml", Text: rule(`stage = "deny"`)})
	s := rules.NewSet(installed, modprobed.Kmod.Parse(""), rules.WithPolicy(p))
	if d := s.Resolve("core"); len(d.Steps) == 0 || len(d.Refused) > 0 {
		t.Errorf("steps %s, refused %s", steps(d), refused(d))
	}
}

func TestDevicesShareDecisionsUnlessRulesLookAtMore(t *testing.T) {
	a := rules.Device{Path: "/a", Modalias: "m", Subsystem: "usb"}
	b := rules.Device{Path: "/b", Modalias: "m", Subsystem: "hid"}
	if s := newSet(t, "", ""); s.Key(a) != s.Key(b) {
		t.Error("without policy they don't")
	}
	if s := policedSet(t, rule(`subsystem = "usb"`, `stage = "deny"`), "", ""); s.Key(a) == s.Key(b) {
		t.Error("a rule about a subsystem does not tell them apart")
	}
}

func TestWhichDriversSleep(t *testing.T) {
	for _, tt := range []struct{ name, policy, sleeps string }{
		{"by their name", rule(`module = "drv"`, `idle = "30s"`), `drv 30s k.toml:3: a rule without a name: idle = "30s"`},
		{"by their device", rule(`modalias = "pci:v1*"`, `idle = "1m"`, `identity = "any"`), `drv 1m0s any k.toml:3: a rule without a name: idle = "1m0s"`},
		{"of a kind that should not", rule(`module = "drv"`, `idle = "30s"`, `force = true`), `drv 30s force k.toml:3: a rule without a name: idle = "30s"`},
		{"not before somebody opens it", rule(`module = "drv"`, `stage = "on-open"`), `drv 1m0s on-open k.toml:3: a rule without a name: stage = "on-open"`},
		{"not before, and soon again", rule(`module = "drv"`, `stage = "on-open"`, `idle = "5s"`), `drv 5s on-open k.toml:4: a rule without a name: idle = "5s"`},
		{"none that never goes", rule(`module = "drv"`, `idle = "off"`) + rule(`module = "drv"`, `idle = "1s"`), ""},
		{"none of another device", rule(`modalias = "pci:v2*"`, `idle = "1m"`), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, s := range policedSet(t, tt.policy, "", "").Decide(rules.Device{Modalias: "pci:v1d1"}).Sleeps {
				words := []string{s.Module, s.After.String()}
				if s.Any {
					words = append(words, "any")
				}
				if s.OnOpen {
					words = append(words, "on-open")
				}
				if s.Force {
					words = append(words, "force")
				}
				got = append(got, strings.Join(append(words, s.By.String()), " "))
			}
			if diff := cmp.Diff(tt.sleeps, strings.Join(got, "; ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPacketFilterGoesOnlyByForce(t *testing.T) {
	installed, err := match.Parse(dir, map[string]string{"modules.dep": "kernel/net/ipv4/netfilter/filter.ko:\nkernel/drivers/net/drv.ko:\n"})
	if err != nil {
		t.Fatal(err)
	}
	const mine = `k.toml:3: a rule without a name: idle = "5s"`
	for _, tt := range []struct {
		module, policy string
		want           time.Duration
		by             string
	}{
		{"drv", "", policy.DefaultGoneTimeout, "gone_timeout"},
		{"drv", rule(`module = "drv"`, `idle = "5s"`), 5 * time.Second, mine},
		{"filter", "", policy.Never, "kmodd: "},
		{"filter", rule(`module = "filter"`, `idle = "5s"`), policy.Never, "kmodd: "},
		{"filter", rule(`module = "filter"`, `idle = "5s"`, `force = true`), 5 * time.Second, mine},
	} {
		s := rules.NewSet(installed, modprobed.Parse("", modprobed.File{}), rules.WithPolicy(policy.Parse(policy.File{Name: "k.toml", Text: tt.policy})))
		got, by := s.Unused(tt.module)
		if got != tt.want || !strings.HasPrefix(by.String(), tt.by) {
			t.Errorf("%s, with %q: %v by %s", tt.module, tt.policy, got, by)
		}
	}
}

func TestARuleMayDenyOneDriverAndPreferAnother(t *testing.T) {
	d := policedSet(t, rule(`module = "drv"`, `stage = "deny"`, `prefer = ["rival"]`), "", "").Decide(rules.Device{Modalias: "pci:v1d2"})
	if got := steps(d); got != "core; rival needs core" || len(d.Prefer) != 1 {
		t.Errorf("steps %q, preferences %v", got, d.Prefer)
	}
}
