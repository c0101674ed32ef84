package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	"github.com/pilebones/go-udev/netlink"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
)

// witnessLog holds one note a line, in JSON.
var witnessLog = agentwire.LogFile("witness")

// A note is one thing that the witness has heard, or one that happened to it.
type note struct {
	Action   string `json:"action,omitempty"`
	Devpath  string `json:"devpath,omitempty"`
	Modalias string `json:"modalias,omitempty"`

	Listening bool   `json:"listening,omitempty"` // its socket is bound
	Trouble   string `json:"trouble,omitempty"`   // an event that it did not understand, or its own end
}

// listenBuffer is the witness's socket buffer in bytes: room for some 20,000
// events.
const listenBuffer = 16 << 20

// witness notes the kernel's uevents until it can't hear any more.
func witness(w io.Writer) error {
	var conn netlink.UEventConn
	if err := conn.Connect(netlink.KernelEvent); err != nil {
		return fmt.Errorf("listen to uevents: %w", err)
	}
	defer conn.Close()
	if err := unix.SetsockoptInt(conn.Fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, listenBuffer); err != nil {
		return fmt.Errorf("grow the buffer for uevents: %w", err)
	}
	notes := json.NewEncoder(w)
	if err := notes.Encode(note{Listening: true}); err != nil {
		return err
	}
	for {
		raw, err := conn.ReadMsg()
		if err != nil {
			return fmt.Errorf("read uevent: %w", err)
		}
		if err := notes.Encode(understand(raw)); err != nil {
			return err
		}
	}
}

// understand has go-udev parse an event.
func understand(raw []byte) note {
	event, err := netlink.ParseUEvent(raw)
	if err != nil {
		header, _, _ := strings.Cut(string(raw), "\x00")
		return note{Trouble: fmt.Sprintf("%s: %v", header, err)}
	}
	return note{Action: string(event.Action), Devpath: event.KObj, Modalias: event.Env["MODALIAS"]}
}

// superviseWitness keeps a witness running, and returns when the first one
// listens.
func superviseWitness(ctx context.Context) error {
	log, err := os.OpenFile(witnessLog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	said, first := io.Pipe()
	go func() {
		defer log.Close()
		w := io.MultiWriter(log, first)
		for ctx.Err() == nil {
			err := runWitness(ctx, w)
			// The pause keeps a witness that can't even begin from filling
			// the guest's memory.
			json.NewEncoder(w).Encode(note{Trouble: fmt.Sprintf("the witness ended: %v; starting another", err)})
			time.Sleep(100 * time.Millisecond)
		}
	}()
	lines := bufio.NewScanner(said)
	if !lines.Scan() {
		return lines.Err()
	}
	var n note
	if err := json.Unmarshal(lines.Bytes(), &n); err != nil || !n.Listening {
		return fmt.Errorf("the witness's first words: %q", lines.Text())
	}
	go io.Copy(io.Discard, said)
	return nil
}

// runWitness runs one witness to its end.
func runWitness(ctx context.Context, w io.Writer) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "witness")
	cmd.Stdout = w
	var stderr strings.Builder
	cmd.Stderr = &stderr
	err := cmd.Run()
	return errors.Join(err, errors.New(strings.TrimSpace(stderr.String())))
}

// seen looks for an event in the witness's notes and prints the lines that
// match. The pattern is a shell's, for the modalias, or for the devpath if it
// begins with a slash. What the witness had trouble with is part of the error
// if nothing matches.
func seen(w io.Writer, file, action, pattern string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var found int
	var trouble []string
	for notes := json.NewDecoder(f); ; {
		var n note
		if err := notes.Decode(&n); err != nil { // the end, or a line half written
			break
		}
		if n.Trouble != "" {
			trouble = append(trouble, n.Trouble)
		}
		if n.matches(action, pattern) {
			found++
			fmt.Fprintln(w, n.Action, n.Devpath, n.Modalias)
		}
	}
	if found == 0 {
		return fmt.Errorf("the witness saw no %s of %s; its troubles: %q", action, pattern, trouble)
	}
	return nil
}

// matches compares an event with an action and a shell pattern, whose * also
// stands for slashes.
func (n note) matches(action, pattern string) bool {
	subject := n.Modalias
	if strings.HasPrefix(pattern, "/") {
		subject = n.Devpath
	}
	flat := strings.NewReplacer("/", "\x00")
	ok, err := path.Match(flat.Replace(pattern), flat.Replace(subject))
	return err == nil && ok && n.Action == action && subject != ""
}
