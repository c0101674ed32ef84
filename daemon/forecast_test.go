package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

func TestTheNextBootReadsWhatThisOneHasWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "var/forecast.json")
	if got, err := readForecast(file, "one"); got != nil || err != nil {
		t.Fatalf("the first boot ever: %v, %v", got, err)
	}
	want := []core.Expectation{
		{Device: rules.Device{Path: "/devices/a", Subsystem: "usb", Modalias: "usb:v1\x1b", Env: []string{"DEVTYPE=x"}}, Score: 2},
		{Device: rules.Device{Path: "/devices/b", Modalias: "pci:é"}, Score: 1},
	}
	if err := writeForecast(file, "one", want); err != nil {
		t.Fatal(err)
	}
	got, err := readForecast(file, "two")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := readForecast(file, "one"); !errors.Is(err, errSameBoot) {
		t.Errorf("the same boot: %v", err)
	}
}

func TestAForecastThatIsDamagedIsToldAndNotUsed(t *testing.T) {
	for name, text := range map[string]string{
		"cut":  `{"boot":"one","devices":[{"sco`,
		"long": strings.Repeat(" ", maxForecast+1),
		"list": `[]`,
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readForecast(file, "two"); err == nil || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
