package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/handover"
	"github.com/kmodd/kmodd/daemon/kernel"
)

func TestWhatADaemonLeavesItsSuccessorTakesOnce(t *testing.T) {
	dir := t.TempDir()
	s := newSuccession(dir, silent)
	if s.boot == "" {
		t.Fatal("this kernel does not name its boots: is /proc mounted?")
	}
	if s.moved() {
		t.Error("the root has moved, and nobody has moved it")
	}
	want := []control.Module{{Name: "a", State: control.Live, Ours: true, For: "/devices/x", Live: 5}}
	s.leave(want)
	journal := core.Persist{Held: []string{"/devices/x"}, Unloading: []string{"b"}, Pinned: []string{"c"}}
	s.persist(journal)
	if diff := cmp.Diff(core.Inherited{Modules: want, Persist: journal}, newSuccession(dir, silent).take()); diff != "" {
		t.Error(diff)
	}
	// Drivers are kept from a device until a daemon says otherwise.
	if diff := cmp.Diff(core.Inherited{Persist: journal}, newSuccession(dir, silent).take()); diff != "" {
		t.Errorf("the second time: %v", diff)
	}
}

// Before /run is there nothing can be written.
func TestTheFirstDaemonIsNotedWhenThereIsAPlaceForIt(t *testing.T) {
	s := newSuccession(filepath.Join(t.TempDir(), "kmodd"), silent)
	if got := s.first(5); got != 5 || s.noted {
		t.Errorf("the first one began at %v, noted: %v", got, s.noted)
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := s.first(5); got != 5 || !s.noted {
		t.Errorf("the first one began at %v, noted: %v", got, s.noted)
	}
	if got := newSuccession(s.dir, silent).first(9); got != 5 {
		t.Errorf("the first one began at %v, says the second", got)
	}
}

func TestADamagedStateIsAWarningAndNothingIsInherited(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, handover.File), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if got := newSuccession(dir, slog.New(slog.NewTextHandler(&said, nil))).take(); got.Modules != nil {
		t.Errorf("inherited %v", got)
	}
	if !strings.Contains(said.String(), "level=WARN") || !strings.Contains(said.String(), handover.File) {
		t.Errorf("it says %q", said.String())
	}
}

func TestAProcessOfThisRootIsNotTakenForOneLeftBehind(t *testing.T) {
	if hasOtherRoot(os.Getpid()) {
		t.Error("this process has another root than itself")
	}
	if hasOtherRoot(0) { // of a peer in another process namespace
		t.Error("nobody has another root")
	}
}

// helped is a succession whose kernel asks that program, and what tells who is
// asked.
func helped(t *testing.T, program string) (s *succession, asked func() string) {
	t.Helper()
	proc := t.TempDir()
	file := filepath.Join(proc, "sys/kernel/modprobe")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(program+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s = newSuccession(t.TempDir(), silent)
	s.system = kernel.System{Proc: proc}
	return s, func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		return strings.TrimSpace(string(text))
	}
}

// kept is the helper that a file keeps, "nothing" without a file.
func kept(t *testing.T, s *succession) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, handover.HelperFile))
	if errors.Is(err, os.ErrNotExist) {
		return "nothing"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheHelperBeforeIsAskedAgainThoughItCouldNotBeWrittenDown(t *testing.T) {
	for _, before := range []string{"/sbin/modprobe", "/opt/modprobe", ""} {
		s, asked := helped(t, before)
		if err := os.MkdirAll(filepath.Join(s.dir, handover.HelperFile+".new/full"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := s.helper(true); err == nil || asked() != kernel.Helper || kept(t, s) != "nothing" {
			t.Errorf("%v; the kernel asks %q, and %q is kept", err, asked(), kept(t, s))
		}
		if err := s.helper(false); err != nil || asked() != before {
			t.Errorf("%v; the kernel asks %q, and asked %q before", err, asked(), before)
		}
	}
}

// As an earlier version left it where there was no room.
func TestAFileThatIsNotWholeKeepsNoHelper(t *testing.T) {
	for _, half := range []string{"", "/opt/modp"} {
		s, asked := helped(t, kernel.Helper)
		if err := os.WriteFile(filepath.Join(s.dir, handover.HelperFile), []byte(half), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.helper(false); err != nil || asked() != usualHelper || kept(t, s) != "nothing" {
			t.Errorf("%q: %v; the kernel asks %q, and %q is kept", half, err, asked(), kept(t, s))
		}
	}
}

func TestTheHelperBeforeIsAskedAgainThoughADaemonWasKilled(t *testing.T) {
	for _, before := range []string{"/sbin/modprobe", "/opt/modprobe", ""} {
		s, asked := helped(t, before)
		for _, step := range []struct {
			name        string
			on          bool
			asked, kept string
		}{
			{"of nothing that was done", false, before, "nothing"},
			{"on", true, kernel.Helper, before + "\n"},
			{"on again, by the daemon after one that was killed", true, kernel.Helper, before + "\n"},
			{"off", false, before, "nothing"},
			{"off again", false, before, "nothing"},
		} {
			if err := s.helper(step.on); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			if asked() != step.asked || kept(t, s) != step.kept {
				t.Errorf("%s: %q is asked, and %q kept", step.name, asked(), kept(t, s))
			}
		}
	}
}

func TestAHelperThatSomebodyHasSetSinceStays(t *testing.T) {
	s, asked := helped(t, "/sbin/modprobe")
	if err := s.helper(true); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.system.Proc, "sys/kernel/modprobe"), []byte("/opt/own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.helper(false); err != nil || asked() != "/opt/own" || kept(t, s) != "nothing" {
		t.Errorf("%q is asked, %q kept: %v", asked(), kept(t, s), err)
	}
}

func TestAHelperThatNobodyKnowsIsTheUsualOne(t *testing.T) {
	s, asked := helped(t, kernel.Helper)
	if err := s.helper(false); err != nil || asked() != usualHelper {
		t.Errorf("%q is asked: %v", asked(), err)
	}
}

func TestWithoutAPlaceToKeepItTheHelperIsOursAllTheSame(t *testing.T) {
	s, asked := helped(t, "/sbin/modprobe")
	s.dir = filepath.Join(s.dir, "missing")
	if err := s.helper(true); !errors.Is(err, os.ErrNotExist) || asked() != kernel.Helper {
		t.Errorf("%q is asked: %v", asked(), err)
	}
}

// As of a daemon that was killed, and whose journal somebody has removed.
func TestADaemonUnderWhichNothingSleepsLeavesTheKernelNoHelper(t *testing.T) {
	s, asked := helped(t, "/opt/modprobe")
	if err := s.helper(true); err != nil {
		t.Fatal(err)
	}
	if s.take(); asked() != "/opt/modprobe" || kept(t, s) != "nothing" {
		t.Errorf("%q is asked, and %q kept", asked(), kept(t, s))
	}
}
