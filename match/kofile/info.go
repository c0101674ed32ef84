package kofile

import (
	"iter"
	"slices"
	"strings"
)

// Info is what a module says about itself, as the section .modinfo has it:
// fields of the form KEY=VALUE, each ended by a NUL. They are any bytes.
type Info string

// All returns the fields in their order. One without "=" is a key without a value.
func (i Info) All() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for line := range strings.SplitSeq(string(i), "\x00") {
			if key, value, _ := strings.Cut(line, "="); line != "" && !yield(key, value) {
				return
			}
		}
	}
}

// Name is what the kernel calls the module, which does not go by the file's name; called
// if the file does not say, as those of old kernels do not, or says what can be
// none.
func (i Info) Name(called string) string {
	if own := i.Field("name"); own != "" && !strings.ContainsAny(own, "/.") {
		return own
	}
	return called
}

// Field returns the first value of a field, such as vermagic, license or depends,
// and "" if there is none.
func (i Info) Field(key string) string {
	for value := range i.Fields(key) {
		return value
	}
	return ""
}

// Fields returns all values of a field that may be there more than once, such
// as firmware, alias or parm.
func (i Info) Fields(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(string(i), "\x00") {
			if k, value, ok := strings.Cut(line, "="); ok && k == key && !yield(value) {
				return
			}
		}
	}
}

// A Parameter is one that the module takes, in the words of its source.
type Parameter struct {
	Name string
	// Type is that of module_param(): "int", "charp", "array of uint", or anything,
	// for modules may have types of their own; "" if the module does not say.
	Type string
	// Described says that there is a description, which may be "".
	Described   bool
	Description string
}

// Parameters returns the parameters, in the order in which they are first
// mentioned. Module_param() and MODULE_PARM_DESC() leave a field each, parmtype and parm, of
// the form NAME:TEXT; those of another form are passed over.
func (i Info) Parameters() (parameters []Parameter) {
	places := make(map[string]int)
	for key, value := range i.All() {
		name, text, ok := strings.Cut(value, ":")
		if !ok || key != "parm" && key != "parmtype" {
			continue
		}
		at, known := places[name]
		if !known {
			at = len(parameters)
			places[name] = at
			parameters = append(parameters, Parameter{Name: name})
		}
		if p := &parameters[at]; key == "parm" {
			p.Described, p.Description = true, text
		} else {
			p.Type = text
		}
	}
	return parameters
}

// licences are those that go with the GPL (license_is_gpl_compatible in
// include/linux/license.h). Without one of them a module is proprietary to the kernel.
var licences = []string{"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}

// GPL says whether the module's licence goes with the GPL, so that it may use
// symbols that are exported for such modules only.
func (i Info) GPL() bool { return slices.Contains(licences, i.Field("license")) }

// Taints returns the letters by which the kernel will remember that the module was in,
// as far as the file tells (Documentation/admin-guide/tainted-kernels.rst,
// check_modinfo in kernel/module/main.c).
func (i Info) Taints() (letters string) {
	for _, t := range []struct {
		letter string
		is     bool
	}{
		{"P", !i.GPL()},
		{"C", i.Field("staging") != ""},
		{"O", i.Field("intree") == ""},
		{"K", i.Field("livepatch") != ""},
		{"N", i.Field("test") != ""},
	} {
		if t.is {
			letters += t.letter
		}
	}
	return letters
}

// BuiltinInfo returns what a module that is part of the kernel says about itself,
// "" for nothing, from the text of modules.builtin.modinfo: fields of the form
// MODULE.KEY=VALUE, each ended by a NUL (scripts/Makefile.vmlinux). Module is a
// name with underscores. Of two modules with one name, such as arm_cci, it is the first.
func BuiltinInfo(text, module string) Info {
	var fields strings.Builder
	for field := range strings.SplitSeq(text, "\x00") {
		name, field, _ := strings.Cut(field, ".")
		switch {
		case name == module && field != "":
			fields.WriteString(field + "\x00")
		case fields.Len() > 0:
			return Info(fields.String())
		}
	}
	return Info(fields.String())
}
