package modalias_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/modalias/modaliastest"
)

func TestParsePattern(t *testing.T) {
	for _, tt := range []struct {
		name, pattern string
		want          []string
	}{
		{"an id", "virtio:d00000001v00001AF4", []string{"device=00000001", "vendor=00001AF4"}},
		{"some fields", "virtio:d00000001v*", []string{"device=00000001", "vendor=*"}},
		{"digits in a range", "usb:v04B8p0202d01[0-9]*dc*dsc*dp*icFFisc*ip*in*", []string{
			"vendor=04B8", "product=0202", "release=01[0-9]*", "device's class=*", "device's subclass=*", "device's protocol=*",
			"interface's class=FF", "interface's subclass=*", "interface's protocol=*", "interface's number=*"}},
		{"single digits", "mdio:0000000000100010000101010110????", []string{"PHY id=0000000000100010000101010110????"}},
		{"a star for many fields", "sdio:c*", []string{"class=*", "vendor=*", "device=*"}},
		{"a star that a value has no room for", "sdio:c00*", []string{"class=00", "vendor=*", "device=*"}},
		{"a star between fields", "sdio:c00*dA9A6", []string{"class=00", "vendor=*", "device=A9A6"}},
		{"a star in place of fields that may be missing", "dmi*:svn*Acer*:pn*:", []string{"system vendor=*Acer*", "product name=*"}},
		{"a star in place of a tag's beginning", "dmi:*svnAcer:pnAO*", []string{"system vendor=Acer", "product name=AO*"}},
		{"a star in place of a tag's end", "dmi:*:pnAO*:", []string{"product name=AO*"}},
		{"one of several ids", "acpi*:PNP0A08:*", []string{"ids=PNP0A08"}},
		{"any compatible string but the first", "of:N*T*Cbrcm,bcm2835-auxC*", []string{"name=*", "type=*", "compatible=brcm,bcm2835-auxC*"}},
		{"a processor's feature", "cpu:type:x86,ven0002fam*mod*:feature:*00C0*", []string{
			"type=x86", "vendor=0002", "family=*", "model=*", "features=*00C0*"}},
		{"codes in lists", "input:b*v*p*e*-e*1,*k*14A,*r*a*m*l*s*f*w*", []string{
			"bus=*", "vendor=*", "product=*", "version=*", "events=*1,*", "keys=*14A,*", "relative axes=*",
			"absolute axes=*", "miscellaneous=*", "lights=*", "sounds=*", "force feedback=*", "switches=*"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, err := modalias.ParsePattern(tt.pattern)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, fields(id)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePatternSaysWhereItEnded(t *testing.T) {
	for _, tt := range []struct{ name, pattern, want string }{
		{"no bus", "nobody:*", `device id "nobody:*": of no bus that is known`},
		{"too few digits", "virtio:d0001v*",
			`device id "virtio:d0001v*" of bus virtio: after byte 7 the device is expected: "d" and 8 hexadecimal digits in upper case`},
		{"too long", "i2c:" + strings.Repeat("*", modalias.MaxLen),
			`device id "i2c:` + strings.Repeat("*", 96) + `": of no bus that is known`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := modalias.ParsePattern(tt.pattern)
			var form *modalias.FormError
			if !errors.As(err, &form) || err.Error() != tt.want {
				t.Errorf("error %v\nwant  %s", err, tt.want)
			}
		})
	}
}

// What file2alias.c writes: an id with stars in place of some values.
func TestPatternsOfAllFormsAreParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := ids(anyForm(t)).Draw(t, "id")
		for i := range id.Values {
			if rapid.Bool().Draw(t, "any") {
				id.Values[i].Text = "*"
			}
		}
		pattern := id.String()
		got, err := modalias.ParsePattern(pattern)
		if err != nil {
			t.Fatalf("%q: %v", pattern, err)
		}
		if got.Form != id.Form {
			t.Fatalf("%q is of bus %s, want %s", pattern, got.Form.Bus, id.Form.Bus)
		}
	})
}

// indivisible are patterns of Debian's whose stars stand for parts of any field.
func indivisible(pattern string) bool {
	return strings.HasPrefix(pattern, "dmi:*:*") || strings.HasPrefix(pattern, "dmi:*:[bs]")
}

// The patterns of Debian's kernel are divided, and an id that has the values of
// a pattern is matched by it.
func TestDebiansPatternsAreParsed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	divided := 0
	for _, pattern := range debianAliases(t, debian.AMD64) {
		form := modalias.FormOf(pattern)
		if form == nil {
			continue
		}
		id, err := modalias.ParsePattern(pattern)
		if err != nil {
			if !indivisible(pattern) {
				t.Error(err)
			}
			continue
		}
		divided++
		if id.Form != form {
			t.Errorf("%s is of bus %s, want %s", pattern, id.Form.Bus, form.Bus)
		}
		for i, v := range id.Values {
			id.Values[i].Text = modaliastest.Concrete(v.Text, r)
		}
		if !modalias.Match(pattern, id.String()) && !modalias.Match(pattern, withAll(id).String()) {
			t.Errorf("%s does not match %s, which was made from its values", pattern, id)
		}
	}
	if divided < 20000 {
		t.Errorf("only %d patterns", divided)
	}
}

// withAll adds the fields that may be missing: where a star stands for some,
// there must be one.
func withAll(id modalias.ID) modalias.ID {
	all := modalias.ID{Form: id.Form}
	for i := range id.Form.Fields {
		f := &id.Form.Fields[i]
		text, _ := id.Get(f.Name)
		all.Values = append(all.Values, modalias.Value{Field: f, Text: text})
	}
	return all
}

// FuzzParsePattern looks for patterns that take too long, and for ids that are
// no patterns.
func FuzzParsePattern(f *testing.F) {
	f.Add("usb:v04B8p0202d01[0-9]*dc*dsc*dp*icFFisc*ip*in*")
	f.Add("dmi:*svn[A-C]*:pn\\**:")
	f.Add("of:" + strings.Repeat("*N*T*C", 600))
	f.Add("dmi" + strings.Repeat("*:bvn*:svn", 400))
	f.Fuzz(func(t *testing.T, text string) {
		id, err := modalias.Parse(text)
		if err != nil || len(text) > modalias.MaxLen || strings.ContainsAny(text, `*?[\`) {
			modalias.ParsePattern(text)
			return
		}
		got, err := modalias.ParsePattern(text)
		if err != nil || got.Form != id.Form {
			t.Errorf("%q is an id and no pattern: %v", text, err)
		}
	})
}
