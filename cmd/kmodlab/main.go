// Kmodlab is the project's test bench: real Linux kernels with real drivers in
// QEMU, into which devices are plugged while they run. It is never shipped.
//
//	kmodlab setup        fetch what the bench needs
//	kmodlab demo         show kmodd at work
//	kmodlab run FILE...  run scenarios
//	kmodlab verbs        list the verbs of scenarios
//	kmodlab bench        measure speed and size beside the peers
//	kmodlab shell        work in a guest by hand
//
// What the machines are made of is said in package lab, what a scenario is in package scenario.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
)

// A command is a subcommand of kmodlab.
type command struct {
	name, args, does string
	run              func(ctx context.Context, args []string) error
}

var commands = []command{
	{"setup", "[-clean]", "fetch what the bench needs and say where it is; -clean removes it", setup},
	{"demo", "[-board NAME]", "boot a kernel with kmodd in it and plug devices while you watch", demo},
	{"run", "FILE...", "run scenarios", run},
	{"verbs", "", "list the verbs of scenarios", verbs},
	{"bench", "[-markdown] [-runs N] [-boots N]", "measure speed and size beside the peers", bench},
	{"bench boot", "[-boots N]", "measure how long a busy PC takes with each loader", bench},
	{"bench edge", "[-boots N] [-async WAY]", "count what goes wrong when drivers of boards with PHYs probe asynchronously", bench},
	{"shell", "[board=NAME] [busy-pc] [append WORD...]", "work in a guest by hand", shell},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := dispatch(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kmodlab:", err)
		os.Exit(1)
	}
}

// dispatch runs the subcommand that the arguments name.
func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		for _, c := range commands {
			if c.name == args[0] {
				return c.run(ctx, args[1:])
			}
		}
	}
	w := tabwriter.NewWriter(os.Stderr, 0, 0, 2, ' ', 0)
	for _, c := range commands {
		fmt.Fprintf(w, "kmodlab %s %s\t%s\n", c.name, c.args, c.does)
	}
	w.Flush()
	return fmt.Errorf("name one of these commands")
}
