package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	toml "github.com/pelletier/go-toml/v2/unstable"

	"github.com/kmodd/kmodd/rules/modprobed"
)

// A reader is in the middle of a file. It takes the file's expressions as the
// TOML parser finds them, which knows where each stands: a decoder into structs
// would not tell the line of a key, and is ten times as large.
type reader struct {
	policy *Policy
	file   string
	parser toml.Parser

	table table // that the next keys belong to
	rule  *draft
	rules []*draft
	set   map[string]bool // the settings that were read

	bindTimeout, goneTimeout setting
	prediction               *bool
}

// A table is a kind of table of a file.
type table int

const (
	top table = iota
	ruleTable
	envTable
	strange // none that we know: its keys mean nothing
)

// A draft is a rule in the making.
type draft struct {
	*Rule
	given map[string]int // the line of each key
	bad   bool
}

// read adds what a file says, or nothing if it is no TOML.
func (p *Policy) read(f File) {
	r := &reader{policy: p, file: f.Name, set: make(map[string]bool)}
	before := len(p.Warnings)
	r.parser.Reset([]byte(f.Text))
	for r.parser.NextExpression() {
		r.expression(r.parser.Expression())
	}
	if err := r.parser.Error(); err != nil {
		p.Warnings = p.Warnings[:before]
		p.warn(place{f.Name, r.lineOfError(err)}, "%v: the file is left out as a whole", err)
		return
	}
	p.bindTimeout = p.bindTimeout.or(r.bindTimeout)
	p.goneTimeout = p.goneTimeout.or(r.goneTimeout)
	p.prediction = cmp.Or(p.prediction, r.prediction)
	for _, d := range r.rules {
		if r.complete(d); !d.bad {
			p.Rules = append(p.Rules, d.Rule)
		}
	}
}

func (p *Policy) warn(at place, format string, args ...any) {
	p.Warnings = append(p.Warnings, modprobed.Warning{File: at.File, Line: at.Line, Says: fmt.Sprintf(format, args...)})
}

func (r *reader) lineOfError(err error) int {
	if at, ok := errors.AsType[*toml.ParserError](err); ok {
		return r.parser.Shape(r.parser.Range(at.Highlight)).Start.Line
	}
	return 0
}

func (r *reader) line(n *toml.Node) int { return r.parser.Shape(n.Raw).Start.Line }

func (r *reader) expression(n *toml.Node) {
	keys, line := r.keys(n)
	switch n.Kind {
	case toml.ArrayTable:
		r.arrayTable(keys, line)
	case toml.Table:
		r.plainTable(keys, line)
	case toml.KeyValue:
		r.keyValue(r.table, r.rule, keys, line, n.Value())
	}
}

// keys returns the parts of an expression's key, and its line.
func (r *reader) keys(n *toml.Node) (keys []string, line int) {
	for it := n.Key(); it.Next(); {
		keys = append(keys, string(it.Node().Data))
		if line == 0 {
			line = r.line(it.Node())
		}
	}
	return keys, line
}

func (r *reader) arrayTable(keys []string, line int) {
	if len(keys) != 1 || keys[0] != "rule" {
		r.strangeTable(keys, line)
		return
	}
	r.table, r.rule = ruleTable, r.newRule(line)
}

func (r *reader) newRule(line int) *draft {
	d := &draft{Rule: &Rule{place: place{r.file, line}, has: make(map[Key]int)}, given: make(map[string]int)}
	r.rules = append(r.rules, d)
	return d
}

func (r *reader) plainTable(keys []string, line int) {
	if !slices.Equal(keys, []string{"rule", "env"}) || r.rule == nil {
		r.strangeTable(keys, line)
		return
	}
	r.table = envTable
}

// strangeTable warns of a table that we don't know. One below a rule belongs to
// that rule.
func (r *reader) strangeTable(keys []string, line int) {
	r.table = strange
	r.policy.warn(place{r.file, line}, "there is no table %q; rules begin with [[rule]]", strings.Join(keys, "."))
	if keys[0] == "rule" && r.rule != nil {
		r.rule.bad = true
	}
}

func (r *reader) keyValue(t table, d *draft, keys []string, line int, value *toml.Node) {
	switch {
	case t == strange:
	case t == top && len(keys) == 1:
		r.topKey(keys[0], line, value)
	case t == ruleTable && len(keys) == 1:
		r.ruleKey(d, keys[0], line, value)
	case t == ruleTable && len(keys) == 2 && keys[0] == "env":
		r.variable(d, keys[1], line, value)
	case t == envTable && len(keys) == 1:
		r.variable(d, keys[0], line, value)
	default:
		r.fault(d, line, fmt.Errorf("there is no key %s", strings.Join(keys, ".")))
	}
}

// fault warns of a mistake, and leaves out the rule that it is in.
func (r *reader) fault(d *draft, line int, err error) {
	what := "left out"
	if d != nil {
		d.bad = true
		what = d.String() + " is left out"
		if d.Name == "" {
			what = fmt.Sprintf("the rule of line %d is left out", d.Line)
		}
	}
	r.policy.warn(place{r.file, line}, "%v: %s", err, what)
}

