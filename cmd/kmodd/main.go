// Kmodd keeps a board's drivers in step with its hardware: it listens to the
// kernel's uevents, finds the modules whose device tables match and loads them,
// dependencies first.
//
// It runs in the foreground and logs to standard error. SIGTERM ends it,
// SIGHUP has it read module tables and configuration again. Exit status: 0 after
// SIGTERM, 1 after an error, 2 for wrong usage, 77 if this process may not load
// modules and 78 if this kernel can't (sysexits.h: EX_NOPERM, EX_CONFIG).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/kmodd/kmodd/daemon"
	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/worker"
)

// version is set by the build.
var version = "unknown"

// Exit statuses of sysexits.h.
const (
	exitNotPermitted = 77
	exitConfig       = 78
)

func main() {
	if filepath.Base(os.Args[0]) == worker.Name {
		os.Exit(worker.Main())
	}
	if filepath.Base(os.Args[0]) == helperName {
		os.Exit(forModprobe.help(os.Args))
	}
	// One that comes before there is anything to read again must not end it. The
	// daemon notices it from the time on when it listens.
	signal.Ignore(syscall.SIGHUP)
	withLeanRuntime()
	runtime.MemProfileRate = 0 // there is nobody to read a profile
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with what a test can hand in. It returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	config, err := parse(args, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// Whoever asks twice has it end at once.
	context.AfterFunc(ctx, stop)
	config.Reload = hangups(ctx)
	return status(daemon.Run(ctx, config), stderr)
}

// parse reads the command line. After -version it returns flag.ErrHelp.
func parse(args []string, stdout, stderr io.Writer) (daemon.Config, error) {
	config := daemon.Config{Version: version, Limits: core.DefaultLimits}
	flags := flag.NewFlagSet("kmodd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&config.Socket, "socket", control.Address, "answer kmodctl on the Unix socket `path`")
	flags.IntVar(&config.Limits.Slots, "workers", config.Limits.Slots, "load at most `n` modules at once, fewer while the processors have no time")
	flags.DurationVar(&config.Limits.Patience, "patience", config.Limits.Patience,
		"a load that takes longer than this `time` makes room for another one")
	flags.DurationVar(&config.Limits.Rest, "rest", config.Limits.Rest,
		"let at least this `time` pass until it is looked again who uses a driver that could leave memory")
	flags.DurationVar(&config.Limits.Remember, "remember", config.Limits.Remember,
		"write down this `time` after the first scan which devices the boot had, if kmodd.toml says prediction = true")
	flags.DurationVar(&config.CommandTime, "command-time", daemon.CommandTime,
		"kill an install command of modprobe.d that takes longer than this `time`")
	level := flags.String("log", "info", "log from `level` on: debug, info, warn or error")
	show := flags.Bool("version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return config, err
	}
	var min slog.Level
	switch {
	case *show:
		fmt.Fprintln(stdout, "kmodd", version)
		return config, flag.ErrHelp
	case flags.NArg() > 0:
		return config, usage(stderr, "unexpected argument %q", flags.Arg(0))
	case config.Limits.Patience <= 0:
		return config, usage(stderr, "-patience %v: it must be more than nothing", config.Limits.Patience)
	case config.Limits.Rest <= 0:
		return config, usage(stderr, "-rest %v: it must be more than nothing", config.Limits.Rest)
	case config.Limits.Remember <= 0:
		return config, usage(stderr, "-remember %v: it must be more than nothing", config.Limits.Remember)
	case config.CommandTime <= 0:
		return config, usage(stderr, "-command-time %v: it must be more than nothing", config.CommandTime)
	case config.Limits.Slots < 1:
		return config, usage(stderr, "-workers %d: at least one is needed", config.Limits.Slots)
	case min.UnmarshalText([]byte(*level)) != nil:
		return config, usage(stderr, "-log %s: unknown level; one of debug, info, warn, error", *level)
	}
	config.Log = newLog(stderr, min)
	return config, nil
}

func usage(stderr io.Writer, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	fmt.Fprintf(stderr, "kmodd: %v; kmodd -help lists the options\n", err)
	return err
}

// hangups delivers a token for each SIGHUP, or for several that came close
// together.
func hangups(ctx context.Context) <-chan struct{} {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	out := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				select {
				case out <- struct{}{}:
				case <-ctx.Done():
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// status says how the daemon ended and returns the exit status.
func status(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "kmodd:", err)
	var check *kernel.CheckError
	switch {
	case !errors.As(err, &check):
		return 1
	case errors.Is(check, errors.ErrUnsupported):
		return exitConfig
	}
	return exitNotPermitted
}
