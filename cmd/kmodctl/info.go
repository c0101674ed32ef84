package main

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/match/kofile/signature/trust"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

func newInfo(o *options) *cobra.Command {
	var q inquiry
	var certificates []string
	cmd := &cobra.Command{
		Use:   "info MODULE|FILE...",
		Short: "Say what a module is, needs, takes and drives, without a daemon",
		Long: `Says of a module what its file has to say, and more than modinfo does: its size
on disk and in memory, its licence and what it taints the kernel with in words,
its parameters with the values that they have now, what it needs and who needs
it, how many ids of which buses it has, and which devices here have one of them,
which firmware is missing, what it exports, and who has signed it.

MODULE is a name or an alias, which may lead to several modules. FILE has a slash
in it, or ends as module files do and is there. What the kernel has now is told of
modules that are built for it.

With --certificate the signature is verified. The certificates are trusted as
they are, as the kernel trusts those that are built into it.`,
		Example: `  kmodctl info e1000e
  kmodctl info ./hello.ko --certificate signing_key.x509
  kmodctl info --root /mnt usb_storage
  kmodctl info --json snd_hda_intel`,
		Args: arguments(func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("a MODULE or FILE is needed")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if q.certificates, err = readCertificates(certificates); err == nil {
				err = q.answer(cmd, args, o.json)
			}
			if err != nil {
				return fmt.Errorf("info: %w", err)
			}
			return nil
		},
	}
	q.flags(cmd)
	cmd.Flags().StringArrayVar(&certificates, "certificate", nil, "verify signatures with the certificates in this `file`, PEM or DER")
	return cmd
}

func readCertificates(files []string) (all []*x509.Certificate, err error) {
	for _, file := range files {
		text, err := readAtMost(file, 1<<20)
		if err != nil {
			return nil, err
		}
		some, err := trust.Certificates(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// An inquiry is about modules of a system.
type inquiry struct {
	system
	certificates []*x509.Certificate

	installed *match.Tables // nil if there are none
	missing   error         // why
	rules     *rules.Set
	kernel    kernel.System
	release   string // of the running kernel
	devices   []rules.Device
	names     *names
}

// answer prints what there is to say of each argument, also when one of them can't be
// found or read. The last of these errors is returned.
func (q *inquiry) answer(cmd *cobra.Command, args []string, asJSON bool) error {
	if err := q.prepare(); err != nil {
		return err
	}
	defer q.names.close()
	out, printed := cmd.OutOrStdout(), 0
	var failed error
	for _, arg := range args {
		list, err := q.about(arg)
		if err != nil {
			if failed != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "kmodctl: info:", oneLine(failed.Error()))
			}
			failed = err
		}
		for _, m := range list {
			if printed++; printed > 1 && !asJSON {
				fmt.Fprintln(out)
			}
			if err := printInfo(out, m, asJSON); err != nil {
				return err
			}
		}
	}
	return failed
}

func printInfo(w io.Writer, m *moduleInfo, asJSON bool) error {
	if !asJSON {
		return m.print(w)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(m)
}

// prepare opens what answers are from. Without tables there still are files.
func (q *inquiry) prepare() error {
	q.names = &names{warnings: io.Discard} // numbers do where there are no names
	if err := q.names.open(); err != nil {
		return err
	}
	q.kernel = kernel.System{Sys: here.sys, Proc: here.proc, Lib: filepath.Join(q.root, "lib")}
	q.devices, _ = here.devices(io.Discard, nil) // in a container there may be none
	var err error
	if q.release, _, err = here.kernel(); err != nil {
		return err
	}
	if q.installed, q.missing = q.tables(); q.missing != nil {
		return nil
	}
	cmdline, err := q.commandLine()
	if err != nil {
		return err
	}
	q.rules = rules.NewSet(q.installed, modprobed.Dialect(q.compat).Load(q.root, q.installed.Dir(), cmdline))
	return nil
}

// about finds out about all modules that an argument stands for.
func (q *inquiry) about(arg string) ([]*moduleInfo, error) {
	if isModuleFile(arg) {
		m, err := q.file(modalias.ModuleName(filepath.Base(arg)), arg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		return []*moduleInfo{m}, nil
	}
	if q.missing != nil {
		return nil, q.missing
	}
	found := q.rules.Found(arg)
	if len(found) == 0 {
		return nil, fmt.Errorf("no module is called %s, and no alias of one matches it; if it is a file, write ./%s", arg, arg)
	}
	var list []*moduleInfo
	for _, name := range found {
		m, err := q.module(name)
		if err != nil {
			return list, err
		}
		list = append(list, m)
	}
	return list, nil
}

// isModuleFile says whether somebody means a file.
func isModuleFile(arg string) bool {
	base := filepath.Base(arg)
	_, rest, _ := strings.Cut(base, ".")
	switch {
	case strings.Contains(arg, "/"):
		return !strings.Contains(arg, ":") || exists(arg) // a modalias may have slashes
	case rest == "ko" || strings.HasPrefix(rest, "ko."):
		return exists(arg)
	}
	return false
}

// module finds out about an installed or built-in module.
func (q *inquiry) module(name string) (*moduleInfo, error) {
	if m, ok := q.installed.Module(name); ok {
		info, err := q.file(name, m.File)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; reinstall the file, or run depmod if it has moved", m.File, err)
		}
		return info, nil
	}
	if _, ok := q.installed.Builtin(name); ok {
		return q.builtin(name), nil
	}
	return nil, fmt.Errorf("%s is not installed; an alias leads to it", cmp.Or(name, "it"))
}
