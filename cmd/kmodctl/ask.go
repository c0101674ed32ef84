package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kmodd/kmodd/daemon/control"
)

// patience is how long the daemon has for an answer. It gives up on itself
// before that.
const patience = 30 * time.Second

// ask calls a method and prints its answer: as the daemon sent it with --json,
// so that what a newer one adds is there too, and as text otherwise.
func ask[T any](cmd *cobra.Command, o *options, method string, in any, text func(io.Writer, T) error) error {
	late := fmt.Errorf("no answer within %v; look at kmodd's log", patience)
	return askWithin(cmd, o, method, in, patience, late, text)
}

// storyOf asks a daemon, if there is one, about a device or a module.
func storyOf(ctx context.Context, socket, subject string) (s control.Story, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := control.Dial(ctx, socket)
	if err != nil {
		return s, err
	}
	defer c.Close()
	err = c.Call(ctx, control.MethodWhy, control.WhyRequest{Subject: subject}, &s)
	return s, err
}

// askWithin is ask with a time limit of its own, and with the error that says
// that it is over.
func askWithin[T any](cmd *cobra.Command, o *options, method string, in any, limit time.Duration, late error, text func(io.Writer, T) error) error {
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), limit, late)
	defer cancel()
	c, err := control.Dial(ctx, o.socket)
	if err != nil {
		return err
	}
	defer c.Close()

	var raw json.RawMessage
	if err := c.Call(ctx, method, in, &raw); err != nil {
		return fmt.Errorf("%s: %w", cmd.Name(), err)
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), raw)
	}
	var answer T
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("%s: read kmodd's answer: %w; is it of another version than this kmodctl?", cmd.Name(), err)
	}
	return text(cmd.OutOrStdout(), answer)
}

func printJSON(w io.Writer, raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := b.WriteTo(w)
	return err
}
