package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/cmd/kmodlab/image"
	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
)

// A Program is one of the project's own, for the guest.
type Program struct {
	Package string // import path
	Path    string // where it goes in the guest
	Test    bool   // its tests are the program
}

// AgentPath is the agent in the guest, the program that every guest begins
// with.
const AgentPath = "/init"

var agent = Program{Package: "github.com/kmodd/kmodd/cmd/kmodlab/agent", Path: AgentPath}

// Programs are those of the project that scenarios are about.
var Programs = []Program{
	{Package: "github.com/kmodd/kmodd/cmd/kmodd", Path: "/usr/sbin/kmodd"},
	{Package: "github.com/kmodd/kmodd/cmd/kmodctl", Path: "/usr/bin/kmodctl"},
	{Package: "github.com/kmodd/kmodd/daemon/kernel", Path: "/usr/lib/kmodd/kernel.test", Test: true},
}

// A Build is everything that guests of one kind start from: a kernel and a root
// file system, in a folder of the cache. Its methods may be called
// concurrently.
type Build struct {
	Kernel *debian.Kernel

	dir      string
	inUse    *os.File // keeps dir from being pruned
	progress io.Writer
	template template
}

// The files of a build.
const (
	initramfsFile = "initramfs.cpio"
	kernelFile    = "kernel"
	memoryFile    = "template.memory"
	stateFile     = "template.state"
)

// makingPrefix begins the names of folders that become a build.
const makingPrefix = ".making-"

// keepBuilds is the number of builds that stay in the cache: some 2 GB each.
const keepBuilds = 3

// Prepare fetches what is missing, compiles the programs of the project that
// the guest shall have and makes its root file system, unless the cache has one
// of the same content. It must be called inside the project. progress says what
// takes time.
func Prepare(ctx context.Context, progress io.Writer, programs ...Program) (*Build, error) {
	if _, err := debian.Need(ctx, progress, qemu.Program, qemu.Package); err != nil {
		return nil, err
	}
	kernel, err := debian.LoadKernel(ctx, progress)
	if err != nil {
		return nil, err
	}
	userland, err := debian.LoadUserland(ctx, progress)
	if err != nil {
		return nil, err
	}
	root, err := rootFileSystem(ctx, kernel, userland, append(programs, agent))
	if err != nil {
		return nil, err
	}
	b := &Build{Kernel: kernel, progress: progress}
	return b, b.make(ctx, root)
}

// rootFileSystem collects the guest's files.
func rootFileSystem(ctx context.Context, kernel *debian.Kernel, userland *debian.Userland, programs []Program) (*image.Image, error) {
	root := image.New()
	if err := root.Tree("/", userland.Root, notForGuests); err != nil {
		return nil, err
	}
	modules := path.Join("lib/modules", kernel.Version)
	if err := root.Tree("/"+modules, filepath.Join(kernel.Root, modules), nothing); err != nil {
		return nil, err
	}
	if err := compile(ctx, root, programs); err != nil {
		return nil, err
	}
	for name, content := range settings {
		root.Text(name, content)
	}
	root.Dir("/root")
	root.Dir("/mnt")
	root.Link("/bin/sh", "dash")
	return root, busyboxLinks(ctx, root, userland)
}

// settings are the files that programs of the guest look for.
var settings = map[string]string{
	"/etc/passwd":   "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
	"/etc/group":    "root:x:0:\nnogroup:x:65534:\n",
	"/etc/hostname": "lab\n",
}

// notForGuests leaves out what only weighs.
func notForGuests(rel string) bool {
	for _, part := range []string{"share/doc", "share/man", "share/lintian", "/gconv", "share/initramfs-tools", "share/bash-completion"} {
		if strings.Contains(rel, part) {
			return true
		}
	}
	return false
}

func nothing(string) bool { return false }

