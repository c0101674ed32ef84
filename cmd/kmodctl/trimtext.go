package main

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodctl/trim"
	"github.com/kmodd/kmodd/daemon/control"
)

// A trimText is a Trim on its way to a reader.
type trimText struct {
	story
	*trim.Trim
}

// printTrim prints what an image needs, which was copied to a directory or, if that
// is "", was not.
func printTrim(w io.Writer, dir string, made *trim.Trim) error {
	t := &trimText{story{Writer: bufio.NewWriter(w)}, made}
	s := t.Summary
	t.line("For %s with %s, of the modules in %s", plural(uint64(s.Boards), "board"), plural(uint64(s.Devices), "device"), t.Tables)
	t.modules()
	t.files()
	t.section("Asked for, and left out", t.refused())
	t.section("In the kernel of a board, and not installed", t.unknown())
	t.line("\n%s", t.summary())
	if dir != "" {
		t.line("The tree is in %s.", dir)
	}
	t.line("What was not there when a board was recorded, nor in use by then, nobody knows of:")
	t.line("devices to be plugged in, file systems, ciphers, protocols. --add names modules for them.")
	return t.Flush()
}

func (t *trimText) modules() {
	var rows [][]string
	for _, m := range t.Modules {
		rows = append(rows, []string{m.Name, bytesOf(m.Size), keptFor(m), strings.TrimPrefix(m.File, t.Tables+"/")})
	}
	list(t, "Modules", "MODULE SIZE FOR FILE", rows)
}

// keptFor is what a module is kept for, in a few words.
func keptFor(m *trim.Module) string {
	switch {
	case m.Added:
		return "--add"
	case len(m.Lines) > 0:
		return "modules-load.d: " + path.Base(place(m.Lines[0]))
	case len(m.Devices) > 0:
		d := m.Devices[0]
		return andMore(strings.TrimSpace(d.Subsystem+" "+path.Base(d.Path)), len(m.Devices)-1)
	case len(m.Needed) > 0:
		return andMore("needed by "+m.Needed[0], len(m.Needed)-1)
	case len(m.Softdep) > 0:
		return andMore("softdep of "+m.Softdep[0], len(m.Softdep)-1)
	case len(m.Weakdep) > 0:
		return andMore("weakdep of "+m.Weakdep[0], len(m.Weakdep)-1)
	case len(m.Loaded) > 0:
		return andMore("was in: "+m.Loaded[0], len(m.Loaded)-1)
	}
	return "-"
}

func (t *trimText) files() {
	var rows [][]string
	dir := path.Join(t.Tables, "../../firmware") + "/"
	for _, f := range t.Firmware {
		rows = append(rows, []string{strings.TrimPrefix(f.File, dir), bytesOf(f.Size), manyWords(f.Modules)})
	}
	list(t, "Firmware", "FILE SIZE NAMED_BY", rows)
}

func (t *trimText) refused() (lines []string) {
	for _, r := range t.Refused {
		lines = append(lines, r.Board)
		for _, line := range againstEach([]control.Refusal{r.Refusal}) {
			lines = append(lines, "  "+line)
		}
	}
	return lines
}

func (t *trimText) unknown() (lines []string) {
	for _, u := range t.Unknown {
		lines = append(lines, fmt.Sprintf("%s (%s)", u.Module, manyWords(u.Boards)))
	}
	return lines
}

func (t *trimText) summary() string {
	s := t.Summary
	says := fmt.Sprintf("Modules: %d of %d, %s of %s. Firmware: %s, %s of %s", s.Modules, s.Installed, bytesOf(s.ModuleBytes), bytesOf(s.InstalledBytes),
		plural(uint64(s.Firmware), "file"), bytesOf(s.FirmwareBytes), bytesOf(s.InstalledFirmwareBytes))
	if n := len(t.Missing); n > 0 {
		says += fmt.Sprintf("; of %s that they have, nothing is installed", plural(uint64(n), "more name"))
	}
	return says + fmt.Sprintf(".\n%s are saved.", bytesOf(s.Saved))
}
