package modalias_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/modalias"
)

// build is what testdata/file2alias.txtar says of one kernel.
type build struct {
	kernel    string
	functions []string          // that write patterns
	tables    map[string]string // function by name of the table
}

func builds(t *testing.T) (all []build) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "file2alias.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		b := build{kernel: f.Name, tables: map[string]string{}}
		for line := range strings.Lines(string(f.Data)) {
			switch words := strings.Fields(line); words[0] {
			case "function":
				b.functions = append(b.functions, words[1])
			case "table":
				b.tables[words[1]] = words[2]
			}
		}
		all = append(all, b)
	}
	return all
}

func formsOfTables() map[string][]string {
	all := map[string][]string{}
	for f := range modalias.Forms() {
		for _, table := range f.Tables {
			all[table] = append(all[table], f.Bus)
		}
	}
	return all
}

func TestEveryTableThatTheKernelKnowsHasAForm(t *testing.T) {
	forms := formsOfTables()
	for _, b := range builds(t) {
		t.Run(b.kernel, func(t *testing.T) {
			if len(b.tables) < 50 {
				t.Errorf("%d tables in testdata", len(b.tables))
			}
			for _, table := range slices.Sorted(maps.Keys(b.tables)) {
				if forms[table] == nil {
					t.Errorf("%s: the table %q has no form", b.tables[table], table)
				}
			}
		})
	}
}

// A function that no table names works for one of them: do_usb_entry for
// do_usb_entry_multi, and that for do_usb_table.
func TestEveryFunctionThatWritesPatternsHasAForm(t *testing.T) {
	forms := formsOfTables()
	inner := regexp.MustCompile(`^do_([a-z0-9_]+?)_(entry|entry_multi)$`)
	for _, b := range builds(t) {
		t.Run(b.kernel, func(t *testing.T) {
			named := slices.Collect(maps.Values(b.tables))
			for _, function := range b.functions {
				if slices.Contains(named, function) {
					continue
				}
				if m := inner.FindStringSubmatch(function); m == nil || forms[m[1]] == nil {
					t.Errorf("%s has no form", function)
				}
			}
		})
	}
}

func TestTablesOfFormsAreTheKernels(t *testing.T) {
	known := map[string]bool{}
	for _, b := range builds(t) {
		for table := range b.tables {
			known[table] = true
		}
	}
	for table, buses := range formsOfTables() {
		if !known[table] {
			t.Errorf("%s: no kernel in testdata has a table %q", buses, table)
		}
	}
}

func TestNothingInAFormIsThereTwice(t *testing.T) {
	buses, prefixes := map[string]bool{}, map[string]bool{}
	for f := range modalias.Forms() {
		if buses[f.Bus] || prefixes[f.Prefix] {
			t.Errorf("bus %s or prefix %s is there twice", f.Bus, f.Prefix)
		}
		buses[f.Bus], prefixes[f.Prefix] = true, true
		names := map[string]bool{}
		for _, field := range f.Fields {
			if field.Name == "" || names[field.Name] {
				t.Errorf("%s: the field %q is there twice, or has no name", f.Bus, field.Name)
			}
			names[field.Name] = true
		}
	}
}

