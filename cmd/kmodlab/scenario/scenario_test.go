package scenario

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRunner prepares the guests that the project's own programs are in.
func newRunner(t *testing.T) *Runner {
	t.Helper()
	lookAtSources(t)
	build, err := lab.Prepare(t.Context(), os.Stderr, lab.Programs...)
	if err != nil {
		t.Fatal(err)
	}
	return NewRunner(t.Context(), build)
}

// lookAtSources lists all directories of the module. The go command keeps a test's result
// until something changes that the test has looked at itself, and what is in the guests
// it builds in processes of their own.
func lookAtSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../../..", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && (d.Name() == ".git" || d.Name() == "bin") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestScenarios(t *testing.T) {
	files, err := Files("../../../testdata/scenarios")
	if err != nil {
		t.Fatal(err)
	}
	newRunner(t).Run(suite{t}, files...)
}

// A suite is a testing.T as testscript wants it.
type suite struct{ *testing.T }

func (s suite) Run(name string, script func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) { script(suite{t}) })
}

func (s suite) Verbose() bool { return testing.Verbose() }

// A transcript is a testscript.T that keeps what a script says, whose failure
// is none of the test's.
type transcript struct {
	text   bytes.Buffer
	failed bool
}

func (s *transcript) Run(_ string, script func(testscript.T)) {
	var ended sync.WaitGroup
	ended.Go(func() { script(s) }) // FailNow ends the goroutine
	ended.Wait()
}

func (s *transcript) FailNow()          { s.failed = true; runtime.Goexit() }
func (s *transcript) Fatal(args ...any) { s.Log(args...); s.FailNow() }
func (s *transcript) Skip(args ...any)  { s.Fatal(args...) }
func (s *transcript) Log(args ...any)   { fmt.Fprintln(&s.text, args...) }
func (s *transcript) Failed() bool      { return s.failed }
func (s *transcript) Parallel()         {}
func (s *transcript) Verbose() bool     { return false }

func TestWhatAFailingScenarioShows(t *testing.T) {
	r := newRunner(t)
	for _, tt := range []struct {
		name, script string
		want         []string
	}{
		{"a verb before boot", "plug stick usb-storage", []string{"boot comes first"}},
		{"a verb that can't be negated", "! boot", []string{"boot has no meaning with a !"}},
		{"a background command of an earlier machine", "boot\nguest -bg d cat /dev/kmsg\nboot\nsignal d KILL", []string{"no background command was started as d"}},
		{"a device that QEMU does not know", "boot\nplug x nosuch", []string{"qemu: device_add: 'nosuch' is not a valid device model name"}},
		{"a name that is taken", "boot\nplug x usb-kbd\nplug x usb-mouse", []string{"there is a usb-kbd of that name already"}},
		{"a camera's property that it has not", "boot\nplug x uvc-camera colour=red", []string{"a camera has vendorid, productid and serial, and no colour=red"}},
		{"a camera's name", "boot\nplug x uvc-camera\nplug x usb-kbd", []string{"there is a uvc-camera of that name already", "--- x\nplugged into port"}},
		{"a device that was never plugged in", "boot\nunplug x", []string{"nothing of that name is plugged in"}},
		{"a command that fails", "boot\nguest sh -c 'echo why >&2; exit 7'", []string{"why", "the command failed with exit code 7"}},
		{"a command that succeeds against expectation", "boot\n! guest true", []string{"the command succeeded, and should have failed"}},
		{"a wait in vain, with the last output", "boot\nwait-for -timeout 300ms sh -c 'echo still; false'", []string{"still", "not within 300ms"}},
		{"a background command that goes on", "boot\nguest -bg d cat /dev/kmsg\nended -timeout 300ms d", []string{"d has not ended within 300ms"}},
		{"an event that the witness did hear", "boot\nguest modprobe usbcore\nwitness add /module/usbcore\n! witness add /module/usbcore", []string{"the witness has heard add"}},
		{"the guest's logs", "boot\nguest -bg d sh -c 'echo the words of d'\nended d\nguest sh -c 'echo from the kernel > /dev/kmsg'\n! guest true",
			[]string{"--- the guest's kernel", "from the kernel", "--- d\nthe words of d"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "failing.txtar")
			if err := os.WriteFile(file, []byte(tt.script+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			var said transcript
			r.Run(&said, file)
			if !said.Failed() {
				t.Error("it did not fail")
			}
			for _, want := range tt.want {
				if !strings.Contains(said.text.String(), want) {
					t.Errorf("it did not say %q:\n%s", want, &said.text)
				}
			}
			if len(r.slots) > 0 {
				t.Error("its machine's place was not given back")
			}
		})
	}
}

func TestAFolderWithoutScenariosIsAnError(t *testing.T) {
	if files, err := Files(t.TempDir()); err == nil {
		t.Errorf("found %q", files)
	}
}
