package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
	"github.com/spf13/cobra"
)

// A system is a root file system with modules in it, not necessarily the one
// that runs.
type system struct {
	root   string
	kernel string // empty for the running one, or the only one
	compat compat // whose reading of modprobe.d
	// cmdline is the kernel command line to go by instead of the running
	// kernel's, nil for none.
	cmdline *string
}

// flags adds the flags that name the system.
func (s *system) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.root, "root", "/", "use the system below this `directory`")
	cmd.Flags().StringVar(&s.kernel, "kernel", "", "use the modules of this kernel `version` (default: the running one, or the only one below --root)")
	cmd.Flags().Var(&s.compat, "compat", "kmod: read modprobe.d as kmod's modprobe does, with what docs/modprobe.md lists as mended")
}

// open reads the system's tables and configuration, and writes what is wrong
// with them to warnings.
func (s system) open(warnings io.Writer) (*rules.Set, error) {
	set, err := s.read(policy.Load)
	if err != nil {
		return nil, err
	}
	for _, w := range set.Warnings() {
		fmt.Fprintln(warnings, "kmodctl: warning:", w)
	}
	return set, nil
}

// read reads them, the policy by a function that is given the root.
func (s system) read(load func(root string) *policy.Policy) (*rules.Set, error) {
	tables, err := s.tables()
	if err != nil {
		return nil, err
	}
	cmdline, err := s.commandLine()
	if err != nil {
		return nil, err
	}
	config := modprobed.Dialect(s.compat).Load(s.root, tables.Dir(), cmdline)
	return rules.NewSet(tables, config, rules.WithPolicy(load(s.root))), nil
}

// tables opens the tables, for as long as the process lives.
func (s *system) tables() (*match.Tables, error) {
	var err error
	if s.root, err = filepath.Abs(s.root); err != nil {
		return nil, fmt.Errorf("root %s: %w", s.root, err)
	}
	dir, err := s.moduleDir()
	if err != nil {
		return nil, err
	}
	tables, err := match.Open(dir)
	if err != nil {
		return nil, s.depmod(err)
	}
	return tables, nil
}

// depmod names the depmod command that helps below another root too.
func (s system) depmod(err error) error {
	var missing *match.MissingError
	if s.running() || !errors.As(err, &missing) {
		return err
	}
	return fmt.Errorf("no module tables in %s: run depmod -b %s %s", missing.Dir, s.root, filepath.Base(missing.Dir))
}

func (s system) running() bool { return s.root == "/" }

// commandLine is the kernel's, if the system is the one that runs.
func (s system) commandLine() (string, error) {
	switch {
	case s.cmdline != nil:
		return *s.cmdline, nil
	case !s.running():
		return "", nil
	}
	return here.commandLine()
}

// moduleDir is where the kernel's modules are.
func (s system) moduleDir() (string, error) {
	parent, versions, err := s.versions()
	if err != nil {
		return "", err
	}
	kernel := s.kernel
	if kernel == "" && s.running() {
		if kernel, _, err = here.kernel(); err != nil {
			return "", err
		}
	}
	there := strings.Join(versions, ", ")
	switch {
	case len(versions) == 0:
		return "", fmt.Errorf("no kernel's modules are in %s; install a kernel's package", parent)
	case kernel == "" && len(versions) > 1:
		return "", fmt.Errorf("modules of several kernels are in %s; name one with --kernel: %s", parent, there)
	case kernel == "":
		kernel = versions[0]
	case !slices.Contains(versions, kernel):
		return "", fmt.Errorf("no modules of kernel %s are in %s; install its package, or name one that is there with --kernel: %s", kernel, parent, there)
	}
	return filepath.Join(parent, kernel), nil
}

// versions lists the kernels in the directory that holds the modules: lib, or
// usr/lib where a root has not got the link from the one to the other.
func (s system) versions() (parent string, versions []string, err error) {
	for _, lib := range []string{"lib", "usr/lib"} {
		parent = filepath.Join(s.root, lib, "modules")
		entries, err := os.ReadDir(parent)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		for _, e := range entries {
			if info, err := os.Stat(filepath.Join(parent, e.Name())); err == nil && info.IsDir() {
				versions = append(versions, e.Name())
			}
		}
		return parent, versions, nil
	}
	return "", nil, fmt.Errorf("no modules below %s: neither lib/modules nor usr/lib/modules is there; install a kernel's package, or correct --root", s.root)
}
