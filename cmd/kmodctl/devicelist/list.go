package devicelist

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kmodd/kmodd/rules"
)

// Format is the number of the format that this package writes, and the only one
// that it reads.
const Format = 1

// A List is what is known of a machine. Strings may hold any bytes.
type List struct {
	Tool    string // that recorded it, "" if nobody says
	Kernel  string // its release
	Machine string // uname -m
	// CommandLine holds words of the kernel command line.
	CommandLine []string
	// Loaded names the modules that were in its kernel, which no device may have
	// asked for: file systems, what somebody has put in by hand.
	Loaded []string
	// Devices are in the order in which they were written. Their Env has no
	// DRIVER, which is [rules.Device.Driver].
	Devices []rules.Device
}

// A Mistake is a line of a list that was left out.
type Mistake struct {
	Line int
	Says string
}

func (m Mistake) String() string { return fmt.Sprintf("%d: %s", m.Line, m.Says) }

const heading = `# The devices of a machine that name themselves to drivers: what kmodctl plan
# --devices reads. A device a line: its path, subsystem, MODALIAS, and variables of
# its uevent. Nothing here is meant to tell one board from another of its kind.
`

// Append writes a list.
func (l *List) Append(b []byte) []byte {
	b = append(b, heading...)
	b = append(b, begin()+"\n"...)
	b = appendFact(b, "recorded-by", l.Tool)
	b = appendFact(b, "kernel", l.Kernel)
	b = appendFact(b, "machine", l.Machine)
	for _, word := range l.CommandLine {
		b = appendFact(b, "cmdline", word)
	}
	for _, module := range l.Loaded {
		b = appendFact(b, "loaded", module)
	}
	b = append(b, '\n')
	for _, d := range l.Devices {
		b = appendDevice(b, d)
	}
	return b
}

func appendFact(b []byte, word, says string) []byte {
	if says == "" {
		return b
	}
	b = append(append(b, word...), ' ')
	return append(appendEscaped(b, says, true), '\n')
}

func appendDevice(b []byte, d rules.Device) []byte {
	b = appendEscaped(b, d.Path, false)
	b = append(b, ' ')
	switch d.Subsystem {
	case "":
		b = append(b, none...)
	case none:
		b = append(b, `\x2d`...)
	default:
		b = appendEscaped(b, d.Subsystem, false)
	}
	b = append(b, ' ')
	b = appendEscaped(b, d.Modalias, false)
	if d.Driver != "" {
		b = append(b, " "+driver...)
		b = appendEscaped(b, d.Driver, false)
	}
	for _, variable := range d.Env {
		b = append(b, ' ')
		b = appendEscaped(b, variable, false)
	}
	return append(b, '\n')
}

const (
	none   = "-"
	driver = "DRIVER="
)

// appendEscaped appends a string so that it is one field, or with blanks the rest
// of a line.
func appendEscaped(b []byte, s string, blanks bool) []byte {
	for i := range len(s) {
		c := s[i]
		within := blanks && c == ' ' && i > 0 && i < len(s)-1
		if c > ' ' && c <= '~' && c != '\\' || within {
			b = append(b, c)
		} else {
			b = fmt.Appendf(b, `\x%02x`, c)
		}
	}
	return b
}

// unescape is the reverse.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for len(s) > 0 {
		before, rest, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			break
		}
		if len(rest) < 3 || rest[0] != 'x' {
			return "", fmt.Errorf(`a \ is not followed by x and two hexadecimal digits: write \x5c for one that is meant so`)
		}
		c, err := strconv.ParseUint(rest[1:3], 16, 8)
		if err != nil {
			return "", fmt.Errorf(`\%s is no byte: x is followed by two hexadecimal digits`, rest[:3])
		}
		b.WriteByte(byte(c))
		s = rest[3:]
	}
	return b.String(), nil
}

// Parse reads a list. Lines that can't be understood are left out and returned as
// mistakes. An error means that the text is no list of this format.
func Parse(text string) (*List, []Mistake, error) {
	p := &parser{list: new(List), paths: make(map[string]int)}
	for line := range strings.Lines(text) {
		p.line++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := p.read(line); err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	if !p.begun {
		return nil, nil, fmt.Errorf("no list of devices: it has no line %q", begin())
	}
	return p.list, p.mistakes, nil
}

// begin is how a list begins.
func begin() string { return "format " + strconv.Itoa(Format) }

type parser struct {
	list     *List
	mistakes []Mistake
	line     int
	begun    bool           // by the line that tells the format
	paths    map[string]int // of devices, and their lines
}

func (p *parser) mistake(format string, args ...any) {
	p.mistakes = append(p.mistakes, Mistake{p.line, fmt.Sprintf(format, args...)})
}

// read takes in a line that says something.
func (p *parser) read(line string) error {
	word, rest := line, ""
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		word, rest = line[:i], strings.TrimSpace(line[i:])
	}
	switch {
	case !p.begun && word != "format":
		return fmt.Errorf("no list of devices: the first line that says anything is %q there", begin())
	case word == "format" && rest != strconv.Itoa(Format):
		return fmt.Errorf("a list of format %s: this program knows format %d; it is older than the one that wrote it", rest, Format)
	case word == "format":
		p.begun = true
	case word[0] == '/':
		p.device(line)
	default:
		p.fact(word, rest)
	}
	return nil
}

// fact takes in what a line says of the whole machine.
func (p *parser) fact(word, rest string) {
	says, err := unescape(rest)
	var to *string
	switch word {
	case "recorded-by":
		to = &p.list.Tool
	case "kernel":
		to = &p.list.Kernel
	case "machine":
		to = &p.list.Machine
	case "cmdline", "loaded":
		to = new(string)
	}
	switch {
	case to == nil:
		p.mistake("there is no word %q, and a device's path begins with a slash", word)
	case err != nil:
		p.mistake("%v", err)
	case says == "":
		p.mistake("%s says nothing", word)
	case word == "cmdline":
		p.list.CommandLine = append(p.list.CommandLine, says)
	case word == "loaded":
		p.list.Loaded = append(p.list.Loaded, says)
	default:
		*to = says
	}
}

// device takes in a device.
func (p *parser) device(line string) {
	fields := strings.Fields(line)
	if len(fields) < 3 {
		p.mistake("a device has a path, a subsystem and a MODALIAS, between blanks")
		return
	}
	subsystem := fields[1]
	for i := range fields {
		field, err := unescape(fields[i])
		if err != nil {
			p.mistake("%v", err)
			return
		}
		fields[i] = field
	}
	d := rules.Device{Path: fields[0], Subsystem: fields[1], Modalias: fields[2]}
	if subsystem == none {
		d.Subsystem = ""
	}
	for _, variable := range fields[3:] {
		if name, _, ok := strings.Cut(variable, "="); !ok || name == "" {
			p.mistake("%q is no VARIABLE=VALUE; a blank within a field is written \\x20", variable)
			return
		}
		if name, ok := strings.CutPrefix(variable, driver); ok {
			d.Driver = name
		} else {
			d.Env = append(d.Env, variable)
		}
	}
	if first := p.paths[d.Path]; first != 0 {
		p.mistake("line %d has a device of that path already", first)
		return
	}
	p.paths[d.Path] = p.line
	p.list.Devices = append(p.list.Devices, d)
}
