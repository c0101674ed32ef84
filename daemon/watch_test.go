package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// noticed waits for the next token of a watch.
func noticed(t *testing.T, w *watch, what string) {
	t.Helper()
	select {
	case <-w.changed():
	case <-time.After(10 * time.Second):
		t.Fatalf("%s goes unnoticed", what)
	}
}

// quietly checks that nothing is noticed: a change that is, after one that
// should not be, comes with its own token only.
func quietly(t *testing.T, w *watch, file, what string) {
	t.Helper()
	select {
	case <-w.changed():
		t.Errorf("%s is noticed", what)
	default:
	}
	write(t, file)
	noticed(t, w, file)
}

func write(t *testing.T, file string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func newTestWatch(t *testing.T, dirs ...string) *watch {
	w := newWatch(dirs, silent)
	t.Cleanup(w.close)
	w.renew()
	return w
}

func TestADirectoryThatDoesNotExistYetIsNoticedWhenItDoes(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "lib/modules/6.1")
	w := newTestWatch(t, dir)
	write(t, filepath.Join(root, "lib/modules/6.1/modules.dep"))
	noticed(t, w, "the directory")
	w.renew()
	write(t, filepath.Join(dir, "modules.alias.bin"))
	noticed(t, w, "a file in it")
}

func TestTablesThatAreReplacedAreNoticed(t *testing.T) {
	dir := t.TempDir()
	w := newTestWatch(t, dir)
	write(t, filepath.Join(dir, "new"))
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "modules.dep")); err != nil {
		t.Fatal(err)
	}
	noticed(t, w, "modules.dep")
}

func TestADirectoryThatIsMadeAgainIsNoticed(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "modprobe.d")
	write(t, filepath.Join(dir, "a.conf"))
	w := newTestWatch(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	noticed(t, w, "its removal")
	w.renew()
	write(t, filepath.Join(dir, "b.conf"))
	noticed(t, w, "the new one")
}

func TestWhatIsNotReadIsNotNoticed(t *testing.T) {
	root := t.TempDir()
	dir, other := filepath.Join(root, "modprobe.d"), filepath.Join(root, "other")
	write(t, filepath.Join(dir, "a.conf"))
	w := newTestWatch(t, dir, filepath.Join(root, "missing"))
	write(t, filepath.Join(dir, "editor.swp"))
	write(t, filepath.Join(other, "b.conf"))
	quietly(t, w, filepath.Join(dir, "a.conf"), "a file that is not read")
}

// As on Debian, where /lib is a link to usr/lib.
func TestADirectoryOfTwoNamesIsNoticedByBoth(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/lib/file"))
	if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"lib/modules", "usr/lib/modprobe.d"} {
		w := newTestWatch(t, filepath.Join(root, "lib/modules"), filepath.Join(root, "usr/lib/modprobe.d"))
		write(t, filepath.Join(root, dir, "file"))
		noticed(t, w, dir)
	}
}

func TestAFolderAboveThatIsMovedAwayAndBackIsNoticed(t *testing.T) {
	root := t.TempDir()
	modules := filepath.Join(root, "lib/modules")
	write(t, filepath.Join(modules, "6.1/modules.dep"))
	w := newTestWatch(t, filepath.Join(modules, "6.1"))
	for _, to := range []string{"gone", "lib/modules"} {
		from := modules
		if to == "lib/modules" {
			from = filepath.Join(root, "gone")
		}
		if err := os.Rename(from, filepath.Join(root, to)); err != nil {
			t.Fatal(err)
		}
		noticed(t, w, from)
		w.renew()
	}
}
