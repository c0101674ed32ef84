package daemon

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
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

// The folder has two names, as on Debian, and what is missing is looked for by both.
func TestAFolderAboveThatIsMovedAwayAndBackIsNoticed(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/lib/modules/6.1/modules.dep"))
	if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(root, "lib/modules")
	w := newTestWatch(t, filepath.Join(modules, "6.1"), filepath.Join(root, "usr/lib/modprobe.d"), filepath.Join(root, "lib/modprobe.d"))
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

// As when a file system is mounted over it: the directory is another one, and
// nothing in it has changed.
func TestADirectoryThatIsAnotherOneIsNoticedWhenAsked(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"a", "b"} {
		write(t, filepath.Join(root, dir, "6.1/modules.dep"))
	}
	link := filepath.Join(root, "modules")
	if err := os.Symlink("a", link); err != nil {
		t.Fatal(err)
	}
	w := newTestWatch(t, filepath.Join(link, "6.1"))
	if w.covered() {
		t.Error("covered by nothing")
	}
	if err := errors.Join(os.Symlink("b", link+"-new"), os.Rename(link+"-new", link)); err != nil {
		t.Fatal(err)
	}
	if !w.covered() {
		t.Error("another directory goes unnoticed")
	}
	w.renew()
	if w.covered() {
		t.Error("it is known now")
	}
}

// The kernel drops what does not fit its queue, and says so (inotify(7),
// IN_Q_OVERFLOW). A directory may have been made again unseen.
func TestAnOverflowIsAChangeAfterWhichNothingGoesUnnoticed(t *testing.T) {
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(limit)))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	dir := filepath.Join(root, "modprobe.d")
	write(t, filepath.Join(dir, "a.conf"))
	var log strings.Builder
	w := &watch{dirs: []string{dir}, changes: make(chan struct{}, 1), log: slog.New(slog.NewTextHandler(&log, nil))}
	if w.watcher, err = fsnotify.NewBufferedWatcher(1); err != nil {
		t.Fatal(err)
	}
	w.renew()
	// Nobody reads. Two files in turn, for the kernel joins events that are
	// alike. The reader within fsnotify takes some.
	for i := range most + 5000 {
		if err := os.Chmod(filepath.Join(dir, "a.conf"), os.FileMode(0o600+i%2)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, os.FileMode(0o700+i%2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		w.listen()
	}()
	noticed(t, w, "the overflow")
	w.renew()
	write(t, filepath.Join(dir, "b.conf"))
	noticed(t, w, "a file in the new directory")
	w.close()
	<-listening
	if !strings.Contains(log.String(), fsnotify.ErrEventOverflow.Error()) {
		t.Errorf("there was no overflow; the log: %s", &log)
	}
}
