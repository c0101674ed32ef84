package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
)

func TestWrongUsageIsRefusedOnOneLineWithTheCure(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		says string
	}{
		{"an argument", []string{"start"}, `unexpected argument "start"`},
		{"no workers", []string{"-workers", "0"}, "at least one is needed"},
		{"no rest", []string{"-rest", "0s"}, "more than nothing"},
		{"no patience", []string{"-patience", "-1s"}, "more than nothing"},
		{"an unknown level", []string{"-log", "loud"}, "unknown level"},
		{"an unknown option", []string{"-daemon"}, "-daemon"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(tt.args, &stdout, &stderr); got != 2 {
				t.Errorf("exit status %d, want 2", got)
			}
			first, _, _ := strings.Cut(stderr.String(), "\n")
			if !strings.Contains(first, tt.says) {
				t.Errorf("it says %q, want %q in it", first, tt.says)
			}
		})
	}
}

func TestTheVersionIsPrinted(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if got := run([]string{"-version"}, &stdout, &stderr); got != 0 || stdout.String() != "kmodd unknown\n" {
		t.Errorf("exit status %d, output %q", got, stdout.String())
	}
}

func TestDefaultsAreWhatTheHelpSays(t *testing.T) {
	var stderr bytes.Buffer
	config, err := parse(nil, &stderr, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	if config.Socket != control.Address || config.Limits != core.DefaultLimits {
		t.Errorf("socket %s, limits %+v", config.Socket, config.Limits)
	}
}

// A service manager tells by the exit status whether trying again can help.
func TestExitStatusSaysWhetherTryingAgainCanHelp(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"SIGTERM", nil, 0},
		{"an error", errors.New("socket gone"), 1},
		{"permission for something else", fmt.Errorf("listen: %w", os.ErrPermission), 1},
		{"no permission", &kernel.CheckError{Found: "no CAP_SYS_MODULE", Cure: "run it as root", Err: os.ErrPermission}, 77},
		{"no modules in this kernel", &kernel.CheckError{Found: "no modules", Cure: "boot another", Err: errors.ErrUnsupported}, 78},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if got := status(tt.err, &stderr); got != tt.want {
				t.Errorf("exit status %d, want %d", got, tt.want)
			}
			want := ""
			if tt.err != nil {
				want = fmt.Sprintf("kmodd: %v\n", tt.err)
			}
			if stderr.String() != want {
				t.Errorf("it says %q, want %q", stderr.String(), want)
			}
		})
	}
}

// A kernel without modules, as that of many containers and small machines, is
// told apart from a missing permission before anything is touched.
func TestAKernelWithoutModulesEndsItWith78(t *testing.T) {
	err := (kernel.System{}).Check()
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Logf("this kernel has modules (%v): the answer for one that has none is checked by package kernel", err)
		return
	}
	var stdout, stderr bytes.Buffer
	if got := run(nil, &stdout, &stderr); got != exitConfig {
		t.Errorf("exit status %d, want %d", got, exitConfig)
	}
	if !strings.Contains(stderr.String(), "without support for modules") || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("it says %q", stderr.String())
	}
}
