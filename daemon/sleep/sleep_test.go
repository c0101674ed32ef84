package sleep

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/usage"
)

// machine makes a system of a text archive with sys/, proc/, dev/ and run/ in it.
// Its file links has lines LINK -> TARGET. The helper is installed.
func machine(t *testing.T, archive string) System {
	t.Helper()
	root := t.TempDir()
	a := txtar.Parse([]byte(archive))
	must(t, txtar.Write(a, root))
	must(t, os.MkdirAll(root+"/dev", 0o755))
	must(t, os.WriteFile(root+"/helper", nil, 0o700))
	must(t, os.MkdirAll(root+"/proc/sys/kernel", 0o755))
	must(t, os.WriteFile(root+"/proc/sys/kernel/modprobe", []byte("/sbin/modprobe\n"), 0o600))
	for _, f := range a.Files {
		if f.Name != "links" {
			continue
		}
		for line := range strings.Lines(string(f.Data)) {
			name, to, _ := strings.Cut(strings.TrimSpace(line), " -> ")
			name = filepath.Join(root, name)
			must(t, os.MkdirAll(filepath.Dir(name), 0o755))
			must(t, os.Symlink(to, name))
		}
	}
	return System{Sys: root + "/sys", Proc: root + "/proc", Dev: root + "/dev", Run: root + "/run", Helper: root + "/helper", usage: pretended{}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A pretended usage knows one module.
type pretended struct {
	devices []string
	found   []usage.Finding
}

func (p pretended) Module(string) []usage.Finding { return p.found }
func (p pretended) Drives(string) []string        { return p.devices }

// node81 makes a node of a video device, or skips the test where that may not be.
func (s System) node81(t *testing.T, name string, minor uint32) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(s.dev(name)), 0o755)
	if err == nil {
		err = unix.Mknod(s.dev(name), unix.S_IFCHR|0o600, int(unix.Mkdev(81, minor)))
	}
	if errors.Is(err, unix.EPERM) {
		t.Skipf("this process may not make device nodes: %v", err)
	}
	must(t, err)
}

// video is what is opened of the first camera.
func video(links ...string) kernel.Opening {
	return kernel.Opening{Alias: "char-major-81-0", Name: "video0", Links: links}
}

// stat is what a file below /dev is.
func (s System) stat(t *testing.T, name string) (st unix.Stat_t) {
	t.Helper()
	if err := unix.Lstat(s.dev(name), &st); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return st
}

// names lists what is below /dev, with where links lead to.
func (s System) names(t *testing.T) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(s.Dev, func(path string, d os.DirEntry, err error) error {
		name := strings.TrimPrefix(path, s.Dev)
		switch {
		case err != nil || name == "":
			return err
		case d.IsDir():
			name += "/"
		case d.Type()&os.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			name += " -> " + to
		}
		names = append(names, name[1:])
		return nil
	}))
	return names
}
