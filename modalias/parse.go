package modalias

import (
	"encoding"
	"fmt"
	"strings"
)

// An ID is a device id, taken apart.
type ID struct {
	Form *Form
	// Values are in the order of the form's fields. Optional fields that are
	// missing have none.
	Values []Value
}

// A Value is what a device id has in one of its fields.
type Value struct {
	Field *Field
	Text  string // without the field's tag
}

var (
	_ encoding.TextAppender = ID{}
	_ fmt.Stringer          = ID{}
)

// Get returns the value of the field of that name. It reports false if the
// device id has none, or the form no such field.
func (id ID) Get(field string) (text string, ok bool) {
	for _, v := range id.Values {
		if v.Field.Name == field {
			return v.Text, true
		}
	}
	return "", false
}

// AppendText appends the device id as it is written. It never fails.
func (id ID) AppendText(b []byte) ([]byte, error) {
	b = append(b, id.Form.Prefix...)
	for _, v := range id.Values {
		b = append(b, v.Field.Tag...)
		b = append(b, v.Text...)
	}
	return append(b, id.Form.End...), nil
}

// String is the device id as it is written, byte for byte what was parsed.
func (id ID) String() string {
	b, _ := id.AppendText(nil) // never fails
	return string(b)
}

// A FormError says why a string is no device id.
type FormError struct {
	ID    string
	Form  *Form // that it begins as, nil for none
	Field *Field
	// Offset is how far the string could be understood. Field is what is
	// expected there, nil for the end of the id.
	Offset int
}

var _ error = (*FormError)(nil)

func (e *FormError) Error() string {
	const enough = 100 // of an id that may be long
	switch {
	case e.Form == nil:
		return fmt.Sprintf("device id %.*q: of no bus that is known", enough, e.ID)
	case e.Field == nil:
		return fmt.Sprintf("device id %.*q of bus %s: after byte %d the end is expected", enough, e.ID, e.Form.Bus, e.Offset)
	}
	return fmt.Sprintf("device id %.*q of bus %s: after byte %d the %s is expected: %q and %s",
		enough, e.ID, e.Form.Bus, e.Offset, e.Field.Name, e.Field.Tag, e.Field.Kind)
}

// Parse takes a device id apart, such as a MODALIAS. The values are parts of
// id. The error is a *FormError.
//
// Where a text could be divided in more than one way, as the name and the type
// of a node in a device tree can, the first field gets as little as possible.
func Parse(id string) (ID, error) {
	fail := &FormError{ID: id}
	for f := range Forms() {
		if !strings.HasPrefix(id, f.Prefix) {
			continue
		}
		p := parser{form: f, text: id, values: make([]Value, 0, len(f.Fields))}
		if p.fields(len(f.Prefix), f.Fields) {
			return ID{f, p.values}, nil
		}
		fail.Form, fail.Field, fail.Offset = f, p.expected, p.reached
	}
	return ID{}, fail
}

// A parser tries whether a text is of a form. It goes back and tries a longer
// text in a field when what follows does not fit; texts are the only values
// that can be longer or shorter.
type parser struct {
	form   *Form
	text   string
	values []Value

	reached  int    // the farthest that something was expected in vain
	expected *Field // there; nil for the end
}

// fields reports whether the text from at on consists of these fields and the
// form's end.
func (p *parser) fields(at int, fields []Field) bool {
	if len(fields) == 0 {
		return p.text[at:] == p.form.End || p.vain(at, nil)
	}
	f, rest := &fields[0], fields[1:]
	if strings.HasPrefix(p.text[at:], f.Tag) && p.field(at+len(f.Tag), f, rest) {
		return true
	}
	return f.Optional && p.fields(at, rest) || p.vain(at, f)
}

// field reports whether a value of f begins at that place, and rest follows.
func (p *parser) field(at int, f *Field, rest []Field) bool {
	if f.Kind.greedy() {
		end := at
		for end < len(p.text) && f.Kind.has(p.text[end]) {
			end++
		}
		ok := f.Kind.fits(end - at)
		if ok && p.value(at, end, f, rest) {
			return true
		}
		return f.Optional && (!ok || end > at) && p.value(at, at, f, rest)
	}
	for end := at + kinds[f.Kind].min; end <= len(p.text); end++ {
		if p.value(at, end, f, rest) {
			return true
		}
	}
	return false
}

// value reports whether the rest follows after a value, which is kept then.
func (p *parser) value(begin, end int, f *Field, rest []Field) bool {
	kept := len(p.values)
	p.values = append(p.values, Value{f, p.text[begin:end]})
	if p.fields(end, rest) {
		return true
	}
	p.values = p.values[:kept]
	return false
}

// vain notes what was expected where, and reports false.
func (p *parser) vain(at int, f *Field) bool {
	if at > p.reached {
		p.reached, p.expected = at, f
	}
	return false
}
