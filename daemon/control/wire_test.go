package control

import (
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/varlink/go/varlink/idl"
)

// The description that the daemon hands out is what its types say.
func TestDescriptionIsTrue(t *testing.T) {
	described, err := idl.New(description)
	if err != nil {
		t.Fatalf("io.kmodd.varlink: %v", err)
	}
	got := make(map[string]map[string]string)
	for _, a := range described.Aliases {
		got[a.Name] = describedFields(a.Type)
	}
	for _, m := range described.Methods {
		got[m.Name+"()"] = describedFields(m.Out)
	}
	want := map[string]map[string]string{
		"Reason":     goFields[Reason](),
		"Refusal":    goFields[Refusal](),
		"Class":      goFields[Class](),
		"Uevents":    goFields[Uevents](),
		"Device":     goFields[Device](),
		"Module":     goFields[Module](),
		"DeviceWhy":  goFields[DeviceWhy](),
		"LoadTimes":  goFields[LoadTimes](),
		"BootLoad":   goFields[BootLoad](),
		"BootDevice": goFields[BootDevice](),
		"ModuleWhy":  goFields[ModuleWhy](),
		"Status()":   goFields[Status](),
		"Metrics()":  goFields[Metrics](),
		"Devices()":  goFields[DeviceList](),
		"Boot()":     goFields[Boot](),
		"Modules()":  goFields[ModuleList](),
		"Why()":      goFields[Story](),
		"Monitor()":  goFields[Note](),
		"Rescan()":   {},
		"Reload()":   {},
		"Settle()":   {},
		"Pin()":      {},
		"Unpin()":    {},
		"Release()":  {},
		"Wake()":     goFields[Woken](),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("io.kmodd.varlink (-the types' fields +described):\n%s", diff)
	}
}

// Whoever counts by a word counts by all of them.
func TestTheListsOfWordsAreWhole(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "wire.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	declared := make(map[string][]string) // by type
	for spec := range constants(file) {
		word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		kind := spec.Type.(*ast.Ident).Name
		declared[kind] = append(declared[kind], word)
	}
	listed := map[string][]string{
		"Result":  texts(Results),
		"State":   append(texts(States), string(Absent), string(Builtin)),
		"Outcome": texts(Outcomes),
	}
	for kind, words := range listed {
		slices.Sort(words)
		slices.Sort(declared[kind])
		if diff := cmp.Diff(declared[kind], words); diff != "" {
			t.Errorf("%s (-declared +listed):\n%s", kind, diff)
		}
	}
}

// constants yields the constants of a file that have a type.
func constants(file *ast.File) iter.Seq[*ast.ValueSpec] {
	return func(yield func(*ast.ValueSpec) bool) {
		for n := range ast.Preorder(file) {
			if spec, ok := n.(*ast.ValueSpec); ok && spec.Type != nil && len(spec.Values) == 1 {
				if _, ok := spec.Values[0].(*ast.BasicLit); ok && !yield(spec) {
					return
				}
			}
		}
	}
}

func texts[K ~string](words []K) []string {
	var out []string
	for _, w := range words {
		out = append(out, string(w))
	}
	return out
}

func TestServiceDescriptionParses(t *testing.T) {
	described, err := idl.New(serviceDescription)
	if err != nil {
		t.Fatal(err)
	}
	if described.Name != service {
		t.Errorf("it describes %q", described.Name)
	}
}

func describedFields(t *idl.Type) map[string]string {
	fields := make(map[string]string)
	for _, f := range t.Fields {
		fields[f.Name] = describedType(f.Type)
	}
	return fields
}

func describedType(t *idl.Type) string {
	switch t.Kind {
	case idl.TypeBool:
		return "bool"
	case idl.TypeInt:
		return "int"
	case idl.TypeString:
		return "string"
	case idl.TypeArray:
		return "[]" + describedType(t.ElementType)
	case idl.TypeMaybe:
		return "?" + describedType(t.ElementType)
	case idl.TypeMap:
		return "[string]" + describedType(t.ElementType)
	case idl.TypeAlias:
		return t.Alias
	}
	return "unknown"
}

// goFields is a struct as encoding/json writes it, in Varlink's words.
func goFields[T any]() map[string]string {
	fields := make(map[string]string)
	addFields(fields, reflect.TypeFor[T]())
	return fields
}

func addFields(fields map[string]string, t reflect.Type) {
	for f := range t.Fields() {
		if f.Anonymous {
			addFields(fields, f.Type)
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = goType(f.Type)
		if option == "omitempty" {
			fields[name] = "?" + fields[name]
		}
	}
}

func goType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "int"
	case reflect.String:
		return "string"
	case reflect.Pointer:
		return goType(t.Elem())
	case reflect.Slice:
		return "[]" + goType(t.Elem())
	case reflect.Map:
		return "[string]" + goType(t.Elem())
	}
	return t.Name()
}
