package scenario

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
)

// Run runs scenarios as subtests of t, each named after its file. One whose
// machine was ended by a signal is run once more.
func (r *Runner) Run(t testscript.T, files ...string) {
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t testscript.T) {
			if !wantsAll(file) {
				t.Parallel()
			}
			try := r.try(t, file)
			if try.Failed() && try.ended != nil && try.ended.Killed() {
				t.Log("the emulator died, which says nothing about the scenario: it is run once more")
				try = r.try(t, file)
			}
			switch {
			case try.Failed():
				t.FailNow()
			case try.skipped:
				t.Skip()
			}
		})
	}
}

// wantsAll tells whether a scenario boots a machine that takes all places. It comes
// before those that share them, so that none is kept free until the rest has ended.
func wantsAll(file string) bool {
	text, err := os.ReadFile(file)
	return err == nil && bytes.Contains(text, []byte("\nboot board=rpi3"))
}

// try runs a scenario once.
func (r *Runner) try(t testscript.T, file string) *attempt {
	try := &attempt{T: t}
	testscript.RunT(try, r.params(file))
	return try
}

// An attempt is one run of a scenario, as a test to testscript: what it says
// goes to the test that it is an attempt at, what becomes of it does not.
type attempt struct {
	testscript.T
	failed  bool
	skipped bool
	ended   *qemu.Ended // the end of its last machine, if that came unasked
}

var _ testscript.T = (*attempt)(nil)

// Run runs the one script of the attempt, in a goroutine that FailNow and Skip
// can end.
func (a *attempt) Run(_ string, script func(testscript.T)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		script(a)
	}()
	<-ended
}

func (a *attempt) Parallel()         {}
func (a *attempt) Failed() bool      { return a.failed }
func (a *attempt) FailNow()          { a.failed = true; runtime.Goexit() }
func (a *attempt) Fatal(args ...any) { a.Log(args...); a.FailNow() }
func (a *attempt) Skip(args ...any)  { a.Log(args...); a.skipped = true; runtime.Goexit() }
