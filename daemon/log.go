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
	"live":        slog.LevelInfo,
	"declined":    slog.LevelInfo,
	"command ran": slog.LevelInfo,
	"scanned":     slog.LevelInfo,
	"removed":     slog.LevelInfo,
	"unload":      slog.LevelInfo,
	"stays":       slog.LevelInfo,
	"stuck":       slog.LevelWarn,
	"rules":       slog.LevelInfo,
	"refused":     slog.LevelInfo,
	"put off":     slog.LevelWarn,
	"failed":      slog.LevelWarn,
	"slow":        slog.LevelWarn,
	"not taken":   slog.LevelInfo,
	"firmware":    slog.LevelWarn,
	"probe":       slog.LevelInfo,
	"passed over": slog.LevelInfo,
	"given":       slog.LevelInfo,
	"denied":      slog.LevelInfo,
	"released":    slog.LevelInfo,
	"held back":   slog.LevelInfo,
	"due":         slog.LevelInfo,
	"in use":      slog.LevelWarn,
	"not denied":  slog.LevelWarn,
	"lost":        slog.LevelWarn,
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
	because, kernel := words(n.Reasons)
	if because != "" {
		attrs = append(attrs, slog.String("because", because))
	}
	if kernel != "" {
		attrs = append(attrs, slog.String("kernel", kernel))
	}
	log.LogAttrs(context.Background(), level, n.What, attrs...)
}

// words joins what reasons say, the lines of the kernel's log apart.
func words(reasons []control.Reason) (because, kernel string) {
	var says, lines []string
	for _, r := range reasons {
		if r.Source == control.KernelLog {
			lines = append(lines, r.Says)
		} else {
			says = append(says, r.Says)
		}
	}
	return strings.Join(says, "; "), strings.Join(lines, "; ")
}
