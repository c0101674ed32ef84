package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/check"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

func newCheck(o *options) *cobra.Command {
	var certificates []string
	var force bool
	cmd := &cobra.Command{
		Use:   "check FILE|MODULE [PARAMETER=VALUE...]",
		Short: "Say what the kernel would say to a module, without loading it",
		Long: `Goes through what the kernel looks at before it runs a module, in its order:
permission, signature, format, module_blacklist, vermagic, presence, symbols and
parameters; then what modprobe looks at, dependencies and configuration. It says
which step would fail, and why, and what to do. Nothing is loaded.

FILE has a slash in it, or ends as module files do and is there: it is taken as
insmod takes it, which puts in nothing before it and asks no configuration.
MODULE is a name or an alias, and is taken as modprobe takes it.

What can't be known is said to be unknown: always what the module's init does.
As root more is known. Exit status 1 means that a step fails.`,
		Example: `  kmodctl check ./hello.ko speed=9600
  kmodctl check e1000e
  kmodctl check --certificate signing_key.x509 ./hello.ko
  kmodctl check --json ./hello.ko`,
		Args: arguments(func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("a FILE or MODULE is needed")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := newCheckSystem(certificates)
			var loads []check.Load
			if err == nil {
				loads, err = toCheck(s, args[0])
			}
			if err != nil {
				return fmt.Errorf("check: %w", err)
			}
			return checkAll(cmd.OutOrStdout(), s, loads, strings.Join(args[1:], " "), force, o.json)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "as with insmod -f: don't compare versions, and leave parameters to the kernel")
	cmd.Flags().StringArrayVar(&certificates, "certificate", nil, "verify signatures with the certificates in this `file`, PEM or DER")
	return cmd
}

// newCheckSystem is the running system. Without tables there still are files.
func newCheckSystem(certificates []string) (*check.System, error) {
	trusted, err := readCertificates(certificates)
	if err != nil {
		return nil, err
	}
	s := &check.System{Certificates: trusted, Kernel: kernel.System{Sys: here.sys, Proc: here.proc, Lib: filepath.Join(here.root, "lib")}}
	if s.Release, _, err = here.kernel(); err != nil {
		return nil, err
	}
	installed := system{root: here.root, kernel: s.Release}
	if s.Tables, err = installed.tables(); err != nil {
		s.Tables = nil
		return s, nil
	}
	cmdline, err := here.commandLine()
	if err != nil {
		return nil, err
	}
	config := modprobed.Kmodd.Load(here.root, s.Tables.Dir(), cmdline)
	s.Rules = rules.NewSet(s.Tables, config, rules.WithPolicy(policy.Load(here.root)))
	return s, nil
}

// errNoName is said of an empty argument, which a script has by mistake.
var errNoName = errors.New("name a module, or its file")

// toCheck is what an argument stands for.
func toCheck(s *check.System, arg string) (loads []check.Load, err error) {
	if arg == "" {
		return nil, errNoName
	}
	if info, err := os.Stat(arg); err == nil && info.IsDir() && isModuleFile(arg) {
		return nil, fmt.Errorf("%s is a directory: name a module's file in it", arg)
	}
	if isModuleFile(arg) {
		return []check.Load{{File: arg, Alone: true}}, nil
	}
	if s.Tables == nil {
		return nil, fmt.Errorf("no tables of modules for the kernel %s: install its modules and run depmod; if %s is a file, write ./%s", s.Release, arg, arg)
	}
	for _, name := range s.Rules.Found(arg) {
		m, ok := s.Tables.Module(name)
		_, builtin := s.Tables.Builtin(name)
		switch {
		case ok:
			loads = append(loads, check.Load{File: m.File})
		case builtin:
			return nil, fmt.Errorf("%s is part of the kernel: there is nothing to load", name)
		}
	}
	if len(loads) == 0 {
		err = fmt.Errorf("no module is called %s, and no alias of one matches it; if it is a file, write ./%s", arg, arg)
	}
	return loads, err
}

func checkAll(w io.Writer, s *check.System, loads []check.Load, parameters string, force, asJSON bool) error {
	failed := false
	for i, l := range loads {
		l.Parameters = parameters
		if force {
			l.Force = kernel.ForceVersions | kernel.ForceMagic
		}
		r := s.Run(l)
		failed = failed || r.Failed() != nil
		if i > 0 && !asJSON {
			fmt.Fprintln(w)
		}
		if err := printReport(w, &r, asJSON); err != nil {
			return err
		}
	}
	if failed {
		return exitStatus(exitFailed)
	}
	return nil
}

// A checkReport is a report as JSON has it.
type checkReport struct {
	*check.Report
	Fails string `json:"fails,omitempty"` // the name of the first step that does
	Errno string `json:"errno,omitempty"` // what the load will say
}

func printReport(w io.Writer, r *check.Report, asJSON bool) error {
	if !asJSON {
		return showReport(w, r)
	}
	report := checkReport{Report: r}
	if f := r.Failed(); f != nil {
		report.Fails, report.Errno = f.Name, unix.ErrnoName(f.Errno)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(report)
}

// showReport prints a line for each thing that a step says.
func showReport(w io.Writer, r *check.Report) error {
	fmt.Fprintf(w, "%s from %s\n", r.Module, r.File)
	for _, s := range r.Steps {
		result, name := string(s.Result), s.Name
		for _, says := range s.Says {
			fmt.Fprintf(w, "  %-8s %-17s%s\n", result, name, oneLine(says))
			result, name = "", ""
		}
		if s.Next != "" {
			fmt.Fprintf(w, "  %-8s %-17snext: %s\n", "", "", oneLine(s.Next))
		}
	}
	_, err := fmt.Fprintln(w, verdict(r))
	return err
}

func verdict(r *check.Report) string {
	f := r.Failed()
	switch {
	case f == nil:
		return "Nothing that can be known stands against it."
	case f.Errno == 0:
		return "modprobe would not put it in: " + f.Name + "."
	}
	return "The kernel would refuse it with " + cmp.Or(unix.ErrnoName(f.Errno), f.Errno.Error()) + ": " + f.Name + "."
}
