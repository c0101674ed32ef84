package main

import (
	"os"
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
