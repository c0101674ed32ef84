package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/handover"
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
