package modprobed

import (
	"iter"
	"strings"

	"github.com/kmodd/kmodd/modalias"
)

const cmdlineBlanks = " \t\n\v\f\r"

// readCommandLine adds what a kernel command line says about modules: words of
// the form module.parameter or module.parameter=value, modprobe.blacklist= and
// the kernel's own module_blacklist=. All other words are somebody else's.
func (c *Config) readCommandLine(line string) {
	for w := range Words(line) {
		r := Rule{File: KernelCommandLine, Text: w}
		if c.Dialect == Kmod {
			c.addAsKmod(r)
			continue
		}
		key, value, _ := strings.Cut(strings.Trim(w, `"`), "=")
		switch strings.ReplaceAll(key, "-", "_") {
		case "modprobe.blacklist":
			c.addBlacklists(strings.Trim(value, `"`), r)
		case "module_blacklist":
			// Of several the kernel keeps the last, and it compares names as
			// they are (blacklisted in kernel/module/main.c).
			c.KernelRefuses = nil
			for name := range strings.SplitSeq(strings.Trim(value, `"`), ",") {
				c.KernelRefuses = append(c.KernelRefuses, Blacklist{name, r})
			}
		default:
			c.addParameter(r)
		}
	}
}

// addAsKmod adds a word as kmod understands it. It takes the names in
// modprobe.blacklist= as they are, quotes included, and has nothing against
// names that are empty.
func (c *Config) addAsKmod(r Rule) {
	module, option, ok := parameter(r.Text)
	names, blacklist := strings.CutPrefix(option, "blacklist=")
	switch {
	case ok && module == "modprobe" && blacklist:
		for name := range strings.SplitSeq(names, ",") {
			c.Blacklists = append(c.Blacklists, Blacklist{name, r})
		}
	case ok:
		c.addOption(module, option, r)
	}
}

// addBlacklists adds the names in the value of modprobe.blacklist=.
func (c *Config) addBlacklists(names string, r Rule) {
	for name := range strings.SplitSeq(names, ",") {
		module, err := modalias.NormalizeConfigured(name)
		if err != nil {
			c.warn(r.File, 0, "not blacklisted: %v", err)
			continue
		}
		c.Blacklists = append(c.Blacklists, Blacklist{module, r})
	}
}

// addParameter adds a module's parameter, if the word is one.
func (c *Config) addParameter(r Rule) {
	module, option, ok := parameter(r.Text)
	if !ok || module == "" || option == "" || option[0] == '=' {
		return
	}
	c.addOption(module, option, r)
}

func (c *Config) addOption(module, option string, r Rule) {
	name, err := modalias.NormalizeConfigured(module)
	if err != nil {
		c.warn(r.File, 0, "%s skipped: %v", r.Text, err)
		return
	}
	c.Options = append(c.Options, Options{name, untabbed(option), r})
}

// parameter splits a word of the form module.parameter[=value]. Quotes may
// stand around the value, or around the whole word: boot loaders move them
// there. The option has them around the value, where the kernel's parser of
// parameters wants them.
func parameter(word string) (module, option string, ok bool) {
	w, quoted := strings.CutPrefix(word, `"`)
	key, value, hasValue := strings.Cut(w, "=")
	module, param, ok := strings.Cut(key, ".")
	switch {
	case !ok || strings.ContainsAny(key, `"`+cmdlineBlanks):
		return "", "", false
	case strings.Contains(param, "."):
		return "", "", false
	case strings.Count(word, `"`)%2 != 0:
		return "", "", false
	case !hasValue:
		return module, param, true
	case quoted:
		return module, param + `="` + value, true
	default:
		return module, param + "=" + value, true
	}
}

// A Word is one of a kernel command line, quotes included. Of a parameter Module
// is the name, with underscores, and Option is what modprobe.d would call it; of
// a list of modules that are refused both are empty.
type Word struct{ Text, Module, Option string }

// Heeded returns the words of a kernel command line that say something about
// modules.
func Heeded(line string) (words []Word) {
	for w := range Words(line) {
		c := new(Config)
		c.readCommandLine(w)
		switch {
		case len(c.Options) > 0:
			words = append(words, Word{w, c.Options[0].Name, c.Options[0].Values})
		case len(c.Blacklists)+len(c.KernelRefuses) > 0:
			words = append(words, Word{Text: w})
		}
	}
	return words
}

// Words goes through the words of a kernel command line, quotes included.
func Words(line string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for w, rest := cmdlineWord(line); w != "" && yield(w); w, rest = cmdlineWord(rest) {
		}
	}
}

// cmdlineWord takes the next word from a kernel command line. Blanks between
// quotes do not end it.
func cmdlineWord(line string) (word, rest string) {
	line = strings.TrimLeft(line, cmdlineBlanks)
	quoted := false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(cmdlineBlanks, line[i]) >= 0:
			return line[:i], line[i:]
		}
	}
	return line, ""
}
