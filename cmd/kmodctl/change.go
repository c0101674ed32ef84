package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
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
		Short: "Have the daemon read module tables and modprobe.d once more (root)",
		Long: `Has the daemon read module tables and modprobe.d once more. It notices by
itself when depmod has run or a file has changed; this is for being sure.
Afterwards everything is decided again, and what had failed is tried once more.
Nothing is taken out.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, o, control.MethodReload, nil,
				done("tables and configuration are in force; kmodctl status shows their warnings"))
		},
	}
}

func done(what string) func(io.Writer, struct{}) error {
	return func(w io.Writer, _ struct{}) error {
		_, err := fmt.Fprintln(w, what)
		return err
	}
}
