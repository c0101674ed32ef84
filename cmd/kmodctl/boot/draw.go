package boot

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kmodd/kmodd/daemon/control"
)

// The measures of a drawing, in pixels.
const (
	width    = 1440
	margin   = 16
	firstX   = 132 // of what is drawn; left of it stand the rows' names
	lastX    = width - 84
	rowStep  = 20
	barSize  = 15
	letter   = 6.5 // of labels, about
	smallest = 1.5 // so that everything can be seen
)

// style is for light and for dark screens. Programs that know nothing of the second show
// the first.
const style = `
svg { font: 11px "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
.paper { fill: #ffffff; } text { fill: #1f2328; stroke: none; } .head { font-size: 17px; font-weight: 600; } .faint { fill: #59636e; }
.grid { stroke: #d8dee4; stroke-width: 1; } .mark { stroke-width: 1; stroke-dasharray: 3 3; }
.chain { fill: #f5a04c; stroke: #b4530a; } .critical { fill: #8fbdf3; stroke: #2f6fbd; } .normal { fill: #a8d5a2; stroke: #4b8a45; }
.deferred { fill: #d2bdf0; stroke: #8257c2; } .earlier, .before { fill: #d5dae0; stroke: #8c959f; } .failed { fill: #fbe3e4; stroke: #c93c45; stroke-dasharray: 3 2; }
.bar rect { stroke-width: 0; } .bar .edge { fill: none; stroke-width: 1; } .reading { opacity: .45; } .probing { opacity: .55; } .waiting { opacity: .22; }
.stage { fill-opacity: .5; stroke-width: 0; } .cut { fill: #ffffff; stroke: #8c959f; stroke-dasharray: 2 2; }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117; } text { fill: #e6edf3; } .faint { fill: #9198a1; } .grid { stroke: #2a313a; }
.chain { fill: #b35c12; stroke: #ffb169; } .critical { fill: #1f5fae; stroke: #79b8ff; } .normal { fill: #2f6b35; stroke: #7cc67a; }
.deferred { fill: #5f3f96; stroke: #c3a0f5; } .earlier, .before { fill: #3d444d; stroke: #8c959f; } .failed { fill: #4a1d20; stroke: #f47067; }
.cut { fill: #0d1117; }
}
`

// A drawing is an SVG document that is being written.
type drawing struct {
	bytes.Buffer
	*Report
	axis   *axis
	words  func(modalias string) string
	chain  []Link
	onPath map[*Load]bool // loads of the chain
	y      float64        // of the next row
}

// firstY is where the first row is.
const firstY = 84

// Draw writes the report as a drawing. What a device is, as words say of its modalias,
// hovers over what was done for it.
func (r *Report) Draw(w io.Writer, words func(modalias string) string) error {
	d := &drawing{Report: r, axis: newAxis(r, firstX, lastX), words: words, chain: r.Chain(), onPath: make(map[*Load]bool), y: firstY}
	for _, l := range d.chain {
		if l.Kind == Coming {
			d.onPath[l.Load] = true
		}
	}
	d.stages()
	d.chainRow()
	d.lanes()
	rows := bytes.Clone(d.Bytes())
	d.Reset()
	d.open(d.y + 64)
	d.headings()
	d.grid()
	d.Write(rows)
	d.legend(d.y + 44)
	d.WriteString("</svg>\n")
	_, err := d.WriteTo(w)
	return err
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

// escaped is a text that can be in a document, whatever bytes it has.
func escaped(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r == '\uFFFE' || r == '\uFFFF' { // not in XML 1.0, 2.2
			return '\uFFFD'
		}
		return r
	}, s))
}

func (d *drawing) open(height float64) {
	d.printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" viewBox=\"0 0 %d %.0f\">\n", width, height, width, height)
	d.printf("<title>%s</title>\n<style>%s</style>\n<rect class=\"paper\" width=\"%d\" height=\"%.0f\"/>\n", escaped("What was loaded while the machine started: "+d.Machine()), style, width, height)
}

