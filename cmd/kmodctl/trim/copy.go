package trim

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/depmod"
)

// Free says why no tree can be made in a directory: nil if it is not there, or is
// empty, and nobody works in it, for it is replaced.
func Free(dir string) error {
	entries, err := os.ReadDir(dir)
	_, errLink := os.Readlink(dir)
	switch {
	case errors.Is(err, os.ErrNotExist) && errLink == nil:
		return fmt.Errorf("%s is a link that leads nowhere: name a directory that is empty, or is not there yet", dir)
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: name a directory that is, or is not there yet", dir)
	case isHere(dir):
		return fmt.Errorf("%s is the working directory, which would be replaced: name one that is not there yet", dir)
	case isMount(dir):
		return fmt.Errorf("%s is where a file system is mounted, and would be replaced: name a directory in it that is not there yet", dir)
	}
	return nil
}

// isHere tells whether a directory is the working directory.
func isHere(dir string) bool {
	there, err1 := os.Stat(dir)
	here, err2 := os.Stat(".")
	return err1 == nil && err2 == nil && os.SameFile(there, here)
}

// isMount tells whether a file system is mounted on a directory, where the kernel tells
// (Linux 5.8).
func isMount(dir string) bool {
	var s unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, 0, 0, &s)
	return err == nil && s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// Copy makes a tree of what is kept: lib/modules/VERSION with its tables, and
// lib/firmware. dir must be as [Free] has it. It is there when all of the tree is on
// the disk, and after an error it is as it was. The warnings are depmod's.
func (t *Trim) Copy(dir string) (warnings []string, err error) {
	if err := Free(dir); err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // a link to an empty one stays
	}
	c := &copying{Trim: t}
	if c.top, err = os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(c.top) // which has gone to its place, if all went well
	for _, step := range []func() error{c.modules, c.firmware, c.lists, c.makeTables, c.sync} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	// An empty directory is replaced, which os.Rename would refuse, and one that has got
	// something meanwhile is not.
	if err := unix.Rename(c.top, dir); err != nil {
		return nil, &os.LinkError{Op: "rename", Old: c.top, New: dir, Err: err}
	}
	return c.warnings, syncDir(filepath.Dir(dir))
}

// A copying is the work on one tree.
type copying struct {
	*Trim
	top      string   // the tree under the name that it has until it is whole
	paths    []string // of the modules in it
	warnings []string
}

// place is where a file of the system is in the tree. What is outside of lib, such
// as a module that an external line of depmod.d names, has the same path there.
func (c *copying) place(file string) string {
	if within, err := filepath.Rel(c.lib(), file); err == nil && filepath.IsLocal(within) {
		return filepath.Join("/lib", within)
	}
	return file
}

func (c *copying) modules() error {
	for _, m := range c.Modules {
		place := c.place(m.File)
		if err := c.copy(m.File, place); err != nil {
			return err
		}
		c.paths = append(c.paths, place)
	}
	return nil
}

// firmware copies the files, and has links lead to them where links did.
func (c *copying) firmware() error {
	for _, f := range c.Firmware {
		real := c.place(cmp.Or(f.leads, f.File))
		if err := c.copy(f.File, real); err != nil {
			return err
		}
		if f.leads == "" {
			continue
		}
		place := c.place(f.File)
		to, err := filepath.Rel(filepath.Dir(place), real)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(c.top, filepath.Dir(place)), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(to, filepath.Join(c.top, place)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// lists copies what the kernel's makefiles leave beside the modules; of
// modules.order the lines of those that are kept.
func (c *copying) lists() error {
	dir := c.place(c.Tables)
	if err := os.MkdirAll(filepath.Join(c.top, dir), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"modules.builtin", "modules.builtin.modinfo"} {
		err := c.copy(filepath.Join(c.Tables, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(c.Tables, "modules.order"))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.WriteFile(filepath.Join(c.top, dir, "modules.order"), c.order(string(text)), 0o644)
}

// order has the lines of those modules that are kept. They name files as they
// were built, before anybody compressed them.
func (c *copying) order(text string) (kept []byte) {
	listed := make(map[string]bool)
	for _, m := range c.Modules {
		below, _ := filepath.Rel(c.Tables, m.File)
		if i := strings.LastIndex(below, ".ko"); i >= 0 {
			listed[below[:i]+".ko"] = true
		}
	}
	for line := range strings.Lines(text) {
		if listed[strings.TrimSuffix(line, "\n")] {
			kept = append(kept, line...)
		}
	}
	return kept
}

// makeTables makes the tables of the modules that were copied. That these are the
// ones that count was decided when the system's own tables were made.
func (c *copying) makeTables() error {
	dir := c.place(c.Tables)
	only := slices.Clone(c.paths)
	if only == nil {
		only = []string{} // none, and not all
	}
	tables, err := depmod.Build(depmod.Tree{Root: os.DirFS(c.top), Dir: dir, Only: only}, depmod.Listener{
		Say: func(m depmod.Message) { c.warnings = append(c.warnings, m.Says) },
	})
	if err != nil {
		return err
	}
	return tables.Write(filepath.Join(c.top, dir))
}

// sync has all of the tree on the disk before it gets its name.
func (c *copying) sync() error {
	if err := os.Chmod(c.top, 0o755); err != nil {
		return err
	}
	d, err := os.Open(c.top)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("write %s to the disk: %w", c.top, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// copy copies a file, or what a link leads to, to a place in the tree, with its date:
// depmod -A goes by it. What is there already is the same file.
func (c *copying) copy(from, place string) error {
	from, err := c.real(from)
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	to := filepath.Join(c.top, place)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	switch {
	case errors.Is(err, os.ErrExist):
		return nil
	case err != nil:
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), os.Chtimes(to, info.ModTime(), info.ModTime()))
}
