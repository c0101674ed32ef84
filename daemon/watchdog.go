package daemon

import (
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// lifeMark is the watchdog's among those of [uevent.Source.CatchUp]: the
// machine's begin at 1.
const lifeMark = 0

// A watchdog tells the service manager that the daemon lives, if it asks for
// that (sd_watchdog_enabled(3)). A clock alone would tell it of a daemon that
// does nothing any more. So each sign of life is a question that went round: from
// the loop to the goroutine that reads uevents, and back to the loop. It belongs
// to the loop, but for answered.
type watchdog struct {
	due      *time.Ticker // nil if nobody asks
	asked    bool         // and not answered yet
	answered chan struct{}
	log      *slog.Logger
}

// newWatchdog reads what the service manager asks for. Half of its patience
// may pass between two signs.
func newWatchdog(log *slog.Logger) *watchdog {
	w := &watchdog{answered: make(chan struct{}, 1), log: log}
	patience, err := daemon.SdWatchdogEnabled(false)
	switch {
	case err != nil:
		log.Warn("the service manager's watchdog gets no signs of life", "error", err)
	case patience > 0:
		w.due = time.NewTicker(patience / 2)
	}
	return w
}

// ticks delivers when a sign of life is due.
func (w *watchdog) ticks() <-chan time.Time {
	if w.due == nil {
		return nil
	}
	return w.due.C
}

// ask sends the question round, unless the last one is still on its way.
func (w *watchdog) ask(source scanner) {
	if !w.asked {
		w.asked = true
		source.CatchUp(lifeMark)
	}
}

// alive is called when the question has come back.
func (w *watchdog) alive() {
	w.asked = false
	tell(w.log, daemon.SdNotifyWatchdog)
}

func (w *watchdog) close() {
	if w.due != nil {
		w.due.Stop()
	}
}
