package modprobed_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/rules/modprobed"
)

// tree writes files below a new root.
func tree(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// blacklisted lists the blacklist lines, in order, with where they are from
// below root.
func blacklisted(root string, c *modprobed.Config) (list []string) {
	for _, b := range c.Blacklists {
		list = append(list, strings.TrimPrefix(b.File, root+"/")+" "+b.Module)
	}
	return list
}

func TestFilesByNameAcrossDirectories(t *testing.T) {
	root := tree(t, map[string]string{
		"etc/modprobe.d/b.conf":            "blacklist b-etc",
		"run/modprobe.d/b.conf":            "blacklist hidden",
		"run/modprobe.d/d.conf":            "blacklist d-run",
		"usr/local/lib/modprobe.d/a.conf":  "blacklist a-local",
		"usr/lib/modprobe.d/a.conf":        "blacklist hidden",
		"usr/lib/modprobe.d/c.conf":        "blacklist c-usr",
		"lib/modprobe.d/c.conf":            "blacklist hidden",
		"lib/modprobe.d/e.conf":            "blacklist e-lib",
		"etc/modprobe.d/README":            "blacklist ignored",
		"etc/modprobe.d/f.conf.dpkg-old":   "blacklist ignored",
		"etc/modprobe.d/.g.conf":           "blacklist ignored",
		"etc/modprobe.d/folder.conf/h":     "blacklist ignored",
		"etc/modprobe.d/sub/inferior.conf": "blacklist ignored",
	})
	c := modprobed.Load(root, filepath.Join(root, "lib/modules/6.1"), "")
	want := []string{
		"usr/local/lib/modprobe.d/a.conf a_local",
		"etc/modprobe.d/b.conf b_etc",
		"usr/lib/modprobe.d/c.conf c_usr",
		"run/modprobe.d/d.conf d_run",
		"lib/modprobe.d/e.conf e_lib",
	}
	if diff := cmp.Diff(want, blacklisted(root, c)); diff != "" {
		t.Error(diff)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
}

// A file whose name comes before modules.softdep can override a softdep that a
// module ships, one whose name comes after it can't: the first line counts for
// who takes only one.
func TestShippedSoftdepsStandUnderTheirName(t *testing.T) {
	root := tree(t, map[string]string{
		"etc/modprobe.d/a.conf":           "softdep m pre: a",
		"etc/modprobe.d/z.conf":           "softdep m pre: z",
		"lib/modules/6.1/modules.softdep": "# Soft dependencies\nsoftdep m pre: shipped\n",
		"lib/modules/6.1/modules.weakdep": "weakdep m w1 w2\n",
	})
	c := modprobed.Load(root, filepath.Join(root, "lib/modules/6.1"), "")
	var order []string
	for _, s := range c.Softdeps {
		order = append(order, s.Pre...)
	}
	if diff := cmp.Diff([]string{"a", "shipped", "z"}, order); diff != "" {
		t.Error(diff)
	}
	if len(c.Weakdeps) != 1 || len(c.Weakdeps[0].Modules) != 2 {
		t.Errorf("weakdeps: %v", c.Weakdeps)
	}
}

func TestWhatCannotBeReadIsAWarning(t *testing.T) {
	root := tree(t, map[string]string{
		"etc/modprobe.d/b.conf": "blacklist b",
		"run/keep":              "",
	})
	for link, target := range map[string]string{"etc/modprobe.d/a.conf": "nowhere", "run/modprobe.d": "modprobe.d"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	c := modprobed.Load(root, filepath.Join(root, "lib/modules/6.1"), "")
	want := []modprobed.Warning{
		{File: filepath.Join(root, "run/modprobe.d"), Says: "too many levels of symbolic links"},
		{File: filepath.Join(root, "etc/modprobe.d/a.conf"), Says: "no such file or directory"},
	}
	if diff := cmp.Diff(want, c.Warnings); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"etc/modprobe.d/b.conf b"}, blacklisted(root, c)); diff != "" {
		t.Error(diff)
	}
}

func TestAFIFOIsAWarningAndHoldsUpNobody(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "etc/modprobe.d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "a.conf"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := modprobed.Load(root, filepath.Join(root, "lib/modules/6.1"), "")
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), "not a regular file") {
		t.Errorf("warnings: %v", c.Warnings)
	}
}

// The paths of modprobe -C are directories or files, and take precedence in the
// order in which they are given.
func TestPathsInPlaceOfTheSystems(t *testing.T) {
	root := tree(t, map[string]string{
		"one/b.conf": "blacklist b-one",
		"two/a.conf": "blacklist a-two",
		"two/b.conf": "blacklist hidden",
		"two/z":      "blacklist z-file",
	})
	paths := []string{filepath.Join(root, "one"), filepath.Join(root, "two"), filepath.Join(root, "two/z")}
	c := modprobed.Kmodd.LoadPaths(paths, filepath.Join(root, "lib/modules/6.1"), "")
	if diff := cmp.Diff([]string{"two/a.conf a_two", "one/b.conf b_one", "two/z z_file"}, blacklisted(root, c)); diff != "" {
		t.Error(diff)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
}
