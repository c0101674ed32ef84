package core_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

const (
	guessDep   = "usb.ko:\nkbd.ko: usb.ko\ncam.ko:\nwifi.ko:\nserial.ko:\n"
	guessAlias = "alias t:kbd kbd\nalias t:cam cam\nalias t:wifi wifi\nalias t:serial serial\n"
	guessing   = "prediction = true\n"
)

func expectation(name string, score int) core.Expectation {
	return core.Expectation{Device: rules.Device{Path: "/" + name, Modalias: "t:" + name}, Score: score}
}

// A guess is a boot that expects devices.
type guess struct {
	*bench
	said []core.Effect
}

func newGuess(t *testing.T, toml string, expected ...core.Expectation) *guess {
	t.Helper()
	g := &guess{bench: &bench{t: t, m: core.New(core.Limits{Slots: 4, Patience: time.Second}), ops: make(map[string]core.OpID)}}
	g.tell(core.Expected{Devices: expected})
	g.policed(guessDep, guessAlias, "", toml)
	return g
}

func (g *guess) tell(e core.Event) { g.said = append(g.said, g.step(e)...) }

// known answers that modules are not in yet.
func (g *guess) known(names ...string) {
	for _, name := range names {
		g.tell(core.ModuleIs{Name: name, State: control.Absent})
	}
}

// remembered waits until it is said what the next boot is to expect.
func (g *guess) remembered() []core.Expectation {
	g.t.Helper()
	g.now += 31 * time.Second
	g.tell(core.Tick{})
	i := slices.IndexFunc(g.said, func(e core.Effect) bool { _, ok := e.(core.Remember); return ok })
	if i < 0 {
		g.t.Fatal("nothing is remembered")
	}
	return g.said[i].(core.Remember).Devices
}

func TestWhatTheLastBootsHadIsLoadedBeforeItIsMet(t *testing.T) {
	g := newGuess(t, guessing, expectation("kbd", 1), expectation("cam", 3))
	g.loading()
	g.known("usb", "kbd", "cam")
	g.loading("usb", "cam")
	g.live("usb")
	g.loading("kbd", "cam")
	g.live("kbd")
	g.tell(core.Seen{Device: rules.Device{Path: "/kbd", Modalias: "t:kbd", Driver: "kbd"}, Scan: 1})
	g.tell(core.Scanned{Scan: 1})
	g.loading("cam") // not twice
}

func TestNothingIsLoadedAheadThatRulesHaveASayIn(t *testing.T) {
	for name, toml := range map[string]string{
		"nobody wants it":        "",
		"it is switched off":     "prediction = false\n",
		"the device is denied":   guessing + "[[rule]]\nmodalias = \"t:cam\"\nstage = \"deny\"\n",
		"the module is denied":   guessing + "[[rule]]\nmodule = \"cam\"\nstage = \"deny\"\n",
		"it waits":               guessing + "[[rule]]\nmodule = \"cam\"\nstage = \"deferred\"\nafter = \"5s\"\n",
		"it waits for an open":   guessing + "[[rule]]\nmodule = \"cam\"\nstage = \"on-open\"\n",
		"somebody has to ask":    guessing + "[[rule]]\nmodule = \"cam\"\nstage = \"manual\"\n",
		"another is to have it":  guessing + "[[rule]]\nmodalias = \"t:cam\"\nprefer = [\"wifi\"]\n",
		"its driver may go away": guessing + "[[rule]]\nmodule = \"cam\"\nidle = \"30s\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuess(t, toml, expectation("cam", 3))
			g.known("cam", "wifi")
			g.loading()
		})
	}
}

func TestWhatIsInBeforehandIsNotLoadedAndNotOurs(t *testing.T) {
	g := newGuess(t, guessing, expectation("cam", 3))
	g.tell(core.ModuleIs{Name: "cam", State: control.Live})
	g.loading()
	if m := g.module("cam"); m.Ours {
		t.Errorf("%+v", m)
	}
}

func TestATableThatNoLongerKnowsADeviceIsNoFault(t *testing.T) {
	g := newGuess(t, guessing, expectation("gone", 3), expectation("cam", 1))
	g.known("cam")
	g.loading("cam")
}

func TestAGuessDecaysAndIsTakenOutAgain(t *testing.T) {
	g := newGuess(t, guessing, expectation("cam", 2), expectation("wifi", 1), expectation("kbd", 3), expectation("serial", 2))
	g.known("cam", "wifi", "usb", "kbd", "serial")
	for _, name := range []string{"usb", "cam", "wifi", "serial", "kbd"} {
		g.live(name)
	}
	g.tell(core.Seen{Device: rules.Device{Path: "/kbd", Modalias: "t:kbd", Driver: "kbd"}, Scan: 1})
	g.tell(core.Seen{Device: rules.Device{Path: "/new", Modalias: "t:wifi", Driver: "wifi"}, Scan: 1})
	g.tell(core.Seen{Device: rules.Device{Path: "/serial", Modalias: "t:serial"}, Scan: 1}) // no driver wants it
	g.tell(core.Scanned{Scan: 1})
	want := []core.Expectation{
		expectation("kbd", 3),
		{Device: rules.Device{Path: "/new", Modalias: "t:wifi"}, Score: 2},
		expectation("cam", 1),
		expectation("serial", 1),
	}
	if diff := cmp.Diff(want, g.remembered()); diff != "" {
		t.Error(diff)
	}
	if m := g.module("cam"); m.Unused == "" {
		t.Errorf("%+v stays", m)
	}
	if m := g.module("usb"); m.Unused != "" {
		t.Errorf("%+v goes, which is needed", m)
	}
}
