package lab

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
)

// lastWordsTime is how long a guest may take to say what happened: one that
// hangs won't.
const lastWordsTime = 5 * time.Second

// lastLines is how much of each log is shown.
const lastLines = 100

// LastWords is what a person wants to read of a guest in which something went
// wrong: the kernel's log, the journal where there is one, the logs of these
// background commands and of the cameras, and what the witness had trouble with. A guest that does not answer any more has its
// console shown.
func (m *Machine) LastWords(background []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), lastWordsTime)
	defer cancel()
	var words strings.Builder
	kernel, err := m.Ask(ctx, agentwire.Request{Op: agentwire.Kmsg})
	if err != nil {
		section(&words, fmt.Sprintf("the guest does not answer (%v); its console", err), m.Console())
		return words.String()
	}
	section(&words, "the guest's kernel", ownLife(kernel.Stdout))
	if journal, err := m.Run(ctx, "journalctl", "--boot", "--output=short-monotonic", "_TRANSPORT=journal", "_TRANSPORT=stdout"); err == nil && journal.Exit == 0 {
		section(&words, "the journal", journal.Stdout)
	}
	for _, name := range append(m.cameraNames(), background...) {
		text, err := m.ReadFile(ctx, agentwire.LogFile(name))
		if err != nil {
			text = []byte(err.Error())
		}
		section(&words, name, string(text))
	}
	if trouble, err := m.Run(ctx, "grep", `"trouble"`, agentwire.LogFile("witness")); err == nil {
		section(&words, "the witness's troubles", trouble.Stdout)
	}
	return words.String()
}

// ownLife cuts from a kernel log what was there when the guest was restored.
func ownLife(log string) string {
	if _, own, restored := strings.Cut(log, beginning+"\n"); restored {
		return own
	}
	return log
}

// section writes the last lines of a text below a heading, and nothing for an
// empty text.
func section(w *strings.Builder, heading, text string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return
	}
	fmt.Fprintf(w, "--- %s\n", heading)
	if left := len(lines) - lastLines; left > 0 {
		fmt.Fprintf(w, "(%d earlier lines)\n", left)
		lines = lines[left:]
	}
	fmt.Fprintln(w, strings.Join(lines, "\n"))
}
