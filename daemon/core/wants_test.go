package core_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// want tells the machine of rules under which modules are wanted.
func (b *bench) want(dep, alias, conf string, names ...string) []core.Effect {
	b.t.Helper()
	tables, err := match.Parse("/lib/modules/test", map[string]string{"modules.dep": dep, "modules.alias": alias})
	if err != nil {
		b.t.Fatal(err)
	}
	e := core.NewRules{Set: rules.NewSet(tables, modprobed.Parse("", modprobed.File{Name: "x.conf", Text: conf}))}
	for i, name := range names {
		e.Wanted = append(e.Wanted, core.Want{Name: name, By: rules.Reason{Source: "/etc/modules-load.d/x.conf", Line: i + 1, Says: name}})
	}
	return b.step(e)
}

func TestWhatIsWantedWaitsForTheFirstScanAndForItsTurn(t *testing.T) {
	b := &bench{t: t, m: core.New(core.Limits{Slots: 4, Patience: 1e9}), ops: make(map[string]core.OpID)}
	b.want("a.ko:\nb.ko:\nc.ko: a.ko\nd.ko:\n", "alias alias-of-b b\nalias t:d d\n", "", "c", "alias-of-b", "d")
	b.loading()
	b.step(core.ModuleIs{Name: "d", State: control.Live, Scan: 1})
	b.step(core.Scanned{Scan: 1})
	b.loading("a")
	b.live("a")
	b.loading("c")
	b.fails("c", syscall.EIO)
	b.loading("b") // its turn comes whatever became of the one before
	b.live("b")
	for _, m := range b.ask(control.ModulesRequest{}).([]control.Module) {
		if ours := m.Name != "d"; m.Ours != (ours && m.Name != "c") {
			t.Errorf("%s is ours: %v", m.Name, m.Ours)
		}
	}
}

func TestWhatIsWantedIsNotPutInAgainUnlessItFailed(t *testing.T) {
	b := newBench(t, plainDep, "", "")
	b.want(plainDep, "", "", "a", "b")
	b.live("a")
	b.fails("b", syscall.EIO)
	b.step(core.ModuleIs{Name: "a", State: control.Absent})
	b.want(plainDep, "", "", "a", "b")
	b.loading("b")
	b.live("b")

	// A line that is new is served, and the others are left alone.
	b.want(plainDep, "", "", "b", "c", "a")
	b.loading("a")
	b.live("a")
	b.loading("c")
}

func TestABlacklistHoldsForWhatIsWanted(t *testing.T) {
	b := newBench(t, plainDep, "", "")
	b.want(plainDep, "", "blacklist a\n", "a", "c", "nowhere")
	b.loading("a") // c needs it, which no blacklist forbids
	story := b.ask(control.WhyRequest{Subject: "nowhere"}).(control.Story)
	want := []control.ModuleWhy{{
		Module:  control.Module{Name: "nowhere", State: control.Absent},
		Reasons: []control.Reason{{Source: "/etc/modules-load.d/x.conf", Line: 3, Says: "nowhere"}},
	}}
	if diff := cmp.Diff(want, story.Modules); diff != "" {
		t.Error(diff)
	}
}

// Why shows the line, and what stood against it.
func TestWhyNamesTheLineThatWantsAModule(t *testing.T) {
	b := newBench(t, plainDep, "", "")
	noted := b.want(plainDep, "", "blacklist b\n", "a", "b")
	refused := false
	for _, e := range noted {
		if n, ok := e.(core.Note); ok && n.What == "refused" && n.Module == "b" {
			refused = strings.Contains(n.Reasons[0].Source, "modules-load.d") && n.Reasons[2].Says == "blacklist b"
		}
	}
	if !refused {
		t.Errorf("no note says what was refused, and why: %+v", noted)
	}
	b.live("a")
	story := b.ask(control.WhyRequest{Subject: "a"}).(control.Story)
	if m := story.Modules[0]; m.For != "/etc/modules-load.d/x.conf:1" || len(m.Reasons) != 1 || m.Reasons[0].Line != 1 {
		t.Errorf("why a: %+v", m)
	}
	story = b.ask(control.WhyRequest{Subject: "b"}).(control.Story)
	if m := story.Modules[0]; m.State != control.Absent || m.Reasons[len(m.Reasons)-1].Says != "blacklist b" {
		t.Errorf("why b: %+v", m)
	}
}