// text writes at a place, in a class, from there on ("start"), around it or up to it.
func (d *drawing) text(x, y float64, class, anchor, says string) {
	d.printf("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">%s</text>\n", x, y, class, anchor, escaped(says))
}

func (d *drawing) headings() {
	d.text(margin, 28, "head", "start", "What was loaded while the machine started")
	d.text(margin, 47, "faint", "start", d.Machine()+": "+d.summary())
}

// summary is the report in a line.
func (d *drawing) summary() string {
	began := 0
	for _, l := range d.Report.Loads {
		if l.counts() {
			began++
		}
	}
	s := d.Stages()
	says := fmt.Sprintf("%d loads; kmodd began at %s", began, Seconds(d.Started))
	for _, part := range []struct {
		says string
		at   time.Duration
	}{{"what is critical was there at %s", s.Critical}, {"all else that did not wait was loaded at %s", s.Loaded}, {"what was deferred at %s", s.Deferred}} {
		if part.at != 0 {
			says += "; " + fmt.Sprintf(part.says, Seconds(part.at))
		}
	}
	if d.Again() {
		says += "; an earlier kmodd began at " + Seconds(d.First)
	}
	return says
}

// grid draws the axis, and what is cut from it.
func (d *drawing) grid() {
	const top = firstY - 8.0
	bottom := d.y + 4
	for _, t := range d.axis.ticks() {
		x := d.axis.x(t)
		d.printf("<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", x, top, bottom)
		if slices.ContainsFunc(d.axis.cuts, func(c stretch) bool { return math.Abs(d.axis.x(c.from)+cutWidth/2-x) < cutWidth }) {
			continue // the cut's own words are there
		}
		label := fmt.Sprintf("%g s", t.Seconds())
		d.text(x, top-5, "faint", "middle", label)
		d.text(x, bottom+14, "faint", "middle", label)
	}
	for _, e := range d.endings() {
		d.printf("<path class=\"mark %s\" d=\"M%.1f %.1fV%.1f\"/>\n", e.stage, d.axis.x(e.end), top, bottom)
	}
	for _, c := range d.axis.cuts {
		x := d.axis.x(c.from)
		d.printf("<g><title>%s</title><rect class=\"cut\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>", escaped(d.cutSays(c)), x, top, cutWidth, bottom-top)
		d.text(x+cutWidth/2, top-5, "faint", "middle", Span(c.length()))
		d.WriteString("</g>\n")
	}
}

func (d *drawing) cutSays(c stretch) string {
	if c.from == 0 {
		return Span(c.length()) + " of the kernel, and of what ran before kmodd, drawn shorter than they were"
	}
	return Span(c.length()) + " in which nothing was loaded, drawn shorter than they were"
}

// rowName writes what a row is about, to its left.
func (d *drawing) rowName(says string) { d.text(firstX-10, d.y+11.5, "faint", "end", says) }

// An ending is when a part of the boot ended.
type ending struct {
	stage     control.Stage
	from, end time.Duration
}

// endings are those of the parts that there were.
func (d *drawing) endings() []ending {
	s, from := d.Stages(), max(d.Scanned, d.Started)
	return slices.DeleteFunc([]ending{
		{control.Critical, from, s.Critical}, {control.Normal, from, s.Normal}, {control.Late, cmp.Or(d.Complete, from), s.Deferred},
	}, func(e ending) bool { return e.end == 0 })
}

// stages draws a row for each part of the boot, up to its end.
func (d *drawing) stages() {
	for _, e := range d.endings() {
		d.rowName(string(e.stage))
		x, end := d.axis.x(min(e.from, e.end)), d.axis.x(e.end)
		d.printf("<rect class=\"stage %s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"8\"/>\n", e.stage, x, d.y+4, max(end-x, smallest))
		d.text(end+5, d.y+12, "", "start", Seconds(e.end))
		d.y += rowStep - 4
	}
	d.y += 6
}

// A piece is a part of a bar.
type piece struct {
	class    string
	from, to time.Duration
}

// bar draws what took time, in pieces, and a name where label says.
func (d *drawing) bar(class, title string, pieces []piece, name nameplate) {
	from, to := d.axis.x(pieces[0].from), d.axis.x(pieces[len(pieces)-1].to)
	d.printf("<g class=\"bar %s\"><title>%s</title>", class, escaped(title))
	for _, p := range pieces {
		if x, end := d.axis.x(p.from), d.axis.x(p.to); end > x {
			d.printf("<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"/>", p.class, x, d.y, end-x, barSize)
		}
	}
	d.printf("<rect class=\"edge\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"1.5\"/>", from, d.y, max(to-from, smallest), barSize)
	if name.says != "" {
		d.printf("<text x=\"%.1f\" y=\"%.1f\">%s</text>", name.x, d.y+11.5, escaped(name.says))
	}
	d.WriteString("</g>\n")
}

// A nameplate is a name and where it stands.
type nameplate struct {
	says     string
	x, width float64
}

// nameplate has a name stand in its bar, if it fits, or beside it.
func (d *drawing) nameplate(name string, from, to time.Duration) nameplate {
	const most, gap = 28, 4
	if r := []rune(name); len(r) > most {
		name = string(r[:most-1]) + "…"
	}
	p := nameplate{says: name, width: letter * float64(utf8.RuneCountInString(name))}
	x, end := d.axis.x(from), d.axis.x(to)
	switch {
	case p.fits(end - x):
		p.x = x + gap
	case end+gap+p.width <= width:
		p.x = max(end, x+smallest) + gap
	default:
		p.x = x - gap - p.width
	}
	return p
}

// nameWithin is the first of some names that fits between two times, or none.
func (d *drawing) nameWithin(from, to time.Duration, names ...string) nameplate {
	for _, name := range names {
		if p := d.nameplate(name, from, to); p.fits(d.axis.x(to) - d.axis.x(from)) {
			return p
		}
	}
	return nameplate{}
}

// fits tells whether a name has room in so many pixels.
func (p nameplate) fits(room float64) bool { return room >= p.width+6 }

// chainRow draws the chain, which has no gaps.
func (d *drawing) chainRow() {
	if len(d.chain) == 0 {
		return
	}
	d.rowName("critical chain")
	at := time.Duration(0)
	for _, l := range d.chain {
		if l.Took > 0 {
			d.bar(l.class(), d.linkTitle(l), l.pieces(at), d.nameWithin(at, l.At, l.name()+" "+Span(l.Took), l.name()))
		}
		at = l.At
	}
	d.y += rowStep + 12
}

// class is what a link is drawn as.
func (l Link) class() string {
	if l.Kind == Kernel {
		return "before"
	}
	return "chain"
}

// pieces are a link's, which begins at a time.
func (l Link) pieces(at time.Duration) []piece {
	switch l.Kind {
	case Coming:
		read, init := at+l.Waited, at+l.Waited+l.Reading
		return []piece{{"waiting", at, read}, {"reading", read, init}, {"init", init, l.At}}
	case Probing:
		return []piece{{"probing", at, l.At}}
	case Appears, Wanting:
		return []piece{{"waiting", at, l.At}}
	}
	return []piece{{"init", at, l.At}}
}

// name is what stands in a link's bar.
func (l Link) name() string {
	switch l.Kind {
	case Coming:
		return l.Load.Name
	case Probing, Appears:
		return path.Base(l.Device.Path)
	}
	return string(l.Kind)
}

func (d *drawing) linkTitle(l Link) string {
	says := l.Says() + "\n" + Span(l.Took) + ", until " + Seconds(l.At)
	if l.Kind == Coming {
		return says + "\n" + l.Parts()
	}
	if l.Device != nil {
		says += d.inWords(l.Device)
	}
	return says
}

// inWords says what a device is, in a line of its own, if that is known.
func (d *drawing) inWords(device *Device) string {
	if says := d.words(device.Modalias); says != "" {
		return "\n" + says
	}
	return ""
}

// A lane is a row in which one load follows another.
type lane struct {
	end  float64
	bars []laneBar
}

type laneBar struct {
	*Load
	name nameplate
}

// lanes draws all loads, each in the first row that has room for it and for its name.
func (d *drawing) lanes() {
	var lanes []*lane
	for _, l := range d.Report.Loads {
		if l.Began == 0 {
			continue
		}
		name := d.nameplate(l.Name, l.Began, l.end)
		from := min(name.x, d.axis.x(l.Began)) - 3
		i := slices.IndexFunc(lanes, func(other *lane) bool { return other.end <= from })
		if i < 0 {
			i = len(lanes)
			lanes = append(lanes, new(lane))
		}
		lanes[i].end = max(name.x+name.width+4, d.axis.x(l.end)+smallest)
		lanes[i].bars = append(lanes[i].bars, laneBar{l, name})
	}
	for i, lane := range lanes {
		if i == 0 {
			d.rowName("all loads")
		}
		for _, l := range lane.bars {
			read, init := l.Began, l.asked()
			d.bar(d.class(l.Load), d.loadTitle(l.Load), []piece{{"reading", read, init}, {"init", init, l.ready()}, {"probing", l.ready(), l.end}}, l.name)
		}
		d.y += rowStep
	}
}

// class is what a load is drawn as.
func (d *drawing) class(l *Load) string {
	switch {
	case l.Live == 0:
		return "failed"
	case l.Earlier:
		return "earlier"
	case d.onPath[l]:
		return "chain"
	case l.Stage == control.Critical:
		return "critical"
	case l.Stage == control.Late:
		return "deferred"
	}
	return "normal"
}

// loadTitle is what hovers over a load.
func (d *drawing) loadTitle(l *Load) string {
	lines := []string{fmt.Sprintf("%s, %s: %s, until %s", l.Name, l.Stage, Span(l.Took()), Seconds(l.end))}
	if l.Earlier {
		lines = append(lines, "loaded by an earlier kmodd")
	}
	lines = append(lines, "waited "+Span(l.Waited())+"; read "+Span(l.Reading())+"; init "+Span(l.Init())+"; probe "+Span(l.Probe()))
	if l.For != "" {
		line := "asked for by " + d.AskedBy(l)
		if device := d.Device(l); device != nil {
			line += d.inWords(device)
		}
		lines = append(lines, line)
	}
	if len(l.Needs) > 0 {
		lines = append(lines, "needs "+strings.Join(l.Needs, ", "))
	}
	switch {
	case l.Error != "":
		lines = append(lines, l.Error)
	case l.Live == 0 && l.Returned == 0:
		lines = append(lines, "it had not ended when the report was made, at "+Seconds(d.Now))
	}
	for i, device := range l.Devices {
		const most = 12
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more", len(l.Devices)-most))
			break
		}
		lines = append(lines, device.Named()+" bound at "+Seconds(device.Bound))
	}
	return strings.Join(lines, "\n")
}

// legend says what the colours mean.
func (d *drawing) legend(y float64) {
	x := float64(firstX)
	entry := func(class, part, says string) {
		d.printf("<g class=\"bar %s\"><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"22\" height=\"12\"/><rect class=\"edge\" x=\"%.1f\" y=\"%.1f\" width=\"22\" height=\"12\" rx=\"1.5\"/></g>\n", class, part, x, y-10, x, y-10)
		d.text(x+28, y, "", "start", says)
		x += 28 + letter*float64(len(says)) + 22
	}
	entry("chain", "init", "what the last critical device waited for")
	entry("critical", "init", "critical")
	entry("normal", "init", "normal")
	entry("deferred", "init", "deferred")
	entry("failed", "init", "not live")
	if slices.ContainsFunc(d.Report.Loads, func(l *Load) bool { return l.Earlier }) {
		entry("earlier", "init", "by an earlier kmodd")
	}
	entry("normal", "waiting", "waits")
	entry("normal", "reading", "its file is read")
	entry("normal", "init", "init")
	entry("normal", "probing", "probes after that")
}
