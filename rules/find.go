package rules

import (
	"strings"

	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// A found is one module that a name leads to.
type found struct {
	module  string
	alias   string // by which it was reached, "" if by its own name
	because Reason

	// install is the line of exactly this name that it was found by. It counts
	// even where the pattern of an earlier one matches.
	install *modprobed.Command
}

// find looks a name up in the seven places. The name has the form of
// modalias.Normalize.
func (s *Set) find(name string) []found {
	list, _ := s.search(name)
	return list
}

// The places, in the order of the search.
const (
	inConfig = iota
	inModules
	inSymbols
	inCommands
)

var places = [...]func(*Set, string) []found{
	(*Set).inConfig,
	(*Set).inModules,
	(*Set).inSymbols,
	(*Set).inCommands,
	(*Set).inAliases,
	(*Set).inBuiltins,
	(*Set).inBuiltinAliases,
}

// search is find, and says which of the places knew the name.
func (s *Set) search(name string) (list []found, at int) {
	for at, look := range places {
		if list := look(s, name); len(list) > 0 {
			return list, at
		}
	}
	return nil, len(places)
}

func (s *Set) inConfig(name string) (list []found) {
	for i := range s.config.Aliases {
		a := &s.config.Aliases[i]
		if modalias.Match(a.Pattern, name) {
			list = append(list, found{module: a.Module, alias: a.Pattern, because: reason(a.Rule)})
		}
	}
	return list
}

func (s *Set) inModules(name string) []found {
	if strings.IndexByte(name, ':') >= 0 {
		return nil
	}
	m := s.module(name)
	if m == nil {
		return nil
	}
	return []found{{module: m.Name, because: Reason{m.Origin.File, m.Line, m.Name + " is the name of a module"}}}
}

func (s *Set) inSymbols(name string) []found {
	if !strings.HasPrefix(name, "symbol:") {
		return nil
	}
	return hits(name, s.tables.Symbols(nil, name))
}

// inCommands finds what install and remove lines name. As for modprobe the name
// of the module ends at a dot, which that of the line need not.
func (s *Set) inCommands(name string) []found {
	module := modalias.ModuleName(name)
	if c, ok := s.config.InstallOf(name); ok {
		return []found{{module: module, because: reason(c.Rule), install: c}}
	}
	if c, ok := s.config.RemoveOf(name); ok {
		return []found{{module: module, because: reason(c.Rule)}}
	}
	return nil
}

func (s *Set) inAliases(name string) []found { return hits(name, s.tables.Aliases(nil, name)) }

func (s *Set) inBuiltins(name string) []found {
	at, ok := s.tables.Builtin(name)
	if !ok {
		return nil
	}
	return []found{{module: name, because: Reason{at.File, at.Line, name + " is built in"}}}
}

func (s *Set) inBuiltinAliases(name string) []found {
	return hits(name, s.tables.BuiltinAliases(nil, name))
}

func hits(name string, list []match.Hit) []found {
	if len(list) == 0 {
		return nil
	}
	out := make([]found, len(list))
	for i, h := range list {
		out[i] = found{module: h.Module, alias: name, because: Reason{h.Origin.File, h.Line, h.Rule}}
	}
	return out
}
