package scenario

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A failure is a row of docs/failures.md.
type failure struct {
	fails    string
	says     []string // quotes of kmodd's words
	scenario string
}

// failures reads the table. Quotes are in backticks, a scenario is a link.
func failures(t *testing.T) []failure {
	t.Helper()
	text, err := os.ReadFile("../../../docs/failures.md")
	if err != nil {
		t.Fatal(err)
	}
	quote := regexp.MustCompile("`([^`]+)`")
	link := regexp.MustCompile(`\(\.\./testdata/scenarios/([^)]+)\.txtar\)`)
	var rows []failure
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.HasPrefix(cells[1], "---") || strings.Contains(cells[1], "What fails") {
			continue
		}
		row := failure{fails: strings.TrimSpace(cells[1])}
		for _, q := range quote.FindAllStringSubmatch(cells[2], -1) {
			row.says = append(row.says, q[1])
		}
		if l := link.FindStringSubmatch(cells[4]); l != nil {
			row.scenario = l[1]
		}
		rows = append(rows, row)
	}
	return rows
}

// promised are the patterns that a scenario holds output to.
func promised(t *testing.T, scenario string) []*regexp.Regexp {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../testdata/scenarios", scenario+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []*regexp.Regexp
	for _, m := range regexp.MustCompile(`(?m)^stdout (?:'((?:[^']|'')+)'|(\w+))$`).FindAllStringSubmatch(string(text), -1) {
		patterns = append(patterns, regexp.MustCompile(strings.ReplaceAll(m[1]+m[2], "''", "'")))
	}
	return patterns
}

func TestWhatIsSaidOfFailuresIsWhatScenariosShow(t *testing.T) {
	rows := failures(t)
	if len(rows) < 20 {
		t.Fatalf("%d rows were found", len(rows))
	}
	for _, row := range rows {
		t.Run(row.fails, func(t *testing.T) {
			if row.scenario == "" {
				t.Fatal("it names no scenario")
			}
			patterns := promised(t, row.scenario)
			for _, quote := range row.says {
				if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(quote) }) {
					t.Errorf("no line of %s.txtar begins with stdout and matches %q", row.scenario, quote)
				}
			}
		})
	}
}

func TestEveryScenarioOfAFailureHasARow(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/scenarios/fail-*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	rows := failures(t)
	for _, name := range files {
		scenario := strings.TrimSuffix(filepath.Base(name), ".txtar")
		if !slices.ContainsFunc(rows, func(row failure) bool { return row.scenario == scenario }) {
			t.Errorf("docs/failures.md has no row for %s", scenario)
		}
	}
}
