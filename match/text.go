package match

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/match/index"
	"github.com/kmodd/kmodd/modalias"
)

// A line is what one line of a text table says.
type line struct {
	index.Entry
	number int
	err    error // why it says nothing
}

// eachLine calls parse with the lines that are neither empty nor comments. An
// entry's priority becomes the number of its line: depmod writes the text in
// the order of its priorities.
func eachLine(text string, parse func(string) (index.Entry, error)) []line {
	var lines []line
	number := 0
	for s := range strings.Lines(text) {
		number++
		s = strings.TrimSpace(s)
		if s == "" || s[0] == '#' {
			continue
		}
		e, err := parse(s)
		e.Priority = uint32(number)
		lines = append(lines, line{e, number, err})
	}
	return lines
}

// parseAlias reads modules.alias and modules.symbols. The text has patterns as
// the modules have them, the index has them normalized.
func parseAlias(text string) []line {
	return eachLine(text, func(s string) (index.Entry, error) {
		f := strings.Fields(s)
		if len(f) != 3 || f[0] != "alias" {
			return index.Entry{}, errors.New(`not "alias PATTERN MODULE"`)
		}
		key, err := modalias.Normalize(f[1])
		return index.Entry{Key: key, Text: f[2]}, err
	})
}

// parseDep reads modules.dep. The index has the whole line as the value of the
// module's name.
func parseDep(text string) []line {
	return eachLine(text, func(s string) (index.Entry, error) {
		file, _, ok := strings.Cut(s, ":")
		if !ok {
			return index.Entry{}, errors.New(`not "FILE: FILE..."`)
		}
		return index.Entry{Key: moduleOf(file), Text: s}, nil
	})
}

// parseBuiltin reads modules.builtin.
func parseBuiltin(text string) []line {
	return eachLine(text, func(s string) (index.Entry, error) {
		return index.Entry{Key: moduleOf(s)}, nil
	})
}

// parseModinfo takes the aliases from modules.builtin.modinfo, which is a
// sequence of "MODULE.KEY=VALUE", each ended by a NUL. As depmod does, it gives
// all of them one priority and has the later of two with one name first.
func parseModinfo(text string) []line {
	var lines []line
	number := 0
	for s := range strings.SplitSeq(text, "\x00") {
		number++
		module, rest, _ := strings.Cut(s, ".")
		alias, ok := strings.CutPrefix(rest, "alias=")
		if !ok {
			continue
		}
		key, err := modalias.Normalize(alias)
		lines = append(lines, line{index.Entry{Key: key, Text: module}, number, err})
	}
	slices.Reverse(lines)
	return lines
}

// moduleOf returns the name of the module in a file.
func moduleOf(file string) string { return modalias.ModuleName(path.Base(file)) }
