package bench

import (
	"os"
	"slices"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

func TestAliasesAreOfTheFamilyOfTheirBus(t *testing.T) {
	for alias, want := range map[string]string{
		"":                             "other",
		"fs-ext4":                      "other",
		"ip_set_hash:ip":               "other",
		"*:x":                          "other",
		"acpi*:LNXSYSTM:*":             "acpi",
		"pci:v00008086d*":              "pci",
		"dmi*:*svnAcer*:":              "dmi",
		"cpu:type:x86,ven*feature:*0*": "cpu",
	} {
		if got := familyOf(alias); got != want {
			t.Errorf("%s: family %q, want %q", alias, got, want)
		}
	}
}

func TestAHitLeadsToAModuleAndAMissToNone(t *testing.T) {
	tables, err := debianTable(t.Context(), os.Stderr, debian.ARM64)
	if err != nil {
		t.Fatal(err)
	}
	defer tables.tables.Close()
	families, err := tables.families()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if len(f.misses)*10 < len(f.hits)*9 {
			t.Errorf("%s: %d hits and only %d misses", f.name, len(f.hits), len(f.misses))
		}
		for _, name := range f.misses {
			if modules := tables.modules(name); modules != "" {
				t.Errorf("%s: the miss %q leads to %s", f.name, name, modules)
			}
		}
		for _, name := range f.hits {
			if found, err := tables.aliases.Search(nil, name); err != nil || len(found) == 0 {
				t.Errorf("%s: no alias matches %q: %v", f.name, name, err)
			}
		}
	}
	if !slices.ContainsFunc(families, func(f family) bool { return f.name == "of" }) {
		t.Error("no aliases of device trees")
	}
}
