package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/dev"
	"github.com/kmodd/kmodd/daemon/worker"
)

func newDev() *cobra.Command {
	var l dev.Loop
	cmd := &cobra.Command{
		Use:   "dev FILE [PARAMETER=VALUE...]",
		Short: "Put each new build of a module in, as soon as it is there (root)",
		Long: `Watches a module's file. Each new build is checked as kmodctl check does; if nothing
stands against it the one before is taken out and the new one put in, with the
parameters. What the kernel says is shown, the parameters' values, and how long
each step took. A build that is refused, or whose init fails, is told of, and the next one
is waited for. A module that is in use is waited for, and whoever holds it is named.

What the module needs is put in first: by modprobe if it is installed, and else from
the file's own folder. The file itself is put in as insmod does, so modprobe.d has no
say in its parameters. A daemon leaves alone what it has not put in.

Ctrl-C ends it. What is in stays then, unless there is --unload.`,
		Example: `  kmodctl dev ./hello.ko
  kmodctl dev --rebuild make ./hello.ko n=5
  kmodctl dev --unload ./hello.ko`,
		Args: arguments(func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("a FILE is needed, such as ./hello.ko")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, unix.SIGTERM)
			defer stop()
			l.Out, l.Parameters = cmd.OutOrStdout(), strings.Join(args[1:], " ")
			if err := develop(ctx, &l, args[0]); err != nil {
				return fmt.Errorf("dev: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&l.Rebuild, "rebuild", "", "run this `command` in the file's folder, first and when *.c, *.h, Makefile or Kbuild there change")
	cmd.Flags().BoolVar(&l.TakeOut, "unload", false, "at the end take the module out, and what was put in for it")
	return cmd
}

// develop runs a loop on the system that runs.
func develop(ctx context.Context, l *dev.Loop, file string) (err error) {
	if l.File, err = filepath.Abs(file); err != nil {
		return err
	}
	system, err := newCheckSystem(nil)
	if err != nil {
		return err
	}
	system.Rules = nil // modprobe.d has no say
	l.Check, l.Kernel, l.Tables = system.Run, system.Kernel, system.Tables
	l.Users, l.Log = inspected, kernelLog
	l.Modprobe = []string{"/proc/self/exe", "modprobe"}
	pool, err := worker.NewPool(worker.Config{Able: []string{"/proc/self/exe"}, Idle: time.Minute})
	if err != nil {
		return err
	}
	l.Calls = pool
	defer func() {
		ending, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = pool.Close(ending) // what does not return is left behind
	}()
	return l.Run(ctx)
}
