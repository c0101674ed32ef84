package policy_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/rules/policy"
)

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		name, wide, narrow string
		want               bool
	}{
		{"without conditions it always holds", ``, `class = "wifi"`, true},
		{"a condition the other has not", `class = "wifi"`, ``, false},
		{"the same", `module = "a*b"`, `module = "a*b"`, true},
		{"a name that matches", `module = "iwl*"`, `module = "iwlwifi"`, true},
		{"a longer beginning", `modalias = "usb:*"`, `modalias = "usb:v1234*"`, true},
		{"a shorter beginning", `modalias = "usb:v1234*"`, `modalias = "usb:*"`, false},
		{"all of several", `class = ["wifi", "sound"]`, `class = ["sound", "wifi"]`, true},
		{"one of several", `class = ["wifi"]`, `class = ["sound", "wifi"]`, false},
		{"a variable", `env.A = "b*"`, "env.A = \"bc\"\nenv.D = \"e\"", true},
		{"another variable", `env.A = "b*"`, `env.D = "b"`, false},
		{"what nobody can tell", `module = "a*c*"`, `module = "ab*c*"`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse("[[rule]]\nstage = \"deny\"\n" + tt.wide + "\n[[rule]]\nstage = \"deny\"\n" + tt.narrow)
			if len(p.Rules) != 2 {
				t.Fatal(warnings(p))
			}
			if got := p.Rules[0].Covers(p.Rules[1]); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// Whatever a covered rule matches, the covering one does, too.
func TestWhatIsCoveredMatches(t *testing.T) {
	pattern := rapid.StringMatching(`[ab]{0,3}[*?]?[ab]{0,2}`).Filter(func(s string) bool { return s != "" })
	rapid.Check(t, func(t *rapid.T) {
		wide, narrow := pattern.Draw(t, "wide"), pattern.Draw(t, "narrow")
		p := parse("[[rule]]\nstage = \"deny\"\nmodule = \"" + wide + "\"\n[[rule]]\nstage = \"deny\"\nmodule = \"" + narrow + "\"")
		m := policy.Module{Name: rapid.StringMatching(`[ab]{1,6}`).Draw(t, "name")}
		if p.Rules[0].Covers(p.Rules[1]) && p.Rules[1].MatchesModule(m) && !p.Rules[0].MatchesModule(m) {
			t.Errorf("%q covers %q and does not match %s", wide, narrow, m.Name)
		}
	})
}
