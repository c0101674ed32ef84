// Package kmodtest has Debian's kmod do its work in a root that a test has made:
// with modules in the kernel that are not there.
package kmodtest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// A Cell is a root with kmod in it, and what it reads.
type Cell struct {
	Root    string
	Release string // of the running kernel, which kmod asks for
}

// A Said is what a program has said.
type Said struct {
	Stdout, Stderr string
	Exit           int
}

// New makes a cell with files of a txtar archive in it; in their names and texts
// RELEASE stands for the kernel's, and one called .keep is only for its directory. The test is skipped where there is no kmod.
func New(t *testing.T, files string) Cell {
	t.Helper()
	kmod, err := debian.Need(t.Context(), os.Stderr, "kmod", "kmod")
	if err != nil {
		t.Skip(err)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	c := Cell{t.TempDir(), unix.ByteSliceToString(name.Release[:])}
	archive := txtar.Parse([]byte(strings.ReplaceAll(files, "RELEASE", c.Release)))
	if err := txtar.Write(archive, c.Root); err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if filepath.Base(f.Name) == ".keep" {
			if err := os.Remove(filepath.Join(c.Root, f.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.copy(t, kmod, "bin/kmod")
	out, err := exec.Command("ldd", kmod).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllSubmatch(out, -1) {
		c.copy(t, string(library[1]), string(library[1]))
	}
	return c
}

func (c Cell) copy(t *testing.T, from, to string) {
	t.Helper()
	to = filepath.Join(c.Root, to)
	b, err := os.ReadFile(from)
	if err := errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, b, 0o755)); err != nil {
		t.Fatal(err)
	}
}

// libkmods is where in its source libkmod found something wrong, and what it says
// of that.
var libkmods = regexp.MustCompile(`(?m)^[a-z]+: [A-Z]+:? \.\./libkmod/.*\n`)

// Kmod runs Debian's kmod under a name, with the cell for its root.
func (c Cell) Kmod(t *testing.T, name string, args ...string) Said {
	t.Helper()
	cmd := exec.Command("/bin/kmod", args...)
	cmd.Args[0] = name
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.Root}
	if id := os.Geteuid(); id != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return Said{stdout.String(), libkmods.ReplaceAllString(stderr.String(), ""), cmd.ProcessState.ExitCode()}
}
