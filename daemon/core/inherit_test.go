package core_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
)

func TestWhatIsInheritedIsOursIfTheFirstScanMeetsItLive(t *testing.T) {
	b := &bench{t: t, m: core.New(core.Limits{Slots: 4, Patience: 1e9}), ops: make(map[string]core.OpID)}
	left := func(name string) control.Module {
		return control.Module{Name: name, State: control.Live, Ours: true, Pinned: name == "a", For: "/d", Options: "n=1", Wanted: 1, Began: 2, Live: 3}
	}
	ahead := left("ahead") // of its time, as nobody writes it
	ahead.Live = 99
	b.step(core.Inherited{Modules: []control.Module{left("a"), left("b"), ahead, left("reloaded"), left("coming"), left("gone")}})
	b.rules("a.ko:\nb.ko:\n", "", "")
	b.now = 9
	b.step(core.ModuleIs{Name: "reloaded", State: control.Absent})
	b.step(core.ModuleIs{Name: "reloaded", State: control.Live})
	for _, name := range []string{"a", "ahead", "b", "other"} {
		b.step(core.ModuleIs{Name: name, State: control.Live, Scan: 1})
	}
	b.step(core.ModuleIs{Name: "coming", State: control.Coming, Scan: 1})
	b.step(core.Scanned{Scan: 1})
	b.step(core.ModuleIs{Name: "gone", State: control.Live})
	b.step(core.ModuleIs{Name: "coming", State: control.Live})

	stranger := func(name string) control.Module { return control.Module{Name: name, State: control.Live, Live: 9} }
	ahead.Live = 9
	unused := func(m control.Module) control.Module {
		m.Unused = "nothing has called for it for 0s; it goes in 1m0s if nobody uses it then"
		if m.Pinned {
			m.Unused = "nothing has called for it for 0s; it was loaded in the initramfs, and its file may be gone; it stays"
		}
		return m
	}
	want := []control.Module{unused(left("a")), unused(ahead), unused(left("b")), stranger("coming"), stranger("gone"), stranger("other"), stranger("reloaded")}
	if diff := cmp.Diff(want, b.ask(control.ModulesRequest{})); diff != "" {
		t.Error(diff)
	}

	// Taken out and put in again, it is no more pinned than any other.
	b.step(core.ModuleIs{Name: "a", State: control.Absent})
	b.step(core.ModuleIs{Name: "a", State: control.Live})
	if got := b.ask(control.ModulesRequest{}).([]control.Module)[0]; got != stranger("a") {
		t.Errorf("a: %+v", got)
	}
}
