package main

import (
	"context"
	"flag"
	"os"

	benchmark "github.com/kmodd/kmodd/cmd/kmodlab/bench"
)

// bench measures everything and prints the table.
func bench(ctx context.Context, args []string) error {
	var o benchmark.Options
	if len(args) > 0 && (args[0] == "boot" || args[0] == "edge") {
		flags := flag.NewFlagSet("bench "+args[0], flag.ContinueOnError)
		boots := flags.Int("boots", map[string]int{"boot": 5, "edge": 20}[args[0]], "boot `n` times with each")
		only := flags.String("only", "", "of boot: only loaders whose name has this `text` in it, and systemd-udevd")
		async := flags.String("async", "", "of edge: only with this `way` of probing: never, auto or all")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		if args[0] == "edge" {
			return benchmark.Edge(ctx, os.Stdout, os.Stderr, *boots, *async)
		}
		return benchmark.Contest(ctx, os.Stdout, os.Stderr, *boots, *only)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.Markdown, "markdown", false, "print the table for documentation")
	flags.IntVar(&o.Runs, "runs", 5, "measure everything but boots and sleeps `n` times; 0 leaves it out")
	flags.IntVar(&o.Boots, "boots", 3, "boot a busy PC `n` times with each loader; 0 leaves it out")
	flags.IntVar(&o.Sleeps, "sleeps", 1000, "have each driver that sleeps do so `n` times; 0 leaves it out")
	flags.StringVar(&o.Only, "only", "", "measure only this `part`, as \"look-ups\" or \"tools\"")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return benchmark.Run(ctx, os.Stdout, os.Stderr, o)
}
