package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	toml "github.com/pelletier/go-toml/v2/unstable"

	"github.com/kmodd/kmodd/modalias"
)

// fields reads the value of each key of a rule but env.
var fields = sync.OnceValue(func() map[string]func(*Rule, *toml.Node) error {
	return map[string]func(*Rule, *toml.Node) error{
		"name":         func(r *Rule, n *toml.Node) (err error) { r.Name, err = text(n); return err },
		"class":        func(r *Rule, n *toml.Node) error { return list(&r.Class, n, classNamed) },
		"module":       func(r *Rule, n *toml.Node) error { return list(&r.Module, n, modalias.Normalize) },
		"modalias":     func(r *Rule, n *toml.Node) error { return list(&r.Modalias, n, modalias.Normalize) },
		"subsystem":    func(r *Rule, n *toml.Node) error { return list(&r.Subsystem, n, asItIs) },
		"stage":        func(r *Rule, n *toml.Node) (err error) { r.Stage, err = stage(n); return err },
		"after":        func(r *Rule, n *toml.Node) (err error) { r.After, err = after(n); return err },
		"async":        func(r *Rule, n *toml.Node) (err error) { r.Async, err = async(n); return err },
		"idle":         func(r *Rule, n *toml.Node) (err error) { r.Idle, err = durationOrOff(n); return err },
		"force":        func(r *Rule, n *toml.Node) (err error) { r.Force, err = boolean(n); return err },
		"identity":     func(r *Rule, n *toml.Node) (err error) { r.Identity, err = identity(n); return err },
		"prefer":       func(r *Rule, n *toml.Node) error { return list(&r.Prefer, n, moduleNamed) },
		"bind_timeout": func(r *Rule, n *toml.Node) (err error) { r.BindTimeout, err = duration(n); return err },
		"options":      func(r *Rule, n *toml.Node) (err error) { r.Options, err = text(n); return err },
	}
})

// ruleKeys are the names of all that a rule may have.
func ruleKeys() []string {
	keys := append(slices.Collect(maps.Keys(fields())), "env")
	slices.Sort(keys)
	return keys
}

// text reads a string that is not empty.
func text(n *toml.Node) (string, error) {
	switch {
	case n.Kind != toml.String:
		return "", fmt.Errorf("it is to be a string, not %s", kind(n))
	case len(n.Data) == 0:
		return "", errors.New("it is empty")
	}
	return string(n.Data), nil
}

// kind is the type of a value in the words of the TOML specification.
func kind(n *toml.Node) string {
	switch n.Kind {
	case toml.InlineTable:
		return "a table"
	case toml.Array, toml.Integer:
		return "an " + strings.ToLower(n.Kind.String())
	case toml.Bool:
		return "a boolean"
	case toml.String:
		return "a string"
	case toml.Float:
		return "a float"
	}
	return "a date or time"
}

// list reads an array of strings, or a single one, each checked and put into
// its form.
func list(into *[]string, n *toml.Node, form func(string) (string, error)) error {
	add := func(n *toml.Node) error {
		s, err := text(n)
		if err != nil {
			return err
		}
		if s, err = form(s); err == nil {
			*into = append(*into, s)
		}
		return err
	}
	if n.Kind != toml.Array {
		return add(n)
	}
	for it := n.Children(); it.Next(); {
		if err := add(it.Node()); err != nil {
			return err
		}
	}
	if len(*into) == 0 {
		return errors.New("it is empty")
	}
	return nil
}

func asItIs(s string) (string, error) { return s, nil }

func moduleNamed(s string) (string, error) {
	if strings.ContainsAny(s, "*?[]\\/: ") {
		return "", fmt.Errorf("%q is not the name of a module", s)
	}
	return modalias.ModuleName(s), nil
}

func classNamed(s string) (string, error) {
	if known := classes(); !slices.Contains(known, s) {
		return "", unknown("class", s, known)
	}
	return s, nil
}

func stage(n *toml.Node) (Stage, error) {
	s, err := text(n)
	if err != nil || slices.Contains(Stages, Stage(s)) {
		return Stage(s), err
	}
	var names []string
	for _, known := range Stages {
		names = append(names, string(known))
	}
	return "", unknown("stage", s, names)
}

// duration reads a time span such as "30s".
func duration(n *toml.Node) (time.Duration, error) {
	s, err := text(n)
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf(`%q is no time span such as "500ms", "30s" or "2m"`, s)
	}
	return d, nil
}

// durationOrOff reads a time span, or "off" for one that never ends.
func durationOrOff(n *toml.Node) (time.Duration, error) {
	if s, err := text(n); err == nil && s == "off" {
		return Never, nil
	}
	d, err := duration(n)
	if err != nil {
		return 0, fmt.Errorf(`%w, nor "off"`, err)
	}
	return d, nil
}

// after reads what a deferred module waits for.
func after(n *toml.Node) (Trigger, error) {
	s, err := text(n)
	if err != nil {
		return "", err
	}
	t := Trigger(s)
	if _, err := duration(n); err == nil || t == BootComplete || t == Request || t.IsPath() {
		return t, nil
	}
	return "", fmt.Errorf(`%q is none of "boot-complete", "request", a time span such as "5s", and the path of a file`, s)
}

// async reads true, false or "auto".
func async(n *toml.Node) (Probing, error) {
	if s := string(n.Data); n.Kind == toml.Bool || n.Kind == toml.String && s == string(Auto) {
		return Probing(s), nil
	}
	return "", errors.New(`it is to be true, false or "auto"`)
}

func boolean(n *toml.Node) (bool, error) {
	if n.Kind != toml.Bool {
		return false, fmt.Errorf("it is to be true or false, not %s", kind(n))
	}
	return string(n.Data) == "true", nil
}

func identity(n *toml.Node) (Identity, error) {
	s, err := text(n)
	if i := Identity(s); err != nil || i == SameIdentity || i == AnyIdentity {
		return i, err
	}
	return "", unknown("identity", s, []string{string(SameIdentity), string(AnyIdentity)})
}

// unknown is an error about a word that is none of the known ones, and names
// that which comes next to it.
func unknown(what, word string, known []string) error {
	if near := Nearest(word, known); near != "" {
		return fmt.Errorf("there is no %s %q; did you mean %q?", what, word, near)
	}
	return fmt.Errorf("there is no %s %q, only %s", what, word, strings.Join(known, ", "))
}

// Nearest returns that of the known words which a person most likely meant, ""
// if none is near: the one with the fewest letters to add, drop, change or swap
// with the next, and not more than a third of the longer one.
func Nearest(word string, known []string) string {
	best, least := "", 0
	for _, k := range known {
		if d := distance(word, k); d <= max(1, len(k)/3, len(word)/3) && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to add, drop, change, or swap with the next
// one (the optimal string alignment distance).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
