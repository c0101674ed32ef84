package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kmodd/kmodd/cmd/kmodlab/scenario"
)

func TestOneFailedScriptFailsTheRunAndNoOther(t *testing.T) {
	all := &report{}
	var good, bad *report
	all.Run("good", func(t testscript.T) { good = t.(*report) })
	all.Run("bad", func(t testscript.T) {
		bad = t.(*report)
		t.Fatal("as expected of this test")
	})
	all.scripts.Wait()
	got := map[string]bool{"all": all.Failed(), "good": good.Failed(), "bad": bad.Failed()}
	if diff := cmp.Diff(map[string]bool{"all": true, "good": false, "bad": true}, got); diff != "" {
		t.Error("failed (-want +got):\n" + diff)
	}
}

func TestTextIsWrappedAtItsWords(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing is one empty line", "", []string{""}},
		{"a word longer than a line stays whole", "a incomprehensibilities b", []string{"a", "incomprehensibilities", "b"}},
		{"words fill the line to its end", "one two three", []string{"one two", "three"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, wrap(tt.text, 7)); diff != "" {
				t.Error("lines (-want +got):\n" + diff)
			}
		})
	}
}

func TestEveryVerbSaysWhatItDoes(t *testing.T) {
	for _, v := range scenario.Verbs {
		if !strings.HasSuffix(v.Doc, ".") {
			t.Errorf("%s %q: %q is no documentation", v.Name, v.Usage, v.Doc)
		}
	}
}

func TestAnUnknownCommandIsRefused(t *testing.T) {
	for _, args := range [][]string{nil, {"fly"}, {"run"}} {
		if err := dispatch(t.Context(), args); err == nil {
			t.Errorf("no error for %q", args)
		}
	}
}
