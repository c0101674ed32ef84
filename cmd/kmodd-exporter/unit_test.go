package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// most is the exposure that systemd-analyze may find, in tenths: 0.4 of 10,
// which it calls safe.
const most = "4"

// units copies the units into a folder and returns their paths. Their program
// is this one, which is there without an installation.
func units(t *testing.T) (socket, service string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"kmodd-exporter.socket", "kmodd-exporter.service"} {
		text, err := os.ReadFile("../../deploy/systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		here := strings.Replace(string(text), "ExecStart=/usr/bin/kmodd-exporter", "ExecStart="+os.Args[0], 1)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(here), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "kmodd-exporter.socket"), filepath.Join(dir, "kmodd-exporter.service")
}

func TestSystemdFindsNoFaultInTheUnits(t *testing.T) {
	analyze, err := debian.Need(t.Context(), os.Stderr, "systemd-analyze", "systemd")
	if err != nil {
		t.Fatal(err)
	}
	socket, service := units(t)
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"verify", []string{"verify", "--man=no", socket, service}},
		{"security", []string{"security", "--offline=yes", "--no-pager", "--threshold=" + most, service}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), analyze, tt.args...).CombinedOutput()
			if err != nil || tt.name == "verify" && len(out) > 0 {
				t.Errorf("systemd-analyze %s: %v\n%s", tt.name, err, out)
			}
		})
	}
}

// The address is written in three places: the program's, the socket's and the
// documentation's, which the test of Prometheus reads.
func TestTheSocketListensWhereTheProgramWould(t *testing.T) {
	text, err := os.ReadFile("../../deploy/systemd/kmodd-exporter.socket")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\nListenStream="+defaultListen+"\n") {
		t.Errorf("kmodd-exporter.socket does not listen on %s", defaultListen)
	}
}
