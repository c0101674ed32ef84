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
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/cmd/kmodlab/image"
	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
	"github.com/kmodd/kmodd/daemon/kernel"
)

// A Program is one of the project's own, for the guest.
type Program struct {
	Package string // import path
	Path    string // where it goes in the guest
	Test    bool   // its tests are the program
}

// AgentPath is the agent in the guest.
const AgentPath = "/usr/lib/kmodlab/agent"

var agent = Program{Package: "github.com/kmodd/kmodd/cmd/kmodlab/agent", Path: AgentPath}

// Programs are those of the project that scenarios are about.
var Programs = []Program{
	{Package: "github.com/kmodd/kmodd/cmd/kmodd", Path: "/usr/sbin/kmodd"},
	{Package: "github.com/kmodd/kmodd/cmd/kmodd-tools", Path: "/usr/lib/kmodd/kmodd-tools"},
	{Package: "github.com/kmodd/kmodd/cmd/kmodctl", Path: "/usr/bin/kmodctl"},
	{Package: "github.com/kmodd/kmodd/cmd/kmodd-exporter", Path: "/usr/bin/kmodd-exporter"},
	{Package: "github.com/kmodd/kmodd/daemon/kernel", Path: "/usr/lib/kmodd/kernel.test", Test: true},
}

// A Build is everything that guests of one family start from: a kernel and a
// root file system, in a folder of the cache. Its methods may be called
// concurrently.
type Build struct {
	Kernel *debian.Kernel

	family    family
	dir       string
	inUse     *os.File // keeps dir from being pruned
	programs  []Program
	progress  io.Writer
	templates map[kind]*template
	siblings  map[family]*sibling
}

// The files of a build, beside those of its templates.
const (
	initramfsFile = "initramfs.cpio"
	kernelFile    = "kernel"
)

// makingPrefix begins the names of folders that become a build.
const makingPrefix = ".making-"

// keepBuilds is the number of builds of each family that stay in the cache:
// some 2 GB each.
const keepBuilds = 2

// Prepare fetches what is missing, compiles the programs of the project that
// the guest shall have and makes its root file system, unless the cache has one
// of the same content. It must be called inside the project. progress says what
// takes time.
//
// The build is for plain PCs. What other families need is prepared when the
// first of their guests is started.
func Prepare(ctx context.Context, progress io.Writer, programs ...Program) (*Build, error) {
	b := newBuild(plainPC, progress, append(programs, agent))
	b.siblings = siblings()
	return b, b.prepare(ctx)
}

// newBuild returns the build of a family, which is there when it was prepared.
func newBuild(f family, progress io.Writer, programs []Program) *Build {
	b := &Build{family: f, progress: progress, programs: programs, templates: make(map[kind]*template)}
	for _, k := range f.kinds() {
		b.templates[k] = &template{kind: k}
	}
	return b
}

func (b *Build) prepare(ctx context.Context) (err error) {
	for _, k := range b.family.kinds() {
		_, err := debian.Need(ctx, b.progress, k.board.Program, k.board.Package)
		if err == nil && k.board.Adds != "" {
			_, err = debian.Need(ctx, b.progress, treeCompiler, treePackage)
		}
		if err != nil {
			return err
		}
	}
	load := b.family.arch.LoadKernel
	if b.family.realtime {
		load = b.family.arch.LoadRealtimeKernel
	}
	if b.Kernel, err = load(ctx, b.progress); err != nil {
		return err
	}
	root, err := b.rootFileSystem(ctx)
	if err != nil {
		return err
	}
	return b.make(ctx, root)
}

// rootFileSystem collects the guest's files.
func (b *Build) rootFileSystem(ctx context.Context) (*image.Image, error) {
	if b.family.systemd {
		return b.withSystemd(ctx)
	}
	userland, err := b.family.arch.LoadUserland(ctx, b.progress)
	if err != nil {
		return nil, err
	}
	root, err := b.withPrograms(ctx, userland)
	if err != nil {
		return nil, err
	}
	root.Link("/init", AgentPath)
	deploy, err := deployDir(ctx)
	if err != nil {
		return nil, err
	}
	return root, root.Tree("/usr/share/kmodd", filepath.Join(deploy, "busybox"), nothing)
}

