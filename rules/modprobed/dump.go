package modprobed

import (
	"fmt"
	"io"
	"strings"
)

// Dump writes the statements in the form and the order of modprobe -c: by kind,
// and those of a kind in reading order. It returns the first error of w.
func (c *Config) Dump(w io.Writer) error {
	var b strings.Builder
	for _, s := range c.Blacklists {
		statement(&b, "blacklist", s.Module)
	}
	for _, s := range c.Installs {
		statement(&b, "install", s.Pattern, s.Shell)
	}
	for _, s := range c.Removes {
		statement(&b, "remove", s.Pattern, s.Shell)
	}
	for _, s := range c.Aliases {
		statement(&b, "alias", s.Pattern, s.Module)
	}
	for _, s := range c.Options {
		statement(&b, "options", s.Name, s.Values)
	}
	for _, s := range c.Softdeps {
		statement(&b, "softdep", s.Pattern, c.softdepText(s))
	}
	for _, s := range c.Weakdeps {
		statement(&b, "weakdep", s.Pattern, strings.Join(s.Modules, " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func statement(b *strings.Builder, words ...string) {
	fmt.Fprintln(b, strings.Join(words, " "))
}

// softdepText is what a softdep names. kmod 30 leaves out the blank in the
// middle.
func (c *Config) softdepText(s Softdep) string {
	between := " "
	if c.Dialect == Kmod {
		between = ""
		s.Pre, s.Post = c.softdepSpans(s)
	}
	var parts []string
	if len(s.Pre) > 0 {
		parts = append(parts, "pre: "+strings.Join(s.Pre, " "))
	}
	if len(s.Post) > 0 {
		parts = append(parts, "post: "+strings.Join(s.Post, " "))
	}
	return strings.Join(parts, between)
}

// softdepSpans returns what kmod prints for either kind: all names from the first
// to the last one of it, those of the other kind between them included.
func (c *Config) softdepSpans(s Softdep) (pre, post []string) {
	_, rest := word(s.Text)
	_, rest = word(rest)
	var names []string
	var first, end [2]int
	for name, after := range c.softdepNames(rest) {
		names = append(names, name)
		kind := 0
		if after {
			kind = 1
		}
		if end[kind] == 0 {
			first[kind] = len(names) - 1
		}
		end[kind] = len(names)
	}
	return names[first[0]:end[0]], names[first[1]:end[1]]
}
