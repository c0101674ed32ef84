package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/daemon/kernel"
)

// print prints for people: facts first, then lists, the longest one last.
func (m *moduleInfo) print(w io.Writer) error {
	out := bufio.NewWriter(w)
	title := m.Name
	if m.Description != "" {
		title += ": " + oneLine(m.Description)
	}
	fmt.Fprintln(out, title)
	m.facts(facts{out})
	m.lists(out)
	return out.Flush()
}

func (m *moduleInfo) facts(f facts) {
	f.say("file", "%s", cmp.Or(m.File, "none: it is built into the kernel"))
	if m.File != "" {
		f.say("size", "%s", m.size())
	}
	if state := m.stateWords(); state != "" {
		f.say("state", "%s", state)
	}
	if m.Version != "" {
		f.say("version", "%s", m.Version)
	}
	f.say("licence", "%s", m.licence())
	for i, t := range m.Taints {
		label := "taints"
		if i > 0 {
			label = ""
		}
		f.say(label, "%s: %s", t.Letter, cmp.Or(t.Says, "see Documentation/admin-guide/tainted-kernels.rst"))
	}
	for _, author := range m.Authors {
		f.say("author", "%s", oneLine(author))
	}
	if m.VerMagic != "" {
		f.say("built for", "%s, %s", m.Arch, m.VerMagic)
	}
	if m.File != "" {
		f.say("signed", "%s", m.Signature.words())
	}
	m.relations(f)
	for _, ids := range m.IDs {
		f.say("ids", "%d, each of %s", ids.Count, ids.Says)
	}
	if len(m.Aliases) > 0 {
		f.say("aliases", "%s", strings.Join(m.Aliases, " "))
	}
	if len(m.Firmware) > 0 {
		f.say("firmware", "%s", m.firmwareWords())
	}
}

// size is what the module takes, on disk and in memory.
func (m *moduleInfo) size() string {
	text := bytesOr(m.OnDisk, "0 KiB") + " on disk"
	if m.Packing != "" {
		text += fmt.Sprintf(" (%s; %s unpacked)", m.Packing, bytesOr(m.Unpacked, "0 KiB"))
	}
	if m.InMemory > 0 {
		return text + ", " + bytesOr(m.InMemory, "") + " in memory"
	}
	return text + ", some " + bytesOr(m.Takes, "0 KiB") + " in memory when it is in"
}

func (m *moduleInfo) stateWords() string {
	switch m.State {
	case "", builtIn:
		return ""
	case kernel.Absent:
		return "not in the kernel"
	case kernel.Live:
	default:
		return string(m.State)
	}
	text := string(m.State)
	if m.References != nil {
		text += fmt.Sprintf(", %s", plural(uint64(*m.References), "reference"))
	}
	if len(m.Holders) > 0 {
		text += ", used by " + strings.Join(m.Holders, ", ")
	}
	return text
}

func (m *moduleInfo) licence() string {
	switch {
	case m.Licence == "" && m.File == "":
		return "that of the kernel"
	case m.Licence == "":
		return "none is named, so it is proprietary to the kernel, and may not use what is exported for GPL modules"
	case m.GPL:
		return m.Licence + ", so it may use all that is exported"
	}
	return m.Licence + ": proprietary to the kernel, so it may not use what is exported for GPL modules"
}

// relations say what it needs and who needs it.
func (m *moduleInfo) relations(f facts) {
	if len(m.Depends) > 0 {
		f.say("needs", "%s", strings.Join(m.Depends, ", "))
	}
	if further := without(m.Needs, m.Depends); len(further) > 0 {
		f.say("", "and through them %s", strings.Join(further, ", "))
	}
	for _, s := range m.Softdeps {
		f.say("softdep", "%s", s)
	}
	if len(m.NeededBy) > 0 {
		f.say("needed by", "%s", manyWords(m.NeededBy))
	}
	if len(m.Imports) > 0 {
		f.say("imports", "symbols of the namespaces %s", strings.Join(m.Imports, ", "))
	}
}

func without(all, some []string) (rest []string) {
	known := make(map[string]bool)
	for _, s := range some {
		known[s] = true
	}
	for _, s := range all {
		if !known[s] {
			rest = append(rest, s)
		}
	}
	return rest
}

// manyWords are the first ones of what may be hundreds.
func manyWords(names []string) string {
	const most = 8
	if len(names) <= most+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func (m *moduleInfo) firmwareWords() string {
	var missing []string
	for _, f := range m.Firmware {
		if !f.Installed {
			missing = append(missing, f.Name)
		}
	}
	text := plural(uint64(len(m.Firmware)), "file")
	if len(missing) == 0 {
		return text + ", installed"
	}
	return fmt.Sprintf("%s, of which %d not installed: %s", text, len(missing), manyWords(missing))
}

func (s *signatureInfo) words() string {
	switch {
	case s == nil:
		return "by nobody"
	case s.Kind == "":
		return "in a way that can't be read: " + s.Says
	}
	text := fmt.Sprintf("by %s (%s, %s, key %s)", cmp.Or(s.Signer, "a key without a name"), s.Kind, s.Hash, s.KeyID)
	switch {
	case s.Good == nil:
		return text + ", not verified"
	case *s.Good:
		return text + ": good"
	}
	return text + ": not good: " + s.Says
}

// lists print what comes in rows.
func (m *moduleInfo) lists(w io.Writer) {
	var found, exported [][]string
	for _, d := range m.Devices {
		found = append(found, []string{d.Path, d.Driver, cmp.Or(d.Says, d.Modalias)})
	}
	list(w, "Devices here that it is for", "DEVICE DRIVER IS", found)
	heading, rows := m.parameterRows()
	list(w, "Parameters", heading, rows)
	for _, e := range m.Exports {
		use := "all modules"
		if e.GPL {
			use = "GPL modules"
		}
		exported = append(exported, []string{e.Name, use, e.Namespace})
	}
	list(w, "Exported symbols", "SYMBOL FOR NAMESPACE", exported)
}

// parameterRows have a column for values where there are any.
func (m *moduleInfo) parameterRows() (heading string, rows [][]string) {
	heading = "PARAMETER TYPE SAYS"
	if slices.ContainsFunc(m.Parameters, func(p parameterInfo) bool { return p.Value != nil }) {
		heading = "PARAMETER TYPE NOW SAYS"
	}
	for _, p := range m.Parameters {
		row := []string{p.Name, p.Type, oneLine(p.Says)}
		switch {
		case p.Value != nil:
			row = slices.Insert(row, 2, cmp.Or(oneLine(*p.Value), `""`))
		case strings.Contains(heading, "NOW"):
			row = slices.Insert(row, 2, "not shown")
		}
		rows = append(rows, row)
	}
	return heading, rows
}

// list prints rows below a title, and nothing if there are none.
func list(w io.Writer, title, heading string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	_ = table(w, heading, rows) // which goes into memory
}