// withPrograms collects what the guests of all families have.
func (b *Build) withPrograms(ctx context.Context, userland *debian.Userland) (*image.Image, error) {
	root := image.New()
	if err := root.Tree("/", userland.Root, notForGuests); err != nil {
		return nil, err
	}
	modules := path.Join("lib/modules", b.Kernel.Version)
	if err := root.Tree("/"+modules, filepath.Join(b.Kernel.Root, modules), nothing); err != nil {
		return nil, err
	}
	if err := b.compile(ctx, root); err != nil {
		return nil, err
	}
	for name, content := range settings {
		root.Text(name, content)
	}
	root.Link(kernel.Helper, "../../sbin/kmodd") // as make install does
	root.Program("/usr/bin/capture", []byte("#!/bin/sh\nexec "+AgentPath+" capture \"$@\"\n"))
	root.Dir("/root")
	root.Dir("/mnt")
	root.Link("/bin/sh", "dash")
	return root, b.busyboxLinks(ctx, root)
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
func (b *Build) compile(ctx context.Context, root *image.Image) error {
	dir, err := os.MkdirTemp("", "kmodlab-programs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, p := range b.programs {
		file := filepath.Join(dir, path.Base(p.Package))
		verb := []string{"build"}
		if p.Test {
			verb = []string{"test", "-c"}
		}
		cmd := exec.CommandContext(ctx, "go", append(verb,
			"-trimpath", "-buildvcs=false", "-ldflags", "-s -w -funcalign=16 -X main.version=lab", "-o", file, p.Package)...)
		cmd.Env = append(append(ShippedEnv(), "GOOS=linux"), b.family.arch.GoEnv()...)
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

// ShippedEnv is the environment that programs are built in as they ship, the Makefile's:
// static, and with the collector of before Go 1.26, while there is one.
func ShippedEnv() []string {
	env := append(os.Environ(), "CGO_ENABLED=0")
	if strings.HasPrefix(runtime.Version(), "go1.26") {
		env = append(env, "GOEXPERIMENT=nogreenteagc")
	}
	return env
}

// busyboxLinks gives the guest every command of busybox that it has no other
// program for. The PC's busybox is asked for them: it runs here, and Debian's
// busybox has the same on every architecture.
func (b *Build) busyboxLinks(ctx context.Context, root *image.Image) error {
	userland, err := debian.LoadUserland(ctx, b.progress)
	if err != nil {
		return err
	}
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

// make finds the build's folder among those of its family, or fills it.
func (b *Build) make(ctx context.Context, root *image.Image) error {
	cache, err := debian.CacheDir()
	if err != nil {
		return err
	}
	id, err := b.id(ctx, root)
	if err != nil {
		return err
	}
	builds := filepath.Join(cache, b.family.folder())
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

// id names everything that the build's templates depend on.
func (b *Build) id(ctx context.Context, root *image.Image) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, root.Digest())
	for _, k := range b.family.kinds() {
		version, err := exec.CommandContext(ctx, k.board.Program, "--version").Output()
		if err != nil {
			return "", fmt.Errorf("%s --version: %w", k.board.Program, err)
		}
		fmt.Fprintln(h, string(version), qemu.Config{Board: k.board, Append: k.commandLine()}.Args(), k.board.ACPI, k.board.Adds)
	}
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

// writeKernel unpacks a PC's kernel, or copies it where that can't be done: it
// then boots a little slower. Those of other architectures are as they have to
// be.
func (b *Build) writeKernel(name string) error {
	kernel, err := os.ReadFile(b.Kernel.Vmlinuz)
	if err != nil {
		return err
	}
	if b.family.arch == debian.AMD64 {
		vmlinux, err := image.Vmlinux(kernel)
		if err == nil {
			kernel = vmlinux
		} else {
			fmt.Fprintf(b.progress, "%v; booting %s as it is\n", err, b.Kernel.Vmlinuz)
		}
	}
	return os.WriteFile(name, kernel, 0o644)
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
