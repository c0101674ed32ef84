package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// newLog returns a log that writes to w. What goes to the journal has no time,
// since the journal notes its own, and the level is where the journal looks for
// it, so that journalctl -p warning finds the warnings.
func newLog(w io.Writer, level slog.Level) *slog.Logger {
	if toJournal(os.Getenv("JOURNAL_STREAM"), w) {
		return slog.New(newJournal(w, level))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// toJournal tells whether w is what the service manager has connected to the
// journal: it names its device and inode (systemd.exec(5), JOURNAL_STREAM). A
// child of ours may inherit the variable, and another standard error.
func toJournal(stream string, w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	var stat unix.Stat_t
	return unix.Fstat(int(file.Fd()), &stat) == nil && stream == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// A journal is a slog.Handler that puts the level before the line, in the
// manner of sd-daemon(3). It holds one handler for each of them.
type journal struct{ err, warning, info, debug slog.Handler }

var _ slog.Handler = journal{}

func newJournal(w io.Writer, level slog.Level) journal {
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTimeAndLevel}
	to := func(prefix string) slog.Handler { return slog.NewTextHandler(prefixed{w, prefix}, opts) }
	return journal{to("<3>"), to("<4>"), to("<6>"), to("<7>")}
}

func withoutTimeAndLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}

// at returns the handler of a level.
func (j journal) at(level slog.Level) slog.Handler {
	switch {
	case level >= slog.LevelError:
		return j.err
	case level >= slog.LevelWarn:
		return j.warning
	case level >= slog.LevelInfo:
		return j.info
	}
	return j.debug
}

func (j journal) Enabled(ctx context.Context, level slog.Level) bool {
	return j.at(level).Enabled(ctx, level)
}

func (j journal) Handle(ctx context.Context, r slog.Record) error {
	return j.at(r.Level).Handle(ctx, r)
}

func (j journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return journal{j.err.WithAttrs(attrs), j.warning.WithAttrs(attrs), j.info.WithAttrs(attrs), j.debug.WithAttrs(attrs)}
}

func (j journal) WithGroup(name string) slog.Handler {
	return journal{j.err.WithGroup(name), j.warning.WithGroup(name), j.info.WithGroup(name), j.debug.WithGroup(name)}
}

// A prefixed writer begins each write, which is one line, with the same word.
type prefixed struct {
	to     io.Writer
	prefix string
}

func (p prefixed) Write(line []byte) (int, error) {
	n, err := p.to.Write(append([]byte(p.prefix), line...))
	return max(0, n-len(p.prefix)), err
}
