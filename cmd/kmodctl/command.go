package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/cmd/kmodctl/multicall"
	"github.com/kmodd/kmodd/cmd/kmodctl/screen"
	"github.com/kmodd/kmodd/daemon/control"
)

// Exit statuses.
const (
	exitFailed = 1
	exitUsage  = 2
)

// run is main with what a test can hand in. It returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	stdout, stderr = screen.New(stdout), screen.New(stderr)
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	var status exitStatus
	if err == nil || errors.As(err, &status) {
		return int(status)
	}
	fmt.Fprintln(stderr, "kmodctl:", oneLine(err.Error()))
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// oneLine keeps errors, which may quote a file, to the one line that they are
// promised to be.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// An exitStatus ends a command that has said all there is to say.
type exitStatus int

var _ error = exitStatus(0)

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A usageError is a command line that can't be understood.
type usageError struct{ err error }

var _ error = (*usageError)(nil)

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func misused(cmd *cobra.Command, err error) error {
	return &usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
}

// options are those that every command has.
type options struct {
	socket string
	json   bool
}

func newRoot() *cobra.Command {
	o := new(options)
	root := &cobra.Command{
		Use:   "kmodctl",
		Short: "Ask kmodd which drivers it has loaded, and why",
		Long: `kmodctl asks the daemon kmodd what it has done and why.

All users may ask; rescan, reload, pin and unpin are for root. No daemon is needed by "kmodctl
plan", which says what it would load on this or another machine, "kmodctl boot" with a
report that was kept, "kmodctl record", which writes down what devices a machine has, "kmodctl trim", which
finds what modules an image for such machines needs, "kmodctl resolve", which says what a
device would need, "kmodctl describe", which says what a modalias is about,
"kmodctl info", which says what a module is, "kmodctl check", which says whether it could be loaded, "kmodctl
dmesg", "kmodctl param" and "kmodctl dev", which are for whoever writes one, and "kmodctl usage", which says who uses a driver.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,

		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2,

		Args: known,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(misused)
	socket := control.Address
	if s := os.Getenv("KMODD_SOCKET"); s != "" {
		socket = s
	}
	root.PersistentFlags().StringVar(&o.socket, "socket", socket, "ask the daemon on this `path` (or $KMODD_SOCKET)")
	root.PersistentFlags().BoolVar(&o.json, "json", false, "print JSON")
	root.AddCommand(
		newStatus(o), newBoot(o), newDevices(o), newModules(o), newWhy(o), newMonitor(o),
		newRescan(o), newReload(o), newPin(o), newUnpin(o), newRelease(o), newBootComplete(o), newSettle(o), newUsage(o), newMemory(o), newResolve(o), newPlan(o), newRecord(o), newTrim(o), newDescribe(o), newInfo(o), newLint(),
		newCheck(o), newDmesg(o), newParam(o), newDev(),
		newTool("depmod", "Make the tables of the modules, as depmod(8) does"),
		newTool("insmod", "Put one module file in, as insmod(8) does"),
		newTool("kmod", "Do what kmod(8) does: list, static-nodes"),
		newTool("lsmod", "List the modules in the kernel, as lsmod(8) does"),
		newTool("modinfo", "Show what a module says about itself, as modinfo(8) does"),
		newTool("modprobe", "Put modules in and take them out, as modprobe(8) does"),
		newTool("rmmod", "Take modules out, and say who uses one that stays, as rmmod(8) does"),
	)
	return root
}

// newTool makes a command of one of kmod's programs, which reads its own
// arguments.
func newTool(name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if status := multicall.Tools[name](args, version, screen.ForTool(cmd.OutOrStdout()), cmd.ErrOrStderr()); status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
}

// known refuses the name of a command that there is not, and offers those that
// are spelt like it.
func known(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return &usageError{fmt.Errorf("%w; did you mean %s?", err, strings.Join(like, " or "))}
	}
	return misused(cmd, err)
}

// arguments is a validator of cobra's whose error is one of usage.
func arguments(valid cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := valid(cmd, args); err != nil {
			return misused(cmd, err)
		}
		return nil
	}
}

// oneArgument wants one argument, which people call what.
func oneArgument(what string) cobra.PositionalArgs {
	return arguments(func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("one %s is needed, not %d", what, len(args))
		}
		return nil
	})
}

// noArguments is cobra.NoArgs in words that fit a command without commands of
// its own.
var noArguments = arguments(func(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
})
