package control

import (
	"reflect"
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
		"Reason":    goFields[Reason](),
		"Uevents":   goFields[Uevents](),
		"Device":    goFields[Device](),
		"Module":    goFields[Module](),
		"DeviceWhy": goFields[DeviceWhy](),
		"ModuleWhy": goFields[ModuleWhy](),
		"Status()":  goFields[Status](),
		"Devices()": goFields[DeviceList](),
		"Modules()": goFields[ModuleList](),
		"Why()":     goFields[Story](),
		"Monitor()": goFields[Note](),
		"Rescan()":  {},
		"Reload()":  {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("io.kmodd.varlink (-the types' fields +described):\n%s", diff)
	}
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
	case reflect.Slice:
		return "[]" + goType(t.Elem())
	case reflect.Map:
		return "[string]" + goType(t.Elem())
	}
	return t.Name()
}
