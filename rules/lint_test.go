package rules_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLint(t *testing.T) {
	for _, tt := range []struct{ name, policy, want string }{
		{"a module that is not installed", rule(`module = "drvv"`, `stage = "deny"`),
			"k.toml:1: a rule without a name: module drvv is not installed; did you mean drv?\nk.toml:1: a rule without a name: it can never match"},
		{"one of two that is not installed", rule(`module = ["drv", "nowhere*"]`, `stage = "deny"`), "k.toml:1: a rule without a name: module nowhere* is not installed"},
		{"what no device is called", rule(`modalias = "usb:x*"`, `stage = "deny"`),
			"k.toml:1: a rule without a name: no device's MODALIAS can match usb:x*: see docs/buses.md for how they are written\nk.toml:1: a rule without a name: it can never match"},
		{"a class without modules", rule(`class = "wifi"`, `stage = "deny"`), "k.toml:1: a rule without a name: no module of class wifi is installed"},
		{"a preference that is not installed", rule(`prefer = ["drv", "rivall"]`), "k.toml:2: a rule without a name: module rivall is not installed; did you mean rival?"},
		{"a preference that is named twice", rule(`prefer = ["drv", "rival", "drv"]`), "k.toml:2: a rule without a name: prefer names drv twice"},
		{"a preference for what is denied", rule(`modalias = "pci:v00008086*"`, `prefer = ["drv", "rival"]`, `stage = "deny"`),
			"k.toml:3: a rule without a name: its prefer can never count, for it denies the device"},
		{"a driver that is denied in favour of another", rule(`module = "drv"`, `prefer = ["rival"]`, `stage = "deny"`), ""},
		{"a rule that another comes before", rule(`name = "all"`, `stage = "normal"`) + rule(`name = "one"`, `module = "drv"`, `stage = "deny"`),
			`k.toml:4: rule "one": it can never count, for rule "all" in k.toml:1 comes before it and holds whenever it does`},
		{"a part of a rule", rule(`name = "all"`, `stage = "normal"`) + rule(`name = "one"`, `module = "drv"`, `stage = "deny"`, `options = "a=1"`),
			`k.toml:4: rule "one": its stage can never count, for rule "all" in k.toml:1 comes before it and holds whenever it does`},
		{"nothing", rule(`module = ["d*", "built"]`, `modalias = "pci:v00008086*"`, `stage = "deny"`) + rule(`module = "drv"`, `idle = "30s"`), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, w := range policedSet(t, tt.policy, "", "").Lint() {
				lines = append(lines, w.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(lines, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
