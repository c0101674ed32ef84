package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// roots are the packages that a guest needs, besides the libraries that they
// depend on.
//
// Busybox alone would not do: its shell, its xargs and its find run its own
// modprobe, lsmod and so on without looking for another in PATH.
var roots = []string{"busybox-static", "dash", "dmsetup", "findutils", "kmod", "udev", "xz-utils", "zlib1g", "zstd"}

// systemdRoots are those of a guest that systemd starts. Its mount units call
// mount(8) with options that busybox's does not know.
var systemdRoots = append([]string{"mount", "systemd"}, roots...)

// A Userland is the unpacked packages of a guest.
type Userland struct {
	Root string // as dpkg -x left it: bin, lib, sbin, usr…
	ID   string // changes with every package and version
}

// LoadUserland returns the programs of a guest that is a PC, and fetches them
// if the cache has none; progress says what is fetched. Safe for concurrent
// use, by processes too.
func LoadUserland(ctx context.Context, progress io.Writer) (*Userland, error) {
	return AMD64.LoadUserland(ctx, progress)
}

// LoadUserland returns the programs of a guest, as the function of that name
// does for a PC.
func (a Architecture) LoadUserland(ctx context.Context, progress io.Writer) (*Userland, error) {
	return a.loadUserland(ctx, progress, roots)
}

// LoadSystemd is LoadUserland for a guest whose first process is systemd.
func LoadSystemd(ctx context.Context, progress io.Writer) (*Userland, error) {
	return AMD64.loadUserland(ctx, progress, systemdRoots)
}

func (a Architecture) loadUserland(ctx context.Context, progress io.Writer, roots []string) (*Userland, error) {
	shelf, err := openShelf("userland", a.packages(roots)...)
	if err != nil {
		return nil, err
	}
	root, err := shelf.fill(ctx, progress, func(scratch string) (string, string, error) {
		debs, err := a.fetch(ctx, progress, scratch, func(archive apt) ([]string, error) {
			return closure(roots, func(names []string) ([]stanza, error) { return archive.show(ctx, names...) })
		})
		if err != nil {
			return "", "", err
		}
		tree := filepath.Join(scratch, "tree")
		return digest(bases(debs)), tree, unpack(ctx, progress, tree, debs)
	})
	if err != nil {
		return nil, fmt.Errorf("get the guest's programs for %s: %w", a, err)
	}
	return &Userland{Root: root, ID: filepath.Base(root)}, nil
}

// closure adds to some packages the libraries that they need, directly or not.
// What is no library (adduser, dpkg, a base system's files) would not run in
// the guest and is left out.
func closure(packages []string, show func([]string) ([]stanza, error)) ([]string, error) {
	all := append([]string(nil), packages...)
	known := map[string]bool{}
	for _, name := range all {
		known[name] = true
	}
	for todo := all; len(todo) > 0; {
		found, err := show(todo)
		if err != nil {
			return nil, err
		}
		if len(found) < len(todo) {
			return nil, fmt.Errorf("the package lists know %d of %s", len(found), strings.Join(todo, " "))
		}
		todo = nil
		for _, s := range found {
			for _, name := range s.depends() {
				if strings.HasPrefix(name, "lib") && !known[name] {
					known[name] = true
					todo = append(todo, name)
				}
			}
		}
		all = append(all, todo...)
	}
	return all, nil
}

// bases are the names of files without their folders: package, version and
// architecture.
func bases(debs []string) []string {
	var names []string
	for _, deb := range debs { // filepath.Glob has sorted them
		names = append(names, filepath.Base(deb))
	}
	return names
}

// Busybox is the static busybox, which runs on the host as well.
func (u *Userland) Busybox() (string, error) {
	return u.find("bin/busybox", "usr/bin/busybox")
}

// find returns the first of some files that exists: Debian moves files from
// /bin to /usr/bin package by package.
func (u *Userland) find(candidates ...string) (string, error) {
	for _, name := range candidates {
		file := filepath.Join(u.Root, name)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("find %s in %s: %w; remove the folder to fetch it again", candidates[0], u.Root, os.ErrNotExist)
}

// depmod makes the tables of a kernel's modules with the unpacked kmod, its own
// dynamic linker and its own libraries: the host needs none of them.
func (u *Userland) depmod(ctx context.Context, kernel *Kernel) error {
	kmod, err1 := u.find("bin/kmod", "usr/bin/kmod")
	linker, err2 := u.find("lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	libraries := filepath.Join(u.Root, "lib/x86_64-linux-gnu") + ":" + filepath.Join(u.Root, "usr/lib/x86_64-linux-gnu")
	_, err := output(command(ctx, "", linker, "--library-path", libraries, "--argv0", "depmod", kmod, "-b", kernel.Root, kernel.Version))
	return err
}