// compile builds programs and puts them in place. They carry no mark of the
// commit: a build is to be the same where they are.
func compile(ctx context.Context, root *image.Image, programs []Program) error {
	dir, err := os.MkdirTemp("", "kmodlab-programs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, p := range programs {
		file := filepath.Join(dir, path.Base(p.Package))
		verb := []string{"build"}
		if p.Test {
			verb = []string{"test", "-c"}
		}
		cmd := exec.CommandContext(ctx, "go", append(verb,
			"-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=lab", "-o", file, p.Package)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("compile %s: %w\n%s", p.Package, err, out)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		root.Program(p.Path, content)
	}
	return nil
}

// busyboxLinks gives the guest every command of busybox that it has no other
// program for.
func busyboxLinks(ctx context.Context, root *image.Image, userland *debian.Userland) error {
	busybox, err := userland.Busybox()
	if err != nil {
		return err
	}
	list, err := exec.CommandContext(ctx, busybox, "--list-full").Output()
	if err != nil {
		return fmt.Errorf("ask busybox for its commands: %w", err)
	}
	for command := range strings.FieldsSeq(string(list)) {
		root.Link("/"+command, "/bin/busybox")
	}
	return nil
}

// make finds the build's folder, or fills it.
func (b *Build) make(ctx context.Context, root *image.Image) error {
	cache, err := debian.CacheDir()
	if err != nil {
		return err
	}
	id, err := buildID(ctx, root)
	if err != nil {
		return err
	}
	builds := filepath.Join(cache, "builds")
	b.dir = filepath.Join(builds, id)
	if err := os.MkdirAll(builds, 0o755); err != nil {
		return err
	}
	unlock, err := debian.Lock(ctx, filepath.Join(builds, "lock"), func() {
		fmt.Fprintln(b.progress, "waiting for another process that makes a guest")
	})
	if err != nil {
		return err
	}
	defer unlock()
	if err := b.hold(); err == nil {
		return nil
	}
	if err := b.fill(root, builds); err != nil {
		return err
	}
	return errors.Join(b.hold(), prune(builds, keepBuilds))
}

// hold marks the build's folder as used now, and by this process. The error is
// os.ErrNotExist if there is none.
func (b *Build) hold() error {
	now := time.Now()
	if err := os.Chtimes(b.dir, now, now); err != nil {
		return err
	}
	dir, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	b.inUse = dir
	return unix.Flock(int(dir.Fd()), unix.LOCK_SH)
}

// buildID names everything that a template depends on.
func buildID(ctx context.Context, root *image.Image) (string, error) {
	version, err := exec.CommandContext(ctx, qemu.Program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", qemu.Program, err)
	}
	h := sha256.New()
	fmt.Fprintln(h, root.Digest(), string(version), qemu.Config{Append: commandLine}.Args())
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

// fill makes the build's folder, beside its place first.
func (b *Build) fill(root *image.Image, builds string) error {
	scratch, err := os.MkdirTemp(builds, makingPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	fmt.Fprintln(b.progress, "making the guest's root file system")
	if err := writeInitramfs(root, filepath.Join(scratch, initramfsFile)); err != nil {
		return err
	}
	if err := b.writeKernel(filepath.Join(scratch, kernelFile)); err != nil {
		return err
	}
	return os.Rename(scratch, b.dir)
}

func writeInitramfs(root *image.Image, name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = root.WriteTo(f)
	return errors.Join(err, f.Close())
}

// writeKernel unpacks the kernel, or copies it where that can't be done: it
// then boots a little slower.
func (b *Build) writeKernel(name string) error {
	bzImage, err := os.ReadFile(b.Kernel.Vmlinuz)
	if err != nil {
		return err
	}
	vmlinux, err := image.Vmlinux(bzImage)
	if err != nil {
		fmt.Fprintf(b.progress, "%v; booting %s as it is\n", err, b.Kernel.Vmlinuz)
		vmlinux = bzImage
	}
	return os.WriteFile(name, vmlinux, 0o644)
}

// prune removes the builds that were not used for longest, but for the last few
// and for those that a process holds, and what an interrupted fill has left.
// The lock on all builds is held.
func prune(builds string, keep int) error {
	entries, err := os.ReadDir(builds)
	if err != nil {
		return err
	}
	var all []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || !e.IsDir():
		case strings.HasPrefix(e.Name(), makingPrefix):
			err = os.RemoveAll(filepath.Join(builds, e.Name()))
		default:
			all = append(all, info)
		}
		if err != nil {
			return err
		}
	}
	slices.SortFunc(all, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, old := range all[min(keep, len(all)):] {
		if err := removeUnused(filepath.Join(builds, old.Name())); err != nil {
			return err
		}
	}
	return nil
}

// removeUnused removes a build unless a process holds it.
func removeUnused(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	return errors.Join(err, os.RemoveAll(dir))
}
