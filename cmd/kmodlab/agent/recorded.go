package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/kmodd/kmodd/daemon/uevent/inject"
)

// broadcast has the kernel send the uevents of a file to everyone who listens.
func broadcast(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	messages, err := recorded(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	in, err := inject.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	for _, m := range messages {
		if err := in.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// recorded reads uevents as a person writes them down: for each a line
// ACTION@DEVPATH, and lines KEY=VALUE below it. Empty lines and those that
// begin with # say nothing.
func recorded(text string) (messages [][]byte, err error) {
	var action, path string
	var env []string
	end := func() {
		if action != "" {
			messages = append(messages, inject.Message(action, path, env...))
		}
		env = nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		before, after, ok := strings.Cut(line, "@/")
		switch {
		case line == "" || line[0] == '#':
		case ok && !strings.Contains(before, "="):
			end()
			action, path = before, "/"+after
		case action == "" || !strings.Contains(line, "="):
			return nil, fmt.Errorf("%q is neither ACTION@DEVPATH nor KEY=VALUE below one", line)
		default:
			env = append(env, line)
		}
	}
	end()
	return messages, nil
}
