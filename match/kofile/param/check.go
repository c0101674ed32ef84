package param

import (
	"cmp"
	"fmt"
	"strings"
	"syscall"

	"github.com/kmodd/kmodd/match/kofile"
)

// A Fault is a parameter that the kernel refuses, or ignores.
type Fault struct {
	Word
	// Type is that of the parameter, "" of one that the module has not, or tells nothing of.
	Type string
	// Errno is what the load fails with, 0 if it does not: the kernel ignores what the
	// module has not.
	Errno syscall.Errno
	Says  string // what is wrong, to be read after the name
	Near  string // of one that the module has not, the name that it may have meant; else ""
}

var _ error = (*Fault)(nil)

// Error is one line, about a module's parameter.
func (f *Fault) Error() string { return "parameter " + printable(f.Name) + " " + f.Says }

// Unwrap gives Errno.
func (f *Fault) Unwrap() error {
	if f.Errno == 0 {
		return nil
	}
	return f.Errno
}

// Check finds what is wrong with the parameters that a module is given, in their
// order. The kernel looks at all of them, and answers with the errno of the last
// one that it refuses: see [Refused].
func Check(f *kofile.File, text string) (faults []Fault) {
	if text == "" {
		return nil
	}
	d := declared(f)
	for w := range Words(text) {
		if fault, bad := d.judge(w); bad {
			faults = append(faults, fault)
		}
	}
	return faults
}

// Refused is the fault that the kernel's answer is about, nil if it takes all.
func Refused(faults []Fault) (last *Fault) {
	for i := range faults {
		if faults[i].Errno != 0 {
			last = &faults[i]
		}
	}
	return last
}

// declarations are what a module takes, by names with underscores.
type declarations struct {
	bits  int
	types map[string]string
	max   map[string]int
	names []string
}

// declared believes the section __param, if it can be read, more than .modinfo, which
// has descriptions of what there is not, and types of what is read by other rules.
func declared(f *kofile.File) *declarations {
	d := &declarations{bits: f.Bits, types: make(map[string]string), max: make(map[string]int)}
	taken, _ := f.Taken()
	for _, t := range taken {
		d.add(t.Name, t.Type)
		d.max[underscored(t.Name)] = t.Max
	}
	for _, p := range f.Parameters() {
		kind, known := d.types[underscored(p.Name)]
		if known && kind == "array" || len(taken) == 0 {
			d.add(p.Name, p.Type)
		}
	}
	return d
}

func (d *declarations) add(name, kind string) {
	name = underscored(name)
	if _, known := d.types[name]; !known {
		d.names = append(d.names, name)
	}
	d.types[name] = kind
}

func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// everybodys are parameters that the kernel itself takes for every module
// (unknown_module_param_cb in kernel/module/main.c). It never refuses a value of theirs.
var everybodys = map[string]bool{"async_probe": true, "dyndbg": true}

// judge finds out whether the kernel takes a word (parse_one in kernel/params.c).
func (d *declarations) judge(w Word) (f Fault, bad bool) {
	f = Fault{Word: w}
	kind, known := d.types[underscored(w.Name)]
	switch {
	case !known:
		f.Near = d.near(underscored(w.Name))
		f.Says = "is none of the module's, and the kernel ignores it"
		return f, !everybodys[w.Name]
	case kind == "":
		return f, false
	}
	f.Type = kind
	f.Errno, f.Says = d.set(w, kind)
	return f, f.Errno != 0
}

// set is what the kernel answers to the value of a parameter of that type.
func (d *declarations) set(w Word, name string) (syscall.Errno, string) {
	one, isArray := strings.CutPrefix(name, "array of ")
	k, most := kind{printable(one), d.bits}, d.max[underscored(w.Name)]
	switch {
	case !w.HasValue:
		return d.setNothing(k, isArray)
	case isArray:
		return k.setAll(strings.Split(w.Value, ","), most)
	case one == "string" && most > 0 && len(w.Value) >= most:
		return syscall.ENOSPC, fmt.Sprintf("takes a text of up to %d bytes, and %d are given", most-1, len(w.Value))
	}
	errno := k.set(w.Value)
	return errno, k.refuses(w.Value)
}

// standard are the types whose rules are known here.
func (k kind) standard() bool {
	_, ok := k.number()
	return ok || k.truth() || k.name == "charp" || k.name == "string"
}

// setNothing is about a name without a value. Only bool and bint can do without.
func (d *declarations) setNothing(k kind, isArray bool) (syscall.Errno, string) {
	if !isArray && (!k.standard() || k.name == "bool" || k.name == "bint") {
		return 0, ""
	}
	return syscall.EINVAL, "takes a value of type " + k.name + ", and none is given" + k.takes()
}

// setAll is about the values of an array, of which there may be so many, or any number if
// that is 0 (param_array in kernel/params.c).
func (k kind) setAll(values []string, most int) (syscall.Errno, string) {
	for i, value := range values {
		if most > 0 && i == most {
			return syscall.EINVAL, fmt.Sprintf("takes up to %d values of type %s, and %d are given", most, k.name, len(values))
		}
		if errno := k.set(value); errno != 0 {
			return errno, k.refuses(value)
		}
	}
	return 0, ""
}

func (k kind) refuses(value string) string {
	if k.name == "charp" {
		return fmt.Sprintf("takes a text of up to %d bytes, and %d are given", maxText, len(value))
	}
	return fmt.Sprintf("takes a value of type %s, which %+q is not%s", k.name, shortened(value), k.takes())
}

// near is the name that is spelt most like one, "" if none is spelt like it.
func (d *declarations) near(name string) (best string) {
	const longest = 64 // names of more bytes are nobody's mistake
	least := min(len(name), longest)/3 + 1
	for _, n := range d.names {
		if len(name) > longest || len(n) > longest {
			continue
		}
		if distance := distance(name, n); distance < least || distance == least && best == "" {
			best, least = n, distance
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or changed to make one
// name of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := before
			if a[i] != b[j] {
				changed++
			}
			before = row[j+1]
			row[j+1] = min(changed, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// shortened keeps a value to what can be shown in a line.
func shortened(value string) string {
	const longest = 60
	if len(value) <= longest {
		return value
	}
	return value[:longest] + "..."
}

// printable keeps a foreign name to a line without control characters.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, cmp.Or(shortened(name), `""`))
}
