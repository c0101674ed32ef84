// Package sample builds the sample modules in testdata/modules: small ones that
// fail in the ways in which drivers fail.
//
// They are built against the headers of Debian's kernel with the host's
// compiler, in the bench's cache, once for each kernel and each state of their
// sources. What else they need, make, gcc and openssl, is installed where that
// is allowed.
package sample

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// Load returns the folder with the built modules, NAME.ko, and builds them if
// the cache has none. It must be called inside the project. Safe for concurrent
// use, by processes too.
func Load(ctx context.Context, progress io.Writer, kernel *debian.Kernel) (string, error) {
	dir, err := load(ctx, progress, kernel)
	if err != nil {
		return "", fmt.Errorf("build the sample modules: %w", err)
	}
	return dir, nil
}

func load(ctx context.Context, progress io.Writer, kernel *debian.Kernel) (string, error) {
	sources, err := sources(ctx)
	if err != nil {
		return "", err
	}
	cache, err := debian.CacheDir()
	if err != nil {
		return "", err
	}
	id, err := digest(sources, kernel.ID)
	if err != nil {
		return "", err
	}
	all := filepath.Join(cache, "samples")
	if err := os.MkdirAll(all, 0o755); err != nil {
		return "", err
	}
	unlock, err := debian.Lock(ctx, filepath.Join(all, "lock"), nil)
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := filepath.Join(all, id)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, build(ctx, progress, kernel, sources, dir)
}

// sources lists the files that modules are built from.
func sources(ctx context.Context) ([]string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("find the project's folder: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), "testdata/modules/*"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("testdata/modules: %w", os.ErrNotExist)
	}
	return files, err
}

// digest names what a build depends on.
func digest(sources []string, kernel string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, kernel)
	for _, name := range sources {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", filepath.Base(name), len(content), content)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

// build builds in a folder beside dir, and leaves the modules alone there.
func build(ctx context.Context, progress io.Writer, kernel *debian.Kernel, sources []string, dir string) error {
	headers, err := debian.LoadHeaders(ctx, progress, kernel)
	if err != nil {
		return err
	}
	compiler, err := compiler(headers)
	if err != nil {
		return err
	}
	if err := tools(ctx, progress, "make", compiler, "openssl"); err != nil {
		return err
	}
	fmt.Fprintln(progress, "building the sample modules")
	scratch, err := os.MkdirTemp(filepath.Dir(dir), ".building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	var copied []error
	for _, name := range sources {
		copied = append(copied, copyInto(scratch, name))
	}
	if err := errors.Join(copied...); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "make", "-C", scratch, "HEADERS="+headers).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make: %w\n%s", err, out)
	}
	return keep(scratch, dir)
}

// libelf is what objtool, one of the headers' programs, is linked with. It is
// the only library of theirs that neither a compiler nor openssl brings along.
const libelf = "/usr/lib/x86_64-linux-gnu/libelf.so.1"

// tools sees to it that programs are there, whose packages have their names.
func tools(ctx context.Context, progress io.Writer, programs ...string) error {
	for _, program := range programs {
		if _, err := debian.Need(ctx, progress, program, program); err != nil {
			return err
		}
	}
	return debian.NeedFile(ctx, progress, libelf, "libelf1")
}

// compiler is the one that the kernel was built with, which its headers ask for.
func compiler(headers string) (string, error) {
	settings, err := os.ReadFile(filepath.Join(headers, ".kernelvariables"))
	if err != nil {
		return "", err
	}
	name := regexp.MustCompile(`gcc-[0-9]+`).Find(settings)
	if name == nil {
		return "", fmt.Errorf("the headers in %s name no compiler", headers)
	}
	return string(name), nil
}

func copyInto(dir, name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, filepath.Base(name)), content, 0o644)
}

// keep puts the modules that a build has left in a folder to their place.
func keep(built, dir string) error {
	modules, err := filepath.Glob(filepath.Join(built, "*.ko"))
	if err != nil {
		return err
	}
	finished := filepath.Join(built, "finished")
	failed := []error{os.Mkdir(finished, 0o755)}
	for _, name := range modules {
		failed = append(failed, os.Rename(name, filepath.Join(finished, filepath.Base(name))))
	}
	return errors.Join(append(failed, os.Rename(finished, dir))...)
}
