package handover

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/daemon/control"
)

const good = `module a pinned=false wanted=1 began=2 live=3 for="/devices/x" options="n=\"1 2\""` + "\n"

func TestParseTakesAllOrNothing(t *testing.T) {
	for _, tt := range []struct{ name, text, says string }{
		{"nothing", "", "not a state of this version"},
		{"another version", "kmodd 2\n", "not a state of this version"},
		{"a word of tomorrow", header + "boat \"x\"\n", "line 2: unknown word"},
		{"no quotes", header + "boot x\n", "line 2: invalid syntax"},
		{"no name", header + "module \n", "is no name of a module"},
		{"a path", header + strings.Replace(good, " a ", " ../a ", 1), "is no name of a module"},
		{"a time that is none", header + strings.Replace(good, "=2", "=soon", 1), "began: "},
		{"a missing value", header + strings.Replace(good, "live=3 ", "", 1), "live: it is missing"},
		{"cut short", header + "root \"1:2\"\n" + good[:len(good)-4], "line 3: options: it is missing"},
		{"more on the line", header + strings.Replace(good, "\n", " x=1\n", 1), "more than is known"},
		{"an opening of nothing", header + "opening \"char-major-1-1\" \"x\" \"600 0 0\"\n", "opening: a part is missing"},
		{"an opening without a name", header + "asleep \"m\"\nopening \"char-major-1-1\"\n", "line 3: opening: a part is missing"},
		{"settings without values", header + "settings \"m\" \"a=1\"\n", "line 2: settings: a part is missing"},
		{"bad after good", header + good + "module\n", "line 3: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
			if diff := cmp.Diff(State{}, s); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func states() *rapid.Generator[State] {
	module := rapid.Custom(func(t *rapid.T) control.Module {
		return control.Module{
			Name:    rapid.StringMatching(`[a-z0-9_]{1,20}`).Draw(t, "name"),
			State:   control.Live,
			Ours:    true,
			Pinned:  rapid.Bool().Draw(t, "pinned"),
			For:     rapid.String().Draw(t, "for"),
			Options: rapid.String().Draw(t, "options"),
			Wanted:  time.Duration(rapid.Int64().Draw(t, "wanted")),
			Began:   time.Duration(rapid.Int64().Draw(t, "began")),
			Live:    time.Duration(rapid.Int64().Draw(t, "live")),
		}
	})
	words := rapid.SliceOfN(rapid.String(), 1, 3)
	opening := rapid.Custom(func(t *rapid.T) control.Opening {
		return control.Opening{Alias: rapid.String().Draw(t, "alias"), Name: rapid.String().Draw(t, "node"), Access: rapid.String().Draw(t, "access"), Links: words.Draw(t, "links")}
	})
	sleeper := rapid.Custom(func(t *rapid.T) control.Sleeper {
		return control.Sleeper{Module: rapid.String().Draw(t, "sleeper"), Devices: words.Draw(t, "devices"), Openings: rapid.SliceOfN(opening, 1, 3).Draw(t, "openings"), Must: words.Draw(t, "must"), Made: rapid.Bool().Draw(t, "made")}
	})
	settings := rapid.Custom(func(t *rapid.T) control.Settings {
		return control.Settings{Module: rapid.String().Draw(t, "set"), Options: rapid.String().Draw(t, "with"), Values: rapid.String().Draw(t, "values")}
	})
	known := rapid.Map(sleeper, func(s control.Sleeper) control.Sleeper {
		s.Made = false
		return s
	})
	return rapid.Custom(func(t *rapid.T) State {
		return State{
			Journal: Journal{Held: words.Draw(t, "held"), Asleep: rapid.SliceOfN(sleeper, 1, 3).Draw(t, "asleep"), Known: rapid.SliceOfN(known, 1, 3).Draw(t, "known"), Settings: rapid.SliceOfN(settings, 1, 3).Draw(t, "settings")},
			Boot:    rapid.String().Draw(t, "boot"),
			Root:    rapid.String().Draw(t, "root"),
			Modules: rapid.SliceOf(module).Draw(t, "modules"),
		}
	})
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := states().Draw(t, "state")
		got, err := Parse(string(want.Append(nil)))
		if err != nil {
			t.Fatal(err)
		}
		if len(want.Modules) == 0 {
			want.Modules = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatCameFromAnotherRootIsPinnedAndFromAnotherBootNothing(t *testing.T) {
	state := func() State {
		return State{Boot: "b", Root: "1:2", Modules: []control.Module{{Name: "a"}, {Name: "p", Pinned: true}}}
	}
	for _, tt := range []struct {
		name, boot, root string
		want             []control.Module
	}{
		{"another boot", "c", "1:2", nil},
		{"a kernel that does not name its boots", "", "1:2", nil},
		{"another root", "b", "8:2", []control.Module{{Name: "a", Pinned: true}, {Name: "p", Pinned: true}}},
		{"the same root", "b", "1:2", []control.Module{{Name: "a"}, {Name: "p", Pinned: true}}},
	} {
		if diff := cmp.Diff(tt.want, state().Inherited(tt.boot, tt.root)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	if got := (State{Modules: []control.Module{{Name: "a"}}}).Inherited("", ""); got != nil {
		t.Errorf("without a boot on either side: %v", got)
	}
}

func TestAStateIsTakenOnce(t *testing.T) {
	dir := t.TempDir()
	want := State{Boot: "b", Root: "r", Modules: []control.Module{{Name: "a", State: control.Live, Ours: true}}}
	if err := want.Leave(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Take(dir)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := Take(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the second time: %v", err)
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestADamagedStateIsOutOfTheWayAndALinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, File)
	if err := os.WriteFile(name, []byte("kmodd 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Take(dir); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("Take gave %v", err)
	}
	if err := os.Symlink("/dev/zero", name); err != nil {
		t.Fatal(err)
	}
	if _, err := Take(dir); err == nil || !strings.Contains(err.Error(), "not a file of the daemon's") {
		t.Errorf("Take of a link gave %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(header + "boot \"b\"\nroot \"1:2\"\n" + good)
	f.Add(header + "module a")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(string(s.Append(nil)))
		if diff := cmp.Diff(s, again); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})
}
