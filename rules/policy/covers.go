package policy

import (
	"slices"
	"strings"

	"github.com/kmodd/kmodd/modalias"
)

// Covers tells whether a rule is known to hold whenever another one does. That
// it does can't be told of every two patterns: false may be wrong, true is not.
func (r *Rule) Covers(other *Rule) bool {
	return covers(r.Class, other.Class) &&
		covers(r.Module, other.Module) &&
		covers(r.Modalias, other.Modalias) &&
		covers(r.Subsystem, other.Subsystem) &&
		!slices.ContainsFunc(r.Env, func(v Variable) bool { return !v.coversOneOf(other.Env) })
}

// covers tells whether a condition holds whenever a narrower one does: one that
// is not there always holds.
func covers(wide, narrow []string) bool {
	if len(wide) == 0 {
		return true
	}
	uncovered := func(pattern string) bool {
		return !slices.ContainsFunc(wide, func(w string) bool { return coversPattern(w, pattern) })
	}
	return len(narrow) > 0 && !slices.ContainsFunc(narrow, uncovered)
}

// coversPattern tells whether a pattern matches all that another one does: the
// same one, a plain name that it matches, or one that goes on where it ends with
// the only "*".
func coversPattern(wide, narrow string) bool {
	if wide == narrow {
		return true
	}
	if !strings.ContainsAny(narrow, `*?[\`) {
		return modalias.Match(wide, narrow)
	}
	prefix, star := strings.CutSuffix(wide, "*")
	return star && !strings.ContainsAny(prefix, `*?[\`) && strings.HasPrefix(narrow, prefix)
}

func (v Variable) coversOneOf(narrow []Variable) bool {
	return slices.ContainsFunc(narrow, func(n Variable) bool { return n.Name == v.Name && coversPattern(v.Pattern, n.Pattern) })
}
