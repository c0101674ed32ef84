package depmod

import (
	"fmt"
	"regexp"
	"strings"
)

// A Config is what files of depmod.d(5) say. The zero value says nothing. Read
// adds to it; after that it is safe for concurrent use.
type Config struct {
	searches  []search   // the most important first
	overrides []override // later ones come before earlier ones
	externals []string   // directories, in the order of the lines
	excludes  []string   // names of files and folders that are passed over
}

// A search is a word of a search line.
type search struct {
	kind searchKind
	dir  string // below the directory of the modules
}

type searchKind int

const (
	inDirectory searchKind = iota
	inExternals            // "external": where external lines say
	elsewhere              // "built-in": in no directory that has a word of its own
)

// An override is where the file of a module is that comes before all others of
// its name: directory and name, without what comes after the first dot.
type override string

// usual is how files are chosen if nobody says it.
var usual = []search{{dir: "updates"}}

// Read adds what the text of a file says for a kernel of some release. What it
// can't understand it skips, and returns a message for it.
func (c *Config) Read(file, text, release string) (messages []Message) {
	number := 0
	for text != "" {
		var line string
		var lines int
		line, text, lines = logicalLine(text)
		number += lines
		if level, says := c.line(line, release); says != "" {
			messages = append(messages, Message{level, fmt.Sprintf("%s:%d: %s", file, number, says)})
		}
	}
	return messages
}

// logicalLine takes a line from a text, and says how many it was written on. A
// backslash makes the byte after it stand for itself, and a line break go away.
func logicalLine(text string) (line, rest string, lines int) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\n':
			return b.String(), text[i+1:], lines + 1
		case c == '\\' && i+1 < len(text):
			if i++; text[i] == '\n' {
				lines++
				continue
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", lines + 1
}

// line adds what a line says, and returns what is to be said of it.
func (c *Config) line(line, release string) (Level, string) {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 || words[0][0] == '#' {
		return 0, ""
	}
	command, words := words[0], words[1:]
	switch command {
	case "search":
		c.search(words)
	case "exclude":
		c.excludes = append(c.excludes, words...)
	case "override":
		if len(words) >= 3 {
			return c.override(words[0], words[1], words[2], release)
		}
		return Error, "override line skipped: not \"override MODULE KERNEL DIRECTORY\""
	case "external":
		if len(words) >= 2 {
			return c.external(words[0], words[1:], release)
		}
		return Error, "external line skipped: not \"external KERNEL DIRECTORY\""
	case "include", "make_map_files":
		return Info, command + " is an old command, and does nothing"
	default:
		return Error, fmt.Sprintf("line skipped: %q is no command; depmod.d(5) says which there are", command)
	}
	return 0, ""
}

func (c *Config) search(words []string) {
	for _, word := range words {
		switch word {
		case "external":
			c.searches = append(c.searches, search{kind: inExternals})
		case "built-in":
			c.searches = append(c.searches, search{kind: elsewhere})
		default:
			c.searches = append(c.searches, search{dir: word})
		}
	}
}

func (c *Config) override(module, pattern, dir, release string) (Level, string) {
	level, says := matches(pattern, release)
	if says == "" {
		c.overrides = append(c.overrides, override(dir+"/"+module))
	}
	return level, says
}

// external takes one directory. The manual page speaks of several, and kmod has
// never looked at the others.
func (c *Config) external(pattern string, dirs []string, release string) (Level, string) {
	if level, says := matches(pattern, release); says != "" {
		return level, says
	}
	c.externals = append(c.externals, dirs[0])
	if len(dirs) > 1 {
		return Warning, fmt.Sprintf("only the first directory counts, %s: give the others lines of their own", dirs[0])
	}
	return 0, ""
}

// matches says why a line is not for a kernel, "" if it is.
func matches(pattern, release string) (Level, string) {
	if pattern == "*" {
		return 0, ""
	}
	expression, err := regexp.CompilePOSIX(pattern)
	switch {
	case err != nil:
		return Warning, fmt.Sprintf("line skipped: its kernel is no regular expression: %v", err)
	case !expression.MatchString(release):
		return Info, fmt.Sprintf("line skipped: kernel %s is not one of %s", release, pattern)
	}
	return 0, ""
}

// excluded says whether what has this name in a directory is passed over.
func (c *Config) excluded(name string) bool {
	if name == "build" || name == "source" { // links to the kernel's sources
		return true
	}
	for _, exclude := range c.excludes {
		if name == exclude {
			return true
		}
	}
	return false
}
