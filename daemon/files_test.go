package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
)

// A firmwareTree is a file system for a firmware watch.
type firmwareTree struct {
	t     *testing.T
	root  string
	watch fileWatch
	found chan core.FirmwareFound
}

func newFirmwareTree(t *testing.T) *firmwareTree {
	f := &firmwareTree{t: t, root: t.TempDir(), found: make(chan core.FirmwareFound, 8)}
	system := kernel.System{Sys: f.root + "/sys", Proc: f.root + "/proc", Lib: f.root + "/lib"}
	f.watch = newFileWatch(firmwareOf(system), func(e core.Event) { f.found <- e.(core.FirmwareFound) }, silent)
	t.Cleanup(func() { f.watch.await(nil) })
	return f
}

func (f *firmwareTree) install(name, content string) {
	f.t.Helper()
	file := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *firmwareTree) next(want core.FirmwareFound) {
	f.t.Helper()
	select {
	case got := <-f.found:
		if got != want {
			f.t.Errorf("found %+v, want %+v", got, want)
		}
	case <-time.After(10 * time.Second):
		f.t.Errorf("%+v is not found", want)
	}
}

// await returns when the watch for a file has begun: another one, that is there,
// is reported after that.
func (f *firmwareTree) await(name string) {
	f.t.Helper()
	f.install("lib/firmware/there", "")
	f.watch.await([]string{name, "there"})
	f.next(core.FirmwareFound{Name: "there"})
}

func TestAFileThatModulesWaitForIsFoundWhenItComes(t *testing.T) {
	there := make(chan core.Event, 8)
	w := newFileWatch(triggers, func(e core.Event) { there <- e }, silent)
	defer w.await(nil)
	dir := t.TempDir()
	now, later := filepath.Join(dir, "now"), filepath.Join(dir, "missing", "later")
	if err := os.WriteFile(now, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.await([]string{now, later})
	if e := <-there; e != (core.PathThere{Path: now}) {
		t.Errorf("%v", e)
	}
	if err := os.MkdirAll(filepath.Dir(later), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(later, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-there:
		if e != (core.PathThere{Path: later}) {
			t.Errorf("%v", e)
		}
	case <-time.After(10 * time.Second):
		t.Error("it is not found")
	}
}

func TestFirmwareThatIsThereIsFoundAtOnceAndNotAsAChange(t *testing.T) {
	f := newFirmwareTree(t)
	f.install("lib/firmware/a/x.bin.xz", "x")
	f.watch.await([]string{"a/x.bin", "a/y.bin"})
	f.next(core.FirmwareFound{Name: "a/x.bin"})
}

func TestFirmwareThatComesIsFoundThoughItsDirectoriesAreMissing(t *testing.T) {
	f := newFirmwareTree(t)
	f.await("a/x.bin")
	f.install("lib/firmware/updates/a/x.bin", "x")
	f.next(core.FirmwareFound{Name: "a/x.bin", Changed: true})
	f.install("lib/firmware/updates/a/x.bin", "another")
	f.next(core.FirmwareFound{Name: "a/x.bin", Changed: true})
}

func TestOtherFirmwareIsAwaitedInsteadOfTheOneBefore(t *testing.T) {
	f := newFirmwareTree(t)
	f.await("x.bin")
	f.await("y.bin")
	f.install("lib/firmware/x.bin", "")
	f.install("lib/firmware/y.bin", "")
	f.next(core.FirmwareFound{Name: "y.bin", Changed: true})
	if len(f.found) > 0 {
		t.Errorf("found as well: %+v", <-f.found)
	}
}

// As when a file system is mounted at /lib/firmware: no directory has changed.
func TestFirmwareIsFoundWhereItsDirectoryLeadsNow(t *testing.T) {
	f := newFirmwareTree(t)
	f.install("first/there", "")
	f.install("second/there", "")
	link := filepath.Join(f.root, "lib/firmware")
	if err := errors.Join(os.Mkdir(filepath.Dir(link), 0o755), os.Symlink("../first", link)); err != nil {
		t.Fatal(err)
	}
	f.await("x.bin")
	if err := errors.Join(os.Symlink("../second", link+".new"), os.Rename(link+".new", link)); err != nil {
		t.Fatal(err)
	}
	nudge(f.watch.mounted)
	f.next(core.FirmwareFound{Name: "there", Changed: true})
	f.install("second/x.bin", "")
	f.next(core.FirmwareFound{Name: "x.bin", Changed: true})
	nudge(f.watch.mounted) // nothing was mounted
	f.install("second/x.bin", "another")
	f.next(core.FirmwareFound{Name: "x.bin", Changed: true})
}

// When one module has a card of hundreds of functions probed, each of them is one
// file more to await.
func TestFirmwareIsAwaitedHoweverOftenTheListChanges(t *testing.T) {
	var said bytes.Buffer
	f := newFirmwareTree(t)
	f.watch.log = slog.New(slog.NewTextHandler(&said, nil))
	for i := range 1000 {
		f.watch.await([]string{fmt.Sprintf("%d.bin", i)})
	}
	f.await("last.bin")
	f.install("lib/firmware/last.bin", "x")
	f.next(core.FirmwareFound{Name: "last.bin", Changed: true})
	if said.Len() > 0 {
		t.Errorf("it says %s", said.String()[:min(said.Len(), 500)])
	}
}

func TestFirmwareIsFoundWhereSomethingElseNeverRests(t *testing.T) {
	f := newFirmwareTree(t)
	f.await("x.bin")
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ended:
				return
			case <-time.After(filesSettle / 10):
				_ = os.WriteFile(filepath.Join(f.root, "lib/firmware/log"), nil, 0o600) // it is noticed, whatever comes of it
			}
		}
	}()
	f.install("lib/firmware/x.bin", "x")
	f.next(core.FirmwareFound{Name: "x.bin", Changed: true})
	close(ended)
	<-done
}
