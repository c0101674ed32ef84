package depmod

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/match/index"
	"github.com/kmodd/kmodd/modalias"
)

// builtinIndex is of what modules.builtin lists.
func (t *Tables) builtinIndex(l Listener) ([]index.Entry, error) {
	const name = "modules.builtin"
	text, err := t.tree.read(name)
	if err != nil {
		return nil, err
	}
	x := indexer{said: l}
	modules, faults := readBuiltin(text)
	for _, module := range modules {
		x.add(module, 0, "")
	}
	for _, fault := range faults {
		l.say(Error, "%s/%s:%s", t.tree.Dir, name, fault)
	}
	return x.entries, nil
}

// readBuiltin reads modules.builtin, whose lines are the paths that the files
// would have. faults are the lines that it skipped, as NUMBER: WORDS.
func readBuiltin(text string) (modules, faults []string) {
	number := 0
	for line := range linesOf(text) {
		number++
		line, _, _ = strings.Cut(line, "\x00")
		file := path.Base("/" + strings.TrimSuffix(line, "\n"))
		if line == "" || !isLetter(line[0]) || strings.HasSuffix(line, "/\n") {
			faults = append(faults, fmt.Sprintf("%d: no path of a module, so skipped", number))
			continue
		}
		modules = append(modules, modalias.ModuleName(file))
	}
	return modules, faults
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// builtinAliasIndex is of the aliases in modules.builtin.modinfo. All have one
// priority, and as in depmod's list the later of two with one key comes first.
func (t *Tables) builtinAliasIndex(l Listener) ([]index.Entry, error) {
	const name = "modules.builtin.modinfo"
	text, err := t.tree.read(name)
	if err != nil {
		return nil, err
	}
	x := indexer{said: l}
	for _, a := range readModinfo(text) {
		key, err := modalias.Normalize(a.alias)
		if err != nil {
			l.say(Warning, "%s/%s: alias of %s skipped: %v", t.tree.Dir, name, a.module, err)
			continue
		}
		x.add(key, 0, a.module)
	}
	slices.Reverse(x.entries)
	return x.entries, nil
}

// A builtinAlias is an alias of a module that is part of the kernel.
type builtinAlias struct{ module, alias string }

// readModinfo takes the aliases from modules.builtin.modinfo, which is a sequence
// of MODULE.KEY=VALUE, each ended by a NUL. One that has no end is cut short, and
// does not count.
func readModinfo(text string) (aliases []builtinAlias) {
	for {
		item, rest, ended := strings.Cut(text, "\x00")
		if !ended {
			return aliases
		}
		text = rest
		module, field, _ := strings.Cut(item, ".")
		alias, ok := strings.CutPrefix(field, "alias=")
		if ok && module != "" && alias != "" {
			aliases = append(aliases, builtinAlias{module, alias})
		}
	}
}
