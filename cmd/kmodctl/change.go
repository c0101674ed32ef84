package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules/policy"
)

func newRescan(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "rescan",
		Short: "Have the daemon read all devices once more (root)",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, o, control.MethodRescan, nil, done("all devices were read"))
		},
	}
}

func newReload(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read module tables and configuration once more (root)",
		Long: `Has the daemon read module tables, modprobe.d, modules-load.d and kmodd.toml once
more. It notices by itself when depmod has run or a file has changed; this is
for being sure. Afterwards everything is decided again, and what had failed is
tried once more. Nothing is taken out.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, o, control.MethodReload, nil,
				done("tables and configuration are in force; kmodctl status shows their warnings"))
		},
	}
}

func newPin(o *options) *cobra.Command {
	return newPinning(o, "pin", control.MethodPin, "Have a module stay though nothing calls for it any more (root)", "stays until kmodctl unpin, or the next boot")
}

func newUnpin(o *options) *cobra.Command {
	return newPinning(o, "unpin", control.MethodUnpin, "Take a pin back (root)", "goes when nothing calls for it any more")
}

func newPinning(o *options, name, method, short, done string) *cobra.Command {
	return &cobra.Command{
		Use:   name + " MODULE",
		Short: short,
		Long: short + `.

Modules that kmodd has put in go again when their hardware has gone and nobody uses
them. docs/idle.md says which, and when; kmodctl why says it of one. What is to
stay for good belongs into kmodd.toml: a rule with idle = "off".`,
		Args: oneArgument("MODULE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, o, method, map[string]string{"module": args[0]}, func(w io.Writer, _ struct{}) error {
				_, err := fmt.Fprintln(w, args[0], done)
				return err
			})
		},
	}
}

func newBootComplete(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "boot-complete",
		Short: "Say that the boot has ended: what is deferred until then is loaded (root)",
		Long: `Says that the boot has ended. Modules with stage = "deferred" and
after = "boot-complete" are loaded then, a few at a time. Where systemd starts the
machine kmodd-boot-complete.service does this; elsewhere it is the last command of
the boot. It counts until the next boot, also for a kmodd that is started later.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, o, control.MethodRelease, map[string]string{"name": string(policy.BootComplete)}, done("what was deferred until now is loaded"))
		},
	}
}

func newRelease(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "release MODULE",
		Short: "Load a deferred module now (root)",
		Long: `Loads a module with stage = "deferred" for the devices that it is deferred for,
whatever it waits for. kmodctl devices lists these as held back.`,
		Args: oneArgument("MODULE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, o, control.MethodRelease, map[string]string{"name": args[0]}, done(args[0]+" is loaded"))
		},
	}
}

func done(what string) func(io.Writer, struct{}) error {
	return func(w io.Writer, _ struct{}) error {
		_, err := fmt.Fprintln(w, what)
		return err
	}
}
