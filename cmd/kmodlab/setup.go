package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

// setup fetches and makes everything that a first machine would wait for.
func setup(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("setup", flag.ContinueOnError)
	clean := flags.Bool("clean", false, "remove everything that was fetched and made")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := debian.CacheDir()
	if err != nil {
		return err
	}
	if *clean {
		fmt.Println("removing", dir)
		return os.RemoveAll(dir)
	}
	build, err := lab.Prepare(ctx, os.Stderr, lab.Programs...)
	if err != nil {
		return err
	}
	m, err := build.Start(ctx, lab.Options{})
	if err != nil {
		return err
	}
	if _, err := build.Sample(ctx, "hello"); err != nil {
		return errors.Join(err, m.Close())
	}
	fmt.Printf("ready: kernel %s; everything is in %s\n", build.Kernel.Version, dir)
	return m.Close()
}