func TestFits(t *testing.T) {
	for _, tt := range []struct{ name, pattern, bus string }{
		{"a name of an algorithm", "crypto-aes", ""},
		{"a request for a character device", "char-major-10-130", ""},
		{"a device node", "devname:fuse", ""},
		{"nothing", "", ""},
		{"a prefix alone", "pci:", ""},
		{"digits in lower case", "pci:v00008086d000010d3sv*sd*bc*sc*i*", ""},
		{"upper case where the kernel writes lower case", "tee:BE96D7B2-8F7E-4C4A-9C3E-000000000000", ""},
		{"too few digits", "pci:v8086d10D3sv*sd*bc*sc*i*", ""},
		{"too many digits", "usb:v012345p*", ""},
		{"fields in another order", "pci:d*v*", ""},
		{"a value before the first tag", "pci:8086*", ""},
		{"an escape at the end", `i2c:x\`, ""},
		{"a set with none of the digits", "mdio:[ab]*", ""},

		{"a pattern of a table", "pci:v00008086d000010D3sv*sd*bc*sc*i*", "pci"},
		{"another of the same table", "vfio_pci:v*d*sv*sd*bc*sc*i*", "vfio_pci"},
		{"a star for the rest", "pci:v00008086*", "pci"},
		{"a star for some fields", "usb:v*ic03*", "usb"},
		{"a range of digits", "usb:v0BDAp8153d00[0-2]*dc*dsc*dp*ic*isc*ip*in*", "usb"},
		{"a star in the prefix", "acpi*:PNP0C0B:*", "acpi"},
		{"and in another", "dmi*:svn*ASUS*:pn*X505*:", "dmi"},
		{"a set in a tag", "dmi:*:[bs]vnD[Ee][Ll][Ll]*:*", "dmi"},
		{"question marks for digits", "mdio:0000000000100010010101100001????", "mdio_bus"},
		{"a processor's feature", "cpu:type:*:feature:*0081*", "cpu"},
		{"a processor's model", "cpu:type:x86,ven0000fam0006mod0086:feature:*", "cpu"},
		{"some keys of a keyboard", "input:b*v*p*e*-e*1,*k*130,*r*a*m*l*s*f*w*", "input"},
		{"a field that can be missing", "typec:idFF01", "typec"},
		{"and is there", "typec:idFF01m01", "typec"},
		{"an escape", `i2c:\*`, "i2c"},
		{"an unclosed bracket", "i2c:[x", "i2c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bus := ""
			if f := modalias.FormOf(tt.pattern); f != nil {
				bus = f.Bus
			}
			if bus != tt.bus {
				t.Errorf("FormOf(%q) is %q, want %q", tt.pattern, bus, tt.bus)
			}
		})
	}
}

// ids makes device ids of a form, and patterns that match them.
func ids(f *modalias.Form) *rapid.Generator[modalias.ID] {
	return rapid.Custom(func(t *rapid.T) modalias.ID {
		id := modalias.ID{Form: f}
		for i := range f.Fields {
			field := &f.Fields[i]
			if field.Optional && rapid.Bool().Draw(t, "missing") {
				continue
			}
			id.Values = append(id.Values, modalias.Value{Field: field, Text: value(field.Kind).Draw(t, field.Name)})
		}
		return id
	})
}

// value makes values as the kernel prints them.
func value(k modalias.Kind) *rapid.Generator[string] {
	printed := func(format string, most uint32) *rapid.Generator[string] {
		return rapid.Map(rapid.Uint32Range(0, most), func(n uint32) string { return fmt.Sprintf(format, n) })
	}
	switch k {
	case modalias.Hex1:
		return printed("%X", 0xFF)
	case modalias.Hex2:
		return printed("%02X", 0xFF)
	case modalias.Hex4:
		return printed("%04X", 0xFFFF)
	case modalias.Hex6:
		return printed("%06X", 1<<32-1)
	case modalias.Hex8:
		return printed("%08X", 1<<32-1)
	case modalias.LowerHex:
		return printed("%x", 1<<32-1)
	case modalias.Lower4:
		return printed("%04x", 0xFFFF)
	case modalias.Decimal:
		return printed("%d", 1<<32-1)
	case modalias.Bits:
		return printed("%032b", 1<<32-1)
	case modalias.Codes:
		return rapid.StringMatching(`([0-9A-F]{1,3},){0,9}`)
	case modalias.Lower32:
		return rapid.StringMatching(`[0-9a-f]{32}`)
	case modalias.UUID:
		return rapid.StringMatching(`[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}`)
	case modalias.GUID:
		return rapid.StringMatching(`[0-9A-F]{8}-([0-9A-F]{4}-){3}[0-9A-F]{12}`)
	case modalias.Name:
		return rapid.StringMatching(`[a-zA-Z0-9,_.-]{1,20}`)
	default:
		return rapid.StringMatching(`[a-zA-Z0-9,_.-]{0,20}`)
	}
}

func anyForm(t *rapid.T) *modalias.Form {
	return rapid.SampledFrom(slices.Collect(modalias.Forms())).Draw(t, "form")
}

// A table has "*" for what its driver doesn't care about, and may end with one.
func TestPatternsOfAnIDFitItsFormAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := ids(anyForm(t)).Draw(t, "id")
		text := id.String()
		for i := range id.Values {
			if rapid.Bool().Draw(t, "any") {
				id.Values[i].Text = "*"
			}
		}
		pattern := id.String() + rapid.SampledFrom([]string{"", "*"}).Draw(t, "end")
		if !modalias.Match(pattern, text) {
			t.Fatalf("%q does not match %q", pattern, text)
		}
		if diff := cmp.Diff([]string{id.Form.Bus}, fits(pattern)); diff != "" {
			t.Fatalf("%q fits (-want +got):\n%s", pattern, diff)
		}
	})
}

// FuzzFits looks for patterns that take forever, and for ids that fit no form
// as the patterns that they are.
func FuzzFits(f *testing.F) {
	f.Add("dmi*:svn*ASUS*:pn*X505*:")
	f.Add("dmi" + strings.Repeat("*:", 500))
	f.Add("of:N" + strings.Repeat("TC", 500))
	f.Add(`cpu:type:[x]86,ven\**`)
	f.Fuzz(func(t *testing.T, text string) {
		form := modalias.FormOf(text)
		id, err := modalias.Parse(text)
		if err == nil && form != id.Form && !strings.ContainsAny(text, `*?[\`) {
			t.Errorf("%q is an id of bus %s, and fits %v", text, id.Form.Bus, form)
		}
	})
}

// lines are those of a file in testdata that are not comments.
func lines(t *testing.T, name string) (all []string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}
