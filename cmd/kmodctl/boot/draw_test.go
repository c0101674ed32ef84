package boot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/daemon/control"
)

func noWords(string) string { return "" }

// An element is one of a document.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e element) number(t failer, name string) (x float64) {
	if _, err := fmt.Sscan(e.attr(name), &x); err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		t.Fatalf("%s of %v is %q", name, e.XMLName.Local, e.attr(name))
	}
	return x
}

// A failer is a test, or one of rapid's.
type failer interface {
	Fatalf(format string, args ...any)
}

// drawn is the document of a drawing. It holds nothing that could be a program, and
// names nothing outside of it.
func drawn(t failer, r *Report, words func(string) string) element {
	var b bytes.Buffer
	if err := r.Draw(&b, words); err != nil {
		t.Fatalf("%v", err)
	}
	text := b.String()
	for _, bad := range []string{"<script", "onload", "href", "url(", "@import"} {
		if strings.Contains(text, bad) {
			t.Fatalf("it has %s", bad)
		}
	}
	var root element
	d := xml.NewDecoder(strings.NewReader(strings.TrimSpace(text)))
	if err := d.Decode(&root); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("after the document comes %v", err)
	}
	return root
}

// bars are those of the drawing's lanes, by their titles' first words, and where they are.
func bars(t failer, root element) (names []string, places map[float64][][2]float64) {
	places = make(map[float64][][2]float64)
	for _, g := range root.Children {
		if g.XMLName.Local != "g" || !strings.HasPrefix(g.attr("class"), "bar ") || len(g.Children) == 0 || g.Children[0].XMLName.Local != "title" {
			continue
		}
		title := g.Children[0].Text
		for _, part := range g.Children[1:] {
			if part.attr("class") == "edge" {
				x, y, wide := part.number(t, "x"), part.number(t, "y"), part.number(t, "width")
				if x < firstX-1 || x+wide > lastX+2 {
					t.Fatalf("%q is drawn from %v to %v", title, x, x+wide)
				}
				places[y] = append(places[y], [2]float64{x, x + wide})
			}
		}
		name, _, _ := strings.Cut(title, ", ")
		names = append(names, name)
	}
	return names, places
}

func TestARealBootIsDrawnWhole(t *testing.T) {
	r := recorded(t)
	root := drawn(t, r, func(modalias string) string { return "words of " + modalias })
	names, places := bars(t, root)
	for _, l := range r.Loads {
		if l.Began != 0 && !slices.Contains(names, l.Name) {
			t.Errorf("%s is not drawn", l.Name)
		}
	}
	for y, row := range places {
		slices.SortFunc(row, func(a, b [2]float64) int { return int(a[0] - b[0]) })
		for i := range row[1:] {
			if row[i][1] > row[i+1][0]+0.2 {
				t.Errorf("in the row at %v the bar at %v covers that at %v", y, row[i], row[i+1])
			}
		}
	}
	if len(places) > 45 {
		t.Errorf("%d rows for at most %d loads at a time", len(places), 20)
	}
}

// Names come from devices, and reports from files: whatever they hold, it is XML, and
// everything is drawn within its frame.
func TestAnyReportIsDrawnAsADocument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bars(t, drawn(t, New(anyBoot().Draw(t, "boot")), func(modalias string) string { return modalias }))
	})
}

func TestHostileNamesAreEscaped(t *testing.T) {
	l := load("</title><script>x</script>", [4]time.Duration{2000, 2000, 2010, 2300})
	l.Error = "\x1b]0;owned\a\x00"
	root := drawn(t, base([]control.BootLoad{l}, device("/devices/"+l.Name, l.Name, 1500, 2200)), func(string) string { return "<b>" })
	if names, _ := bars(t, root); !slices.Contains(names, l.Name) {
		t.Errorf("its name is among none of %q", names)
	}
}

func TestWhatIsIdleIsDrawnShorter(t *testing.T) {
	late := as(control.Late, load("late", [4]time.Duration{3_600_000, 3_600_000, 3_600_000, 3_600_200}))
	r := base([]control.BootLoad{load("a", [4]time.Duration{2000, 2000, 2010, 2300}), late})
	a := newAxis(r, 0, 1000)
	if len(a.cuts) != 2 || a.cuts[1] != (stretch{2300 * ms, 3600 * time.Second}) {
		t.Fatalf("cut: %v", a.cuts)
	}
	if x := a.x(late.Live); math.Abs(x-1000) > 0.01 {
		t.Errorf("it ends at %v", x)
	}
	if x := a.x(2300 * ms); math.Abs(a.x(late.Began)-x-cutWidth) > 0.01 {
		t.Errorf("the cut goes from %v to %v", x, a.x(late.Began))
	}
	if n := len(a.ticks()); n < 5 || n > 20 {
		t.Errorf("%d ticks: %v", n, a.ticks())
	}
}

func TestPlacesComeInTheOrderOfTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newAxis(New(anyBoot().Draw(t, "boot")), 100, 1000)
		var last float64
		for i := range 200 {
			x := a.x(a.end / 200 * time.Duration(i))
			if x < last-0.001 || x < 99.99 || x > 1000.01 {
				t.Fatalf("%v comes after %v", x, last)
			}
			last = x
		}
		if len(a.ticks()) > 40 {
			t.Fatalf("%d ticks", len(a.ticks()))
		}
	})
}
