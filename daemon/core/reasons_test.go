package core_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/rules"
)

const (
	reasonsDep   = "first.ko: base.ko\nsecond.ko: base.ko\nbase.ko:\nkernel/drivers/net/later.ko:\nspare.ko:\n"
	reasonsAlias = "alias t:two second\nalias t:two first\nalias t:net later\nalias t:no spare\nalias t:ask spare\nalias spare-* first\n"
	reasonsConf  = "options base a=1\noptions base a=2\n"
	reasonsToml  = `
[[rule]]
modalias = "t:two"
prefer = ["first", "second"]
bind_timeout = "3s"
[[rule]]
class = "network"
stage = "critical"
[[rule]]
modalias = "t:no"
stage = "deny"
[[rule]]
module = "spare"
stage = "manual"
`
)

func reasonsBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, "", "", "")
	b.policed(reasonsDep, reasonsAlias, reasonsConf, reasonsToml)
	return b
}

func (b *bench) why(subject string) control.Story {
	b.t.Helper()
	return b.ask(control.WhyRequest{Subject: subject}).(control.Story)
}

func TestAStoryHasAllThatADecisionSaysOfItsDevice(t *testing.T) {
	b := reasonsBench(t)
	b.step(seen("/two", "t:two"))
	d := b.why("/two").Devices[0]
	if diff := cmp.Diff([]string{"first", "second"}, d.Prefer); diff != "" || d.BindTimeout != 3*time.Second {
		t.Errorf("it prefers for %v:\n%s", d.BindTimeout, diff)
	}
	lost := []control.Reason{{Source: "x.conf", Line: 1, Says: "a=1; but a=2 in x.conf:2 comes after it, and the kernel keeps the last value"}}
	if diff := cmp.Diff(lost, d.Lost); diff != "" {
		t.Error(diff)
	}

	b.step(seen("/no", "t:no"))
	if d := b.why("/no").Devices[0]; !d.Denied || len(d.Refused) != 1 || d.Refused[0].Manual {
		t.Errorf("of a device that is denied: %+v", d)
	}
	b.step(seen("/ask", "t:ask"))
	if d := b.why("/ask").Devices[0]; d.Denied || len(d.Refused) != 1 || !d.Refused[0].Manual {
		t.Errorf("of a device whose module is manual: %+v", d)
	}
}

func TestAStoryHasTheStageAndTheClassOfAModule(t *testing.T) {
	b := reasonsBench(t)
	b.step(seen("/net", "t:net"))
	m := b.why("/net").Modules[0]
	want := &control.Class{Name: "network", Because: "its driver is kept in drivers/net"}
	if diff := cmp.Diff(want, m.Class); diff != "" || m.Stage != "critical" {
		t.Errorf("stage %q, class:\n%s", m.Stage, diff)
	}
}

func TestAStoryOfAModaliasThatNoDeviceHas(t *testing.T) {
	d := reasonsBench(t).why("t:two").Devices[0]
	if len(d.Prefer) != 2 || len(d.Lost) != 1 {
		t.Errorf("prefers %v, lost %v", d.Prefer, d.Lost)
	}
}

func TestAStoryOfAModuleThatNobodyAskedFor(t *testing.T) {
	b := reasonsBench(t)
	m := b.why("spare").Modules[0]
	if m.Stage != "manual" || m.Class == nil {
		t.Errorf("of a manual module: %+v", m)
	}
	b.policed(reasonsDep, reasonsAlias, "alias first spare\n", "[[rule]]\nmodule = \"spare\"\nstage = \"deny\"\n")
	m = b.why("first").Modules[0]
	if m.Name != "first" || len(m.Refused) != 1 || m.Refused[0].Module != "spare" || len(m.Lost) != 1 {
		t.Errorf("of a name that leads to what is denied: %+v", m)
	}
}

func seen(path, modalias string) core.Seen {
	return core.Seen{Device: rules.Device{Path: path, Modalias: modalias}}
}
