package main

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// docs is docs/metrics.md.
func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fenced returns the text's block of that kind.
func fenced(t *testing.T, text, kind string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "```"+kind+"\n")
	block, _, ended := strings.Cut(after, "```\n")
	if !ok || !ended {
		t.Fatalf("docs/metrics.md has no block of %s", kind)
	}
	return block
}

// row is a metric as docs/metrics.md lists it.
func row(name, kind, labels, help string) string {
	return fmt.Sprintf("| `%s` | %s | %s | %s |", name, kind, labels, help)
}

func TestTheTableOfMetricsIsWhole(t *testing.T) {
	socket := socketPath(t)
	startDaemon(t, socket, healthy)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(socket, slog.New(slog.DiscardHandler)))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		want = append(want, row(f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp()))
	}
	got := regexp.MustCompile("(?m)^\\| `kmodd_.*$").FindAllString(docs(t), -1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/metrics.md (-what there is +what is listed):\n%s", diff)
	}
}

// The output that is shown was one of this program's: its series are those that
// there are, but for what differs from machine to machine.
func TestTheOutputThatIsShownHasAllSeries(t *testing.T) {
	golden, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(series(string(golden)), series(fenced(t, docs(t), ""))); diff != "" {
		t.Errorf("docs/metrics.md (-what there is +what is shown):\n%s", diff)
	}
}

// series lists those in a text, without buckets and versions.
func series(text string) []string {
	all := regexp.MustCompile(`(?m)^kmodd_.+ `).FindAllString(text, -1)
	return slices.DeleteFunc(all, func(s string) bool { return strings.Contains(s, "_bucket{") || strings.Contains(s, "_info{") })
}
