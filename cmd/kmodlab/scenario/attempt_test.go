package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func TestAScenarioIsRunOnceMoreWhenQEMUWasKilledAndOnlyThen(t *testing.T) {
	r := newRunner(t)
	for _, tt := range []struct {
		name, script  string
		crashes, runs int
		failed        bool
		want          []string
	}{
		{"a scenario that fails", "boot\nrun\n! guest true", 0, 1, true, []string{"the command succeeded"}},
		{"a machine that its guest ends", "boot\nrun\nguest sh -c 'echo c >/proc/sysrq-trigger'", 0, 1, true, nil},
		{"a crash each time", "boot\nrun\nguest true", 2, 2, true,
			[]string{"qemu-system-x86_64 ended by itself: signal: killed", "it is run once more"}},
		{"a crash", "boot\nrun\nguest true", 1, 2, false,
			[]string{"qemu-system-x86_64 ended by itself: signal: killed", "it is run once more"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs := 0
			r.verbs = append(slices.Clone(Verbs), Verb{Name: "run", run: func(s *stage, _ *testscript.TestScript, _ bool, _ []string) error {
				if runs++; runs <= tt.crashes {
					return crash()
				}
				return nil
			}})
			file := filepath.Join(t.TempDir(), "crash.txtar")
			if err := os.WriteFile(file, []byte(tt.script+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			var said transcript
			r.Run(&said, file)
			if runs != tt.runs || said.Failed() != tt.failed {
				t.Errorf("it ran %d times and failed: %v; want %d, %v:\n%s", runs, said.Failed(), tt.runs, tt.failed, &said.text)
			}
			for _, want := range tt.want {
				if !strings.Contains(said.text.String(), want) {
					t.Errorf("it did not say %q:\n%s", want, &said.text)
				}
			}
		})
	}
}

// crash kills the only QEMU of this process, as a fault of its own would.
func crash() error {
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return err
	}
	for _, file := range files {
		children, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has just ended
		}
		for child := range strings.FieldsSeq(string(children)) {
			pid, err := strconv.Atoi(child)
			name, errName := os.ReadFile(filepath.Join("/proc", child, "comm"))
			if err == nil && errName == nil && strings.HasPrefix(string(name), "qemu-system") {
				return unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
	return fmt.Errorf("no QEMU among the children in %q", files)
}
