package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
)

func newSettle(o *options) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "settle",
		Short: "Wait until no driver is on its way in",
		Long: `Waits until nothing is pending: what the kernel had when this was called has been
dealt with, and so has what its drivers found. It says nothing then, and the
exit status is 0. If that takes longer than the timeout it is 1.

Four things are not waited for: a load that has taken longer than the daemon has
patience (kmodd -patience), since it may never end; modules that need such a
one; devices whose driver waits for another device; and hardware that the kernel
has not found yet, such as disks that spin up.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return misused(cmd, errors.New("--timeout must be more than nothing"))
			}
			late := fmt.Errorf("not settled within %v; kmodctl modules names what is on its way", timeout)
			return askWithin(cmd, o, control.MethodSettle, nil, timeout, late, silently)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "wait for this `time` at most")
	return cmd
}

func silently(io.Writer, struct{}) error { return nil }
