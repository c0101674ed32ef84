package words

import (
	"strings"

	"github.com/kmodd/kmodd/modalias"
)

// Names has the names of vendors, devices and classes. Each method returns as
// many names as are known, the first ones first. Numbers are hexadecimal.
type Names interface {
	PCIDevice(vendor, device string) []string
	PCISubsystem(vendor, device, boardVendor, board string) string
	PCIClass(class, subclass, protocol string) []string
	USBDevice(vendor, device string) []string
	USBClass(class, subclass, protocol string) []string
}

// A Description is a modalias in words. It is what JSON has, too.
type Description struct {
	Modalias string  `json:"modalias"`
	Bus      string  `json:"bus"`
	Is       string  `json:"is"`             // such as "a PCI device"
	Name     string  `json:"name,omitempty"` // of the device, as far as it has one
	Pattern  bool    `json:"pattern,omitempty"`
	Fields   []Field `json:"fields"`
}

// A Field is what one part of a modalias says.
type Field struct {
	Name  string `json:"name"`           // as package modalias names it
	Value string `json:"value"`          // as the modalias has it; a pattern in a pattern
	Says  string `json:"says,omitempty"` // the value in words, if there are any
	Any   bool   `json:"any,omitempty"`  // every value will do
}

// Of describes a modalias, or an alias of a module. The error, which says why it
// is none, is a *modalias.FormError.
func Of(text string, names Names) (Description, error) {
	id, err := modalias.Parse(text)
	if err != nil && strings.ContainsAny(text, `*?[\`) {
		return ofPattern(text, names)
	}
	if err != nil {
		return Description{}, err
	}
	return describe(text, id, names), nil
}

func ofPattern(text string, names Names) (Description, error) {
	id, err := modalias.ParsePattern(text)
	if err == nil {
		d := describe(text, id, names)
		d.Pattern = true
		return d, nil
	}
	form := modalias.FormOf(text)
	if form == nil {
		return Description{}, err
	}
	return Description{
		Modalias: text, Bus: form.Bus, Is: Kind(form.Bus), Pattern: true,
		Fields: []Field{{Name: "pattern", Value: text, Says: "stands for ids that can't be told field by field"}},
	}, nil
}

func describe(text string, id modalias.ID, names Names) Description {
	d := Description{Modalias: text, Bus: id.Form.Bus, Is: Kind(id.Form.Bus), Fields: []Field{}}
	s := subject{id: id, names: names, description: &d}
	for _, v := range id.Values {
		d.Fields = append(d.Fields, Field{Name: v.Field.Name, Value: v.Text, Any: strings.Trim(v.Text, "*") == "" && v.Text != ""})
		d.Pattern = d.Pattern || v.Text == "*"
	}
	if tell := buses()[id.Form.Bus].tell; tell != nil {
		tell(&s)
	}
	if d.Name == "" {
		d.Name = s.value("name")
	}
	return d
}

// Kind says what a device of a bus of package modalias is, such as "a PCI device".
func Kind(bus string) string {
	if is := buses()[bus].is; is != "" {
		return is
	}
	return "a device of bus " + bus
}

// A subject is what is being described.
type subject struct {
	id          modalias.ID
	names       Names
	description *Description
}

// value is a field's value, empty if it has none or is a pattern.
func (s *subject) value(field string) string {
	text, _ := s.id.Get(field)
	if strings.ContainsAny(text, "*?[") {
		return ""
	}
	return text
}

// low is the last digits of a field's number, if those before are zeros.
func (s *subject) low(field string, digits int) string {
	text := s.value(field)
	if len(text) > digits && strings.Trim(text[:len(text)-digits], "0") == "" {
		return text[len(text)-digits:]
	}
	return text
}

// say puts a field into words, if there are any.
func (s *subject) say(field, words string) {
	for i := range s.description.Fields {
		if f := &s.description.Fields[i]; f.Name == field && words != "" {
			f.Says = words
		}
	}
}

// sayAll puts fields into words in their order, as far as there are any.
func (s *subject) sayAll(words []string, fields ...string) {
	for i := range min(len(words), len(fields)) {
		s.say(fields[i], words[i])
	}
}

// look puts a field's number into the words of a table.
func (s *subject) look(field string, table map[string]string) string {
	says := table[s.value(field)]
	s.say(field, says)
	return says
}

// replace puts other fields in place of one.
func (s *subject) replace(field string, by ...Field) {
	var all []Field
	for _, f := range s.description.Fields {
		if f.Name == field {
			all = append(all, by...)
		} else {
			all = append(all, f)
		}
	}
	s.description.Fields = all
}

// called gives the device its name: the words that there are.
func (s *subject) called(words ...string) {
	if s.description.Name == "" {
		s.description.Name = strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	}
}
