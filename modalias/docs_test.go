package modalias_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/modalias"
)

// A row is one of the table in docs/buses.md.
type row struct{ bus, form, example, shown string }

func docRows(t *testing.T) (all []row) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "buses.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[0], "| ") || !strings.Contains(cells[1], "`") {
			continue
		}
		for i, c := range cells {
			cells[i] = strings.Trim(c, "| `")
		}
		all = append(all, row{cells[0], cells[1], cells[2], strings.ReplaceAll(cells[3], "`", "")})
	}
	return all
}

// notation writes a form as docs/buses.md explains: # for a number, … for a
// text; what may be missing in brackets.
func notation(f *modalias.Form) string {
	var b strings.Builder
	b.WriteString(f.Prefix)
	for _, field := range f.Fields {
		value := "#"
		switch field.Kind {
		case modalias.Text, modalias.Name, modalias.Word:
			value = "…"
		case modalias.Codes:
			value = "#,…"
		case modalias.UUID, modalias.GUID:
			value = "UUID"
		}
		if field.Optional {
			b.WriteString("[" + field.Tag + value + "]")
		} else {
			b.WriteString(field.Tag + value)
		}
	}
	return b.String() + f.End
}

func TestDocsTellOfEveryForm(t *testing.T) {
	rows := map[string]row{}
	for _, r := range docRows(t) {
		if _, twice := rows[r.bus]; twice {
			t.Errorf("%s is there twice", r.bus)
		}
		rows[r.bus] = r
	}
	for f := range modalias.Forms() {
		r, ok := rows[f.Bus]
		if !ok {
			t.Errorf("no row for %s, %s", f.Bus, notation(f))
			continue
		}
		delete(rows, f.Bus)
		if r.form != notation(f) {
			t.Errorf("%s: the form is %s, want %s", f.Bus, r.form, notation(f))
		}
		if id, err := modalias.Parse(r.example); err != nil || id.Form != f {
			t.Errorf("%s: the example %s: %v", f.Bus, r.example, err)
		}
		if says := shown(t, f, r.shown); says != "" {
			t.Errorf("%s: %s", f.Bus, says)
		}
	}
	for bus := range rows {
		t.Errorf("a row for %s, which has no form", bus)
	}
}

// shown returns what is wrong with the last column, "" for nothing: each word
// is a scenario that has the form's prefix in it, or one of those that
// docs/buses.md explains.
func shown(t *testing.T, f *modalias.Form, where string) string {
	if where == "" {
		return "nothing shows it"
	}
	for word := range strings.SplitSeq(where, ", ") {
		ok := false
		switch word {
		case "recorded":
			ok = has(lines(t, "recorded.txt"), f)
		case "format":
			ok = has(lines(t, "formats.txt"), f)
		case "table":
			ok = f.Tables != nil
		default:
			text, err := os.ReadFile(filepath.Join("..", "testdata", "scenarios", word+".txtar"))
			ok = err == nil && strings.Contains(string(text), f.Prefix)
		}
		if !ok {
			return word + " does not show it"
		}
	}
	return ""
}

func has(lines []string, f *modalias.Form) bool {
	for _, line := range lines {
		if _, id, ok := strings.Cut(" "+line, " "+f.Prefix); ok && id != "" {
			return true
		}
	}
	return false
}
