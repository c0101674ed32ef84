package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/control"
)

func TestSpan(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, "0 µs"},
		{999 * time.Microsecond, "999 µs"},
		{time.Millisecond, "1 ms"},
		{999 * time.Millisecond, "999 ms"},
		{1250 * time.Millisecond, "1.2 s"},
		{59 * time.Second, "59.0 s"},
		{61 * time.Second, "1 min"},
		{47 * time.Hour, "47 h"},
		{50 * time.Hour, "2 days"},
	}
	for _, tt := range tests {
		if got := span(tt.d); got != tt.want {
			t.Errorf("span(%v) is %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestQuotedNamesThePlace(t *testing.T) {
	tests := []struct {
		reason control.Reason
		want   string
	}{
		{control.Reason{Says: "so"}, "so"},
		{control.Reason{Source: "kernel", Says: "so"}, "kernel: so"},
		{control.Reason{Source: "/etc/modprobe.d/a.conf", Line: 7, Says: "blacklist x"}, "/etc/modprobe.d/a.conf:7: blacklist x"},
	}
	for _, tt := range tests {
		if got := quoted(tt.reason); got != tt.want {
			t.Errorf("%+v is quoted as %q, want %q", tt.reason, got, tt.want)
		}
	}
}

func TestBecameSaysEveryState(t *testing.T) {
	said := make(map[string]control.State)
	for _, state := range []control.State{
		control.Absent, control.Waiting, control.InLoad, control.Coming, control.Live, control.Going, control.Broken, control.Builtin,
	} {
		words := became(control.Module{State: state, Ours: true})
		if other, ok := said[words]; ok {
			t.Errorf("%q is said of %q and of %q", words, other, state)
		}
		said[words] = state
	}
}

// What the running kernel was told at its start is nothing to another system.
func TestCommandLineIsTheRunningSystemsOnly(t *testing.T) {
	b, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for root, want := range map[string]string{"/": strings.TrimSpace(string(b)), t.TempDir(): ""} {
		if got, err := (system{root: root}).commandLine(); got != want || err != nil {
			t.Errorf("command line of %s: %q, %v; want %q", root, got, err, want)
		}
	}
}

func TestAStoryGetsTheKernelLogOfWhatHasNone(t *testing.T) {
	saved := kernelLog
	defer func() { kernelLog = saved }()
	kernelLog = filepath.Join(t.TempDir(), "kmsg")
	story := func() control.Story {
		return control.Story{
			Devices: []control.DeviceWhy{
				{Device: control.Device{Path: "/devices/pci/0000:01:00.0", Subsystem: "pci"}},
				{Device: control.Device{Path: "/devices/pci/0000:01:00.0", Subsystem: "pci"}, Log: []string{"kept"}},
				{Device: control.Device{Modalias: "pci:nobody"}},
			},
			Modules: []control.ModuleWhy{
				{Module: control.Module{Name: "ptp", State: control.Live}},
				{Module: control.Module{Name: "ptp", State: control.Broken}, Log: []string{"kept"}},
			},
		}
	}
	for _, test := range []struct{ name, record, device, module string }{
		{"no log", "", "", ""},
		{"of a device", "6,1,2,-;ptp 0000:01:00.0: mine\n DEVICE=+pci:0000:01:00.0\n", "ptp 0000:01:00.0: mine", ""},
		{"of a module", "6,1,2,-;ptp: registered\n", "", "ptp: registered"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.record != "" {
				if err := os.WriteFile(kernelLog, []byte(test.record), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := story()
			addKernelLog(&s)
			got := []string{strings.Join(s.Devices[0].Log, "; "), strings.Join(s.Devices[1].Log, "; "), strings.Join(s.Devices[2].Log, "; "),
				strings.Join(s.Modules[0].Log, "; "), strings.Join(s.Modules[1].Log, "; ")}
			if want := []string{test.device, "kept", "", test.module, "kept"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
