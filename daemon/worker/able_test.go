package worker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/worker"
)

// able is a pool whose workers have all abilities where they need them.
func able(t *testing.T) *worker.Pool {
	t.Helper()
	return newPool(t, worker.Config{Able: []string{"/proc/self/exe"}})
}

func TestASurveyFindsWhatTheWorkerFinds(t *testing.T) {
	p := able(t)
	q := worker.Question{Module: "m", Files: []string{"/lib/a b.ko", "/lib/\"ü\".ko"}, Force: true, Any: true}
	p.Survey(1, q)
	r := <-p.Results()
	if r.Op != 1 || r.Err != nil || r.Survey == nil || r.Tended || r.Unasked() {
		t.Fatalf("got %+v", r)
	}
	want := worker.Survey{Says: `{Module:m Files:[/lib/a b.ko /lib/"ü".ko] Force:true Any:true}`}
	if diff := cmp.Diff(want, *r.Survey); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	p.Survey(2, worker.Question{Module: "0"})
	want = worker.Survey{Devices: []string{"/devices/d"}, Must: []string{"snd"},
		Openings: []kernel.Opening{{Alias: "char-major-81-0", Name: "video0", Links: []string{"v4l/by-id/a", "v4l/ü"}}}}
	if diff := cmp.Diff(&want, (<-p.Results()).Survey); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestASurveyThatFindsTooMuchSaysSo(t *testing.T) {
	p := able(t)
	for module, fits := range map[string]bool{"3000": true, "3800": true, "4000": false, "100000": false} {
		p.Survey(1, worker.Question{Module: module})
		r := <-p.Results()
		if r.Err != nil || r.Survey == nil {
			t.Errorf("%s: got %+v", module, r)
			continue
		}
		too := worker.Survey{Says: "it has too much that can be opened"}
		if diff := cmp.Diff(too, *r.Survey); (diff != "") != fits {
			t.Errorf("%s: got %+v", module, r.Survey)
		}
	}
}

func TestTendingTellsHowItWent(t *testing.T) {
	p := able(t)
	what := worker.Placeholders{How: worker.Uncover, Openings: []kernel.Opening{{Alias: "char-major-81-0", Name: "video0", Links: []string{"a"}}}}
	p.Tend(1, "m", what)
	if r := <-p.Results(); r.Op != 1 || !r.Tended || r.Err != nil || r.Survey != nil {
		t.Errorf("got %+v", r)
	}
	what.How = worker.Restore
	p.Tend(2, "m", what)
	r := <-p.Results()
	if !r.Tended || r.Unasked() || r.Err == nil {
		t.Fatalf("got %+v", r)
	}
	if diff := cmp.Diff("tend m: asked for {How:2 Openings:[{Alias:char-major-81-0 Name:video0 Access: Links:[a]}]}; and more", r.Err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestARequestAboutTooMuchIsRefused(t *testing.T) {
	p := able(t)
	p.Tend(1, "m", worker.Placeholders{Openings: []kernel.Opening{{Name: strings.Repeat("x", 1<<20)}}})
	if r := <-p.Results(); !r.Tended || !errors.Is(r.Err, unix.EMSGSIZE) || r.Unasked() {
		t.Errorf("got %+v", r)
	}
}

func TestAWorkerThatDiesInASurveyLeavesTheModuleAlone(t *testing.T) {
	p := able(t)
	p.Survey(1, worker.Question{Module: "is_killed"})
	r := <-p.Results()
	if death := (*worker.DeathError)(nil); r.Survey == nil || !errors.As(r.Err, &death) || death.Doing != "survey" || !strings.HasSuffix(death.Error(), "kmodd-tools is broken: reinstall it") {
		t.Errorf("got %+v", r)
	}
}

// Without kmodctl, or with one that can't, nothing sleeps.
func TestWithoutAbilitiesSleepIsRefused(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(t.TempDir(), "kmodctl")
	if err := os.WriteFile(old, []byte("#!/bin/sh\n"+unable+"=1 exec '"+self+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for program, before := range map[string]string{"/nowhere/kmodctl": "", old: "survey m: "} {
		p := newPool(t, worker.Config{Able: []string{program}})
		p.Survey(1, worker.Question{Module: "m"})
		r := <-p.Results()
		if r.Survey == nil || r.Unasked() || r.Err == nil || r.Err.Error() != before+"that takes kmodd-tools: install it beside kmodd" {
			t.Errorf("%s: got %+v", program, r)
		}
		p.Tend(2, "m", worker.Placeholders{How: worker.Cover})
		r = <-p.Results()
		if !r.Tended || r.Err == nil || r.Err.Error() != strings.Replace(before, "survey", "tend", 1)+"that takes kmodd-tools: install it beside kmodd" {
			t.Errorf("%s: got %+v", program, r)
		}
	}
}
