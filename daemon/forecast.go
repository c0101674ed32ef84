package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/handover"
)

// ForecastFile is where it is written which devices the last boots had.
const ForecastFile = "/var/lib/kmodd/forecast.json"

// maxForecast is how long that may be, in bytes. A busy PC's is 20 kB long.
const maxForecast = 1 << 20

// A forecast is what is written there.
type forecast struct {
	Boot    string           `json:"boot"` // the kernel's boot_id when it was written
	Devices []expectedDevice `json:"devices"`
}

type expectedDevice struct {
	Score     int      `json:"score"`
	Path      string   `json:"path"`
	Subsystem string   `json:"subsystem,omitempty"`
	Modalias  string   `json:"modalias"`
	Env       []string `json:"env,omitempty"`
}

// errSameBoot is said of a forecast that this boot has made itself.
var errSameBoot = errors.New("it was written since this boot began")

// readForecast returns what a boot may expect: nothing if no boot before it has
// written anything down.
func readForecast(file, boot string) ([]core.Expectation, error) {
	st, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && st.Size() > maxForecast {
		err = fmt.Errorf("%d bytes are more than the %d that it may have", st.Size(), maxForecast)
	}
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var f forecast
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	if f.Boot == boot {
		return nil, errSameBoot
	}
	expected := make([]core.Expectation, len(f.Devices))
	for i, d := range f.Devices {
		e := &expected[i]
		e.Score = d.Score
		e.Device.Path, e.Device.Subsystem, e.Device.Modalias, e.Device.Env = d.Path, d.Subsystem, d.Modalias, d.Env
	}
	return expected, nil
}

// writeForecast writes down what the next boot may expect.
func writeForecast(file, boot string, expected []core.Expectation) error {
	f := forecast{Boot: boot, Devices: make([]expectedDevice, len(expected))}
	for i, e := range expected {
		f.Devices[i] = expectedDevice{e.Score, e.Device.Path, e.Device.Subsystem, e.Device.Modalias, e.Device.Env}
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return handover.Replace(file, text)
}

// expect tells the machine what the last boots had, if rules want that.
func (l *loop) expect(wanted bool) {
	if !wanted {
		return
	}
	expected, err := readForecast(l.forecast, l.boot)
	switch {
	case errors.Is(err, errSameBoot):
		return
	case err != nil:
		l.log.Warn("what the last boots had is not known: nothing is loaded before it is met", "file", l.forecast, "error", err)
	}
	l.step(core.Expected{Devices: expected})
}

// remember writes down what the next boot may expect.
func (l *loop) remember(e core.Remember) {
	if err := writeForecast(l.forecast, l.boot, e.Devices); err != nil {
		l.log.Warn("can't write down which devices there are: the next boot won't expect them", "error", err)
	}
}
