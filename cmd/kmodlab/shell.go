package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
	"github.com/kmodd/kmodd/cmd/kmodlab/scenario"
)

// shell runs lines of standard input in a guest, each in a shell of its own.
func shell(ctx context.Context, args []string) error {
	o, err := scenario.ParseBoot(args)
	if err != nil {
		return err
	}
	build, err := lab.Prepare(ctx, os.Stderr, lab.Programs...)
	if err != nil {
		return err
	}
	m, err := build.Start(ctx, o)
	if err != nil {
		return err
	}
	defer m.Close()
	fmt.Fprint(os.Stderr, "A line runs in the guest; plug NAME KIND and unplug NAME plug devices; control-D ends it.\nguest# ")
	lines := readLines()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			if err := interpret(ctx, m, line); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			fmt.Fprint(os.Stderr, "guest# ")
		case <-ctx.Done():
			return nil
		}
	}
}

// readLines reads standard input beside, since a read of a terminal can't be
// called off.
func readLines() <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines
}

// interpret does what one line says.
func interpret(ctx context.Context, m *lab.Machine, line string) error {
	words := strings.Fields(line)
	switch {
	case len(words) == 0:
		return nil
	case words[0] == "plug":
		id, kind, props, err := scenario.ParsePlug(words[1:])
		if err != nil {
			return err
		}
		return m.Plug(ctx, id, kind, props)
	case words[0] == "unplug" && len(words) == 2:
		return m.Unplug(ctx, words[1])
	}
	result, err := m.Run(ctx, "sh", "-c", line)
	fmt.Print(result.Stdout, result.Stderr)
	return err
}