// The names of all that may stand at the top of a file.
var topKeys = []string{"bind_timeout", "gone_timeout", "prediction", "rule"}

func (r *reader) topKey(key string, line int, value *toml.Node) {
	switch {
	case r.set[key]:
		r.fault(nil, line, fmt.Errorf("%s is given twice", key))
	case key == "bind_timeout":
		r.bindTimeout = r.timeSetting(key, line, value, duration)
	case key == "gone_timeout":
		r.goneTimeout = r.timeSetting(key, line, value, durationOrOff)
	case key == "prediction":
		r.prediction = r.boolSetting(key, line, value)
	case key == "rule" && value.Kind == toml.Array:
		r.inlineRules(value)
	default:
		r.fault(nil, line, unknown("key", key, topKeys))
	}
	r.set[key] = true
}

// timeSetting reads a time at the top of a file.
func (r *reader) timeSetting(key string, line int, value *toml.Node, read func(*toml.Node) (time.Duration, error)) setting {
	d, err := read(value)
	if err != nil {
		r.fault(nil, line, fmt.Errorf("%s: %w", key, err))
	}
	return setting{d, place{r.file, line}}
}

// boolSetting reads what is true or false at the top of a file; nil is neither.
func (r *reader) boolSetting(key string, line int, value *toml.Node) *bool {
	is, err := boolean(value)
	if err != nil {
		r.fault(nil, line, fmt.Errorf("%s: %w", key, err))
		return nil
	}
	return &is
}

// or returns the setting, or if nothing is set the other one.
func (s setting) or(other setting) setting {
	if s.value == 0 {
		return other
	}
	return s
}

// inlineRules reads rule = [{…}, {…}].
func (r *reader) inlineRules(array *toml.Node) {
	for it := array.Children(); it.Next(); {
		n := it.Node()
		if n.Kind != toml.InlineTable {
			r.fault(nil, r.line(n), errors.New("a rule is a table"))
			continue
		}
		d := r.newRule(0)
		for pairs := n.Children(); pairs.Next(); {
			keys, line := r.keys(pairs.Node())
			if d.Line == 0 {
				d.Line = line
			}
			r.keyValue(ruleTable, d, keys, line, pairs.Node().Value())
		}
	}
}

// ruleKey reads a key of a rule.
func (r *reader) ruleKey(d *draft, key string, line int, value *toml.Node) {
	read := fields()[key]
	var err error
	switch {
	case key == "env":
		err = r.env(d, value)
	case read == nil:
		r.fault(d, line, unknown("key", key, ruleKeys()))
		return
	case d.given[key] != 0:
		err = fmt.Errorf("it is in line %d already", d.given[key])
	default:
		err = read(d.Rule, value)
	}
	d.given[key] = line
	if err != nil {
		r.fault(d, line, fmt.Errorf("%s: %w", key, err))
		return
	}
	if slices.Contains(Keys, Key(key)) {
		d.has[Key(key)] = line
	}
}

func (r *reader) env(d *draft, value *toml.Node) error {
	if value.Kind != toml.InlineTable {
		return fmt.Errorf("it is to be a table, not %s", kind(value))
	}
	for it := value.Children(); it.Next(); {
		keys, line := r.keys(it.Node())
		r.keyValue(envTable, d, keys, line, it.Node().Value())
	}
	return nil
}

func (r *reader) variable(d *draft, name string, line int, value *toml.Node) {
	pattern, err := text(value)
	if given := "env." + name; d.given[given] != 0 {
		err = fmt.Errorf("it is in line %d already", d.given[given])
	} else {
		d.given[given] = line
	}
	if err != nil {
		r.fault(d, line, fmt.Errorf("env.%s: %w", name, err))
		return
	}
	d.Env = append(d.Env, Variable{name, pattern})
}

// complete looks at a rule as a whole.
func (r *reader) complete(d *draft) {
	says := func(line int, format string, args ...any) {
		if !d.bad {
			r.fault(d, line, fmt.Errorf(format, args...))
		}
	}
	switch {
	case len(d.has) == 0:
		says(d.Line, "it says nothing: give it one of %s", keyNames())
	case d.Has(KeyAfter) && d.Stage != Deferred:
		says(d.has[KeyAfter], `after: only stage = "deferred" waits for something`)
	case !d.Has(KeyIdle) && d.given["force"]+d.given["identity"] > 0:
		says(max(d.given["force"], d.given["identity"]), "force and identity are about idle, of which the rule has none")
	case d.Force && len(d.Module) == 0:
		says(d.given["force"], "force: it counts only in a rule that names the module")
	case d.Has(KeyBindTimeout) && !d.Has(KeyPrefer):
		says(d.has[KeyBindTimeout], "bind_timeout: it is about prefer, of which the rule has none")
	}
}

func keyNames() string {
	names := make([]string, len(Keys))
	for i, k := range Keys {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}
