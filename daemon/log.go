package daemon

import (
	"context"
	"log/slog"
	"strings"

	"github.com/kmodd/kmodd/daemon/control"
)

// levels are those of the notes that are of interest without being asked for.
// What a driver's arrival looks like device by device is for debugging.
var levels = map[string]slog.Level{
	"live":     slog.LevelInfo,
	"declined": slog.LevelInfo,
	"scanned":  slog.LevelInfo,
	"rules":    slog.LevelInfo,
	"refused":  slog.LevelInfo,
	"put off":  slog.LevelWarn,
	"failed":   slog.LevelWarn,
	"slow":     slog.LevelWarn,
	"lost":     slog.LevelWarn,
}

// logNote writes a note to the log.
func logNote(log *slog.Logger, n control.Note) {
	level, ok := levels[n.What]
	if !ok {
		level = slog.LevelDebug
	}
	if !log.Enabled(context.Background(), level) {
		return
	}
	var attrs []slog.Attr
	if n.Module != "" {
		attrs = append(attrs, slog.String("module", n.Module))
	}
	if n.Device != "" {
		attrs = append(attrs, slog.String("device", n.Device))
	}
	if len(n.Reasons) > 0 {
		says := make([]string, len(n.Reasons))
		for i, r := range n.Reasons {
			says[i] = r.Says
		}
		attrs = append(attrs, slog.String("because", strings.Join(says, "; ")))
	}
	log.LogAttrs(context.Background(), level, n.What, attrs...)
}
