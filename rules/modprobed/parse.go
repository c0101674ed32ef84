package modprobed

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/kmodd/kmodd/modalias"
)

const blanks = " \t"

// readFile adds what the text of a file says.
func (c *Config) readFile(name, text string) {
	number := 0
	for text != "" {
		first := number + 1
		var line string
		var lines int
		line, text, lines = c.nextLine(text)
		line, _, _ = strings.Cut(line, "\x00") // where a C string ends
		number += lines
		if c.isSilent(line) {
			continue
		}
		if err := c.statement(line, Rule{name, first, strings.Trim(line, blanks)}); err != nil {
			c.warn(name, first, "line skipped: %v", err)
		}
	}
}

// isSilent reports whether a line is empty, or a comment, which for kmod can't
// be indented.
func (c *Config) isSilent(line string) bool {
	bare := strings.TrimLeft(line, blanks)
	return bare == "" || line[0] == '#' || bare[0] == '#' && c.Dialect == Kmodd
}

// nextLine takes a line from text, with those that continue it, and counts
// them. A backslash that isn't before the end of a line leaves the byte after
// it, as in modprobe.
func (c *Config) nextLine(text string) (line, rest string, lines int) {
	end := strings.IndexByte(text, '\n')
	if end < 0 {
		end = len(text)
	}
	if strings.IndexByte(text[:end], '\\') < 0 {
		return text[:end], text[min(end+1, len(text)):], 1
	}
	var b strings.Builder
	lines = 1
	for i := 0; i < len(text); i++ {
		next := text[i]
		if next == '\n' {
			return b.String(), text[i+1:], lines
		}
		if next == '\\' {
			i++
			if next = c.escaped(text, i); next == '\n' {
				lines++
				continue
			}
		}
		b.WriteByte(next)
	}
	return b.String(), "", lines
}

// escaped returns the byte after a backslash. Where the file ends kmod takes
// the end for a byte, which is -1.
func (c *Config) escaped(text string, i int) byte {
	switch {
	case i < len(text):
		return text[i]
	case c.Dialect == Kmod:
		return 0xff
	}
	return '\\'
}

// statement adds what one line says.
func (c *Config) statement(line string, r Rule) error {
	command, rest := word(line)
	add := c.adder(command)
	if add == nil {
		return fmt.Errorf("no such statement: %q", command)
	}
	name, rest := word(rest)
	if name == "" {
		return fmt.Errorf("%s of what?", command)
	}
	if c.Dialect == Kmodd {
		rest = strings.Trim(rest, blanks)
	}
	name, err := modalias.NormalizeConfigured(name)
	if err != nil {
		return err
	}
	return add(name, rest, r)
}

// adder returns what adds statements of one kind, given the name or pattern
// that they are about and the rest of the line.
func (c *Config) adder(command string) func(name, rest string, r Rule) error {
	switch command {
	case "alias":
		return c.addAlias
	case "options":
		return c.addOptions
	case "blacklist":
		return func(name, _ string, r Rule) error {
			c.Blacklists = append(c.Blacklists, Blacklist{name, r})
			return nil
		}
	case "install":
		return func(name, rest string, r Rule) error { return addCommand(&c.Installs, name, rest, r) }
	case "remove":
		return func(name, rest string, r Rule) error { return addCommand(&c.Removes, name, rest, r) }
	case "softdep":
		return c.addSoftdep
	case "weakdep":
		return func(name, rest string, r Rule) error {
			c.Weakdeps = append(c.Weakdeps, Weakdep{name, words(rest), r})
			return nil
		}
	case "include", "config":
		return func(_, _ string, _ Rule) error {
			return fmt.Errorf("%s is not done any more: put a file into modprobe.d", command)
		}
	}
	return nil
}

func (c *Config) addAlias(name, rest string, r Rule) error {
	target, _ := word(rest)
	if target == "" {
		return errors.New("alias without a module")
	}
	target, err := modalias.NormalizeConfigured(target)
	if err != nil {
		return err
	}
	c.Aliases = append(c.Aliases, Alias{name, target, r})
	return nil
}

func (c *Config) addOptions(name, rest string, r Rule) error {
	if rest == "" {
		return errors.New("options without any")
	}
	c.Options = append(c.Options, Options{name, untabbed(rest), r})
	return nil
}

// untabbed is options without tabs: modprobe makes them blanks, even in quotes.
func untabbed(values string) string { return strings.ReplaceAll(values, "\t", " ") }

func addCommand(list *[]Command, name, rest string, r Rule) error {
	if rest == "" {
		return errors.New("no command")
	}
	*list = append(*list, Command{name, rest, r})
	return nil
}

func (c *Config) addSoftdep(name, rest string, r Rule) error {
	if rest == "" {
		return errors.New("softdep on nothing")
	}
	s := Softdep{Pattern: name, Rule: r}
	for w, after := range c.softdepNames(rest) {
		if after {
			s.Post = append(s.Post, w)
		} else {
			s.Pre = append(s.Pre, w)
		}
	}
	c.Softdeps = append(c.Softdeps, s)
	return nil
}

// softdepNames goes through the names behind "pre:" and "post:", each a word of
// its own. Names before either mean nothing: modules write such lines for
// dracut's sake.
func (c *Config) softdepNames(rest string) iter.Seq2[string, bool] {
	return func(yield func(name string, after bool) bool) {
		kind := ""
		for _, w := range c.softdepWords(rest) {
			switch {
			case w == "pre:", w == "post:":
				kind = w
			case kind != "" && !yield(w, kind == "post:"):
				return
			}
		}
	}
}

// softdepWords splits what a softdep line says behind its name. kmod takes a
// single blank too many for part of the first word.
func (c *Config) softdepWords(rest string) []string {
	all := words(rest)
	if len(all) > 0 && c.Dialect == Kmod && strings.Index(rest, all[0]) == 1 {
		all[0] = rest[:1] + all[0]
	}
	return all
}

// word cuts the first word off a line, and the one blank after it.
func word(line string) (word, rest string) {
	line = strings.TrimLeft(line, blanks)
	end := strings.IndexAny(line, blanks)
	if end < 0 {
		return line, ""
	}
	return line[:end], line[end+1:]
}

// words splits at what C's isspace says is whitespace.
func words(line string) []string {
	return strings.FieldsFunc(line, func(r rune) bool { return r < 0x80 && strings.ContainsRune(cmdlineBlanks, r) })
}
