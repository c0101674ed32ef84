package depmod

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/kmodd/kmodd/match/index"
	"github.com/kmodd/kmodd/modalias"
)

// Tables are what a tree's files say, put together. They are immutable, and safe
// for concurrent use as far as their listener is.
type Tables struct {
	tree     Tree
	listener Listener
	modules  []*module
	symbols  *symbols
	begun    time.Time // when the tree began to be read
}

// A table is one of the files.
type table struct {
	name string
	// optional is a table that is no file if nothing is in it.
	optional bool
	// text and binary make it; one of them is nil.
	text   func(*Tables, *bytes.Buffer, Listener)
	binary func(*Tables, Listener) ([]index.Entry, error)
}

// files are all, in depmod's order.
var files = []table{
	{name: "modules.dep", text: (*Tables).dep},
	{name: "modules.dep.bin", binary: (*Tables).depIndex},
	{name: "modules.alias", text: (*Tables).alias},
	{name: "modules.alias.bin", binary: (*Tables).aliasIndex},
	{name: "modules.softdep", text: (*Tables).softdep},
	{name: "modules.weakdep", optional: true, text: (*Tables).weakdep},
	{name: "modules.symbols", text: (*Tables).symbol},
	{name: "modules.symbols.bin", binary: (*Tables).symbolIndex},
	{name: "modules.builtin.bin", binary: (*Tables).builtinIndex},
	{name: "modules.builtin.alias.bin", binary: (*Tables).builtinAliasIndex},
	{name: "modules.devname", text: (*Tables).devname},
}

// Print writes the tables that are text, one after the other.
func (t *Tables) Print(to io.Writer) error {
	for _, of := range files {
		if of.text == nil {
			continue
		}
		var b bytes.Buffer
		of.text(t, &b, t.listener)
		if _, err := to.Write(b.Bytes()); err != nil {
			return fmt.Errorf("print %s: %w", of.name, err)
		}
	}
	return nil
}

// make makes the bytes of a file.
func (of table) make(t *Tables, l Listener) ([]byte, error) {
	if of.text != nil {
		var b bytes.Buffer
		of.text(t, &b, l)
		return b.Bytes(), nil
	}
	entries, err := of.binary(t, l)
	if err != nil { // of what the kernel's makefiles should have left; depmod has an empty file then
		l.say(Warning, "%v", err)
		return nil, nil
	}
	data, err := index.Write(entries)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", of.name, err)
	}
	return data, nil
}

// needs calls visit for each module with its line in modules.dep, which names
// the files that it needs. The bytes are its own only until visit returns.
func (t *Tables) needs(visit func(m *module, line []byte)) {
	c := newClosure(t.modules)
	var line []byte
	for _, m := range t.modules {
		line = append(append(line[:0], m.listed...), ':')
		for _, n := range c.of(m) {
			line = append(append(line, ' '), n.listed...)
		}
		visit(m, line)
	}
}

func (t *Tables) dep(b *bytes.Buffer, _ Listener) {
	t.needs(func(_ *module, line []byte) {
		b.Write(line)
		b.WriteByte('\n')
	})
}

func (t *Tables) depIndex(l Listener) ([]index.Entry, error) {
	x := indexer{said: l}
	t.needs(func(m *module, line []byte) { x.add(m.name, m.index, string(line)) })
	return x.entries, nil
}

// fields calls line for each value of a field.
func (t *Tables) fields(key string, line func(module, value string)) {
	for _, m := range t.modules {
		for value := range m.each(key) {
			line(m.name, value)
		}
	}
}

func (t *Tables) alias(b *bytes.Buffer, l Listener) {
	b.WriteString("# Aliases extracted from modules themselves.\n")
	t.fields("alias", func(module, value string) { fmt.Fprintf(b, "alias %s %s\n", value, module) })
}

func (t *Tables) aliasIndex(l Listener) ([]index.Entry, error) {
	x := indexer{said: l}
	if t.tree.Duplicates {
		x.seen = make(map[string]int)
	}
	for _, m := range t.modules {
		for value := range m.each("alias") {
			key, err := modalias.Normalize(value)
			if err != nil {
				l.say(Warning, "%s: alias skipped: %v", m.path, err)
				continue
			}
			x.add(key, m.index, m.name)
		}
	}
	return x.entries, nil
}

func (t *Tables) softdep(b *bytes.Buffer, _ Listener) {
	b.WriteString("# Soft dependencies extracted from modules themselves.\n")
	t.fields("softdep", func(module, value string) { fmt.Fprintf(b, "softdep %s %s\n", module, value) })
}

// weakdep writes nothing if no module has the field: depmod writes the file
// since version 33, and Debian's does not.
func (t *Tables) weakdep(b *bytes.Buffer, _ Listener) {
	t.fields("weakdep", func(module, value string) {
		if b.Len() == 0 {
			b.WriteString("# Weak dependencies extracted from modules themselves.\n")
		}
		fmt.Fprintf(b, "weakdep %s %s\n", module, value)
	})
}

func (t *Tables) symbol(b *bytes.Buffer, _ Listener) {
	b.WriteString("# Aliases for symbols, used by symbol_request().\n")
	for _, o := range t.symbols.ofModules() {
		fmt.Fprintf(b, "alias symbol:%s %s\n", o.name, o.by.name)
	}
}

func (t *Tables) symbolIndex(l Listener) ([]index.Entry, error) {
	x := indexer{said: l}
	for _, o := range t.symbols.ofModules() {
		x.add("symbol:"+o.name, o.by.index, o.by.name)
	}
	return x.entries, nil
}

// An indexer gathers what goes into an index.
type indexer struct {
	entries []index.Entry
	said    Listener
	seen    map[string]int // by key, the priority that it was last added with; nil if that does not matter
}

// add adds an entry, or tells why the format can't hold it.
func (x *indexer) add(key string, priority int, text string) {
	e := index.Entry{Key: key, Priority: uint32(priority), Text: text}
	if err := e.Check(); err != nil {
		x.said.say(Warning, "entry skipped: %v", err)
		return
	}
	if x.seen != nil {
		if last, ok := x.seen[key]; ok && last == priority {
			x.said.say(Warning, "duplicate module alias: %s %s", key, text)
		}
		x.seen[key] = priority
	}
	x.entries = append(x.entries, e)
}
