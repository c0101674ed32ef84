package lab

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// builds makes a folder with builds of these ages.
func builds(t *testing.T, ages map[string]time.Duration) string {
	t.Helper()
	dir := t.TempDir()
	for name, age := range ages {
		used := time.Now().Add(-age)
		err := os.Mkdir(filepath.Join(dir, name), 0o755)
		if err = errors.Join(err, os.Chtimes(filepath.Join(dir, name), used, used)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestBuildsThatWereNotUsedForLongestAreRemoved(t *testing.T) {
	dir := builds(t, map[string]time.Duration{"new": 1, "newer": 0, "old": time.Hour, "older": 2 * time.Hour})
	if err := prune(dir, 3); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"new", "newer", "old"}, names(t, dir)); diff != "" {
		t.Error("builds (-want +got):\n" + diff)
	}
}

func TestABuildThatIsHeldStays(t *testing.T) {
	dir := builds(t, map[string]time.Duration{"a": 0, "held": 0, "z": 0})
	b := &Build{dir: filepath.Join(dir, "held")}
	if err := b.hold(); err != nil {
		t.Fatal(err)
	}
	if err := prune(dir, 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"held"}, names(t, dir)); diff != "" {
		t.Error("builds (-want +got):\n" + diff)
	}
	b.inUse.Close()
}

func TestWhatAnInterruptedBuildLeftIsRemoved(t *testing.T) {
	dir := builds(t, map[string]time.Duration{"whole": time.Hour, makingPrefix + "1": 0})
	if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := prune(dir, 3); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"lock", "whole"}, names(t, dir)); diff != "" {
		t.Error("builds (-want +got):\n" + diff)
	}
}

func TestABuildThatIsNotThereCannotBeHeld(t *testing.T) {
	b := &Build{dir: filepath.Join(t.TempDir(), "gone")}
	if err := b.hold(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want %v", err, os.ErrNotExist)
	}
}
