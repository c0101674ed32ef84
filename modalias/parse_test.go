package modalias_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/modalias"
)

// fields writes what an id says, a line for each value.
func fields(id modalias.ID) (all []string) {
	for _, v := range id.Values {
		all = append(all, v.Field.Name+"="+v.Text)
	}
	return all
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, id, bus string
		want          []string
	}{
		{"a PCI network card", "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", "pci", []string{
			"vendor=00008086", "device=000010D3", "subsystem's vendor=00008086", "subsystem's device=00000000",
			"class=02", "subclass=00", "interface=00"}},
		{"tags that begin alike", "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00", "usb", []string{
			"vendor=46F4", "product=0001", "release=0000", "device's class=00", "device's subclass=00", "device's protocol=00",
			"interface's class=08", "interface's subclass=06", "interface's protocol=50", "interface's number=00"}},
		{"lists of codes, some of them empty", "input:b0019v0000p0001e0000-e0,1,k74,ramlsfw", "input", []string{
			"bus=0019", "vendor=0000", "product=0001", "version=0000", "events=0,1,", "keys=74,", "relative axes=",
			"absolute axes=", "miscellaneous=", "lights=", "sounds=", "force feedback=", "switches="}},
		{"keys that were too many to write", "input:b0003v0001p0002e0111-e0,1,k71,72,+,ramlsfw", "input", []string{
			"bus=0003", "vendor=0001", "product=0002", "version=0111", "events=0,1,", "keys=71,72,+,", "relative axes=",
			"absolute axes=", "miscellaneous=", "lights=", "sounds=", "force feedback=", "switches="}},
		{"fields that are missing or empty", "dmi:bvn:bd04/17/2019:svnQEMU:", "dmi", []string{
			"BIOS vendor=", "BIOS date=04/17/2019", "system vendor=QEMU"}},
		{"tags without values", "ccw:t3990mE9dtdm", "ccw", []string{
			"control unit's type=3990", "control unit's model=E9", "device's type=", "device's model="}},
		{"several ids", "acpi:IBM0068:PNP0C02:", "acpi", []string{"ids=IBM0068:PNP0C02"}},
		{"several compatible strings", "of:NserialT(null)Cfsl,imx8mq-uartCfsl,imx6q-uart", "of", []string{
			"name=serial", "type=(null)", "compatible=fsl,imx8mq-uartCfsl,imx6q-uart"}},
		{"a node without compatible strings", "of:NcpuTcpu", "of", []string{"name=cpu", "type=cpu"}},
		{"a text before a tag that is in it", "tbsvc:kp2pp00000001v00000001r00000001", "thunderbolt", []string{
			"protocol's key=p2p", "protocol=00000001", "version=00000001", "revision=00000001"}},
		{"a processor", "cpu:type:x86,ven0002fam0017mod0001:feature:,0000,0001", "cpu", []string{
			"type=x86", "vendor=0002", "family=0017", "model=0001", "features=,0000,0001"}},
		{"a processor that is told by its features alone", "cpu:type:aarch64:feature:,0000", "cpu", []string{
			"type=aarch64", "features=,0000"}},
		{"a mode of a plug", "typec:idFF01m01", "typec", []string{"standard or vendor=FF01", "mode=01"}},
		{"a plug without a mode", "typec:idFF01", "typec", []string{"standard or vendor=FF01"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, err := modalias.Parse(tt.id)
			if err != nil {
				t.Fatal(err)
			}
			if id.Form.Bus != tt.bus || id.String() != tt.id {
				t.Errorf("bus %s, and printed %s", id.Form.Bus, id)
			}
			if diff := cmp.Diff(tt.want, fields(id)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseSaysWhereItEnded(t *testing.T) {
	for _, tt := range []struct{ name, id, want string }{
		{"no bus", "nobody:x", `device id "nobody:x": of no bus that is known`},
		{"nothing", "", `device id "": of no bus that is known`},
		{"a field that is missing", "virtio:d00000001",
			`device id "virtio:d00000001" of bus virtio: after byte 16 the vendor is expected: "v" and 8 hexadecimal digits in upper case`},
		{"digits in lower case", "virtio:d0000000av00001AF4",
			`device id "virtio:d0000000av00001AF4" of bus virtio: after byte 7 the device is expected: "d" and 8 hexadecimal digits in upper case`},
		{"more than there should be", "virtio:d00000001v00001AF4x",
			`device id "virtio:d00000001v00001AF4x" of bus virtio: after byte 25 the end is expected`},
		{"a pattern", "virtio:d00000001v*",
			`device id "virtio:d00000001v*" of bus virtio: after byte 16 the vendor is expected: "v" and 8 hexadecimal digits in upper case`},
		{"a name that is empty", "i2c:",
			`device id "i2c:" of bus i2c: after byte 4 the name is expected: "" and text`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := modalias.Parse(tt.id)
			var form *modalias.FormError
			if !errors.As(err, &form) || err.Error() != tt.want {
				t.Errorf("error %v\nwant  %s", err, tt.want)
			}
		})
	}
}

func TestGet(t *testing.T) {
	id, err := modalias.Parse("typec:idFF01")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		field, want string
		ok          bool
	}{
		{"no such field", "", false},
		{"mode", "", false},
		{"standard or vendor", "FF01", true},
	} {
		if text, ok := id.Get(tt.field); text != tt.want || ok != tt.ok {
			t.Errorf("Get(%q) = %q, %v", tt.field, text, ok)
		}
	}
}

// What the kernel's buses print, with numbers that need all their digits and
// with zeros.
func TestWhatBusesPrintIsParsed(t *testing.T) {
	const uuid = "1e9c3f86-4b1a-44aa-8b67-0a5f5c1e7d42"
	verb := regexp.MustCompile(`%(\*phN|pU[lLb]|\.\*s|\d*[a-zA-Z])`)
	for _, line := range lines(t, "formats.txt") {
		file, format, ok := strings.Cut(line, " ")
		if !ok {
			t.Fatalf("testdata: %s", line)
		}
		for _, number := range []uint64{0, 1, 1<<64 - 1} {
			printed := verb.ReplaceAllStringFunc(format, func(v string) string {
				switch v {
				case "%pUL":
					return strings.ToUpper(uuid)
				case "%pUl", "%pUb":
					return uuid
				case "%*phN":
					return strings.ReplaceAll(uuid, "-", "")
				case "%s", "%.*s":
					return "some-name.1"
				case "%d", "%x", "%04x", "%08X", "%04X", "%02X", "%02x", "%01X", "%03d":
					return lowBits(v, number)
				}
				t.Fatalf("%s: testdata has the verb %s", file, v)
				return ""
			})
			id, err := modalias.Parse(printed)
			if err != nil {
				t.Errorf("%s: %v", file, err)
			} else if id.String() != printed {
				t.Errorf("%s: %s is printed as %s", file, printed, id)
			}
		}
	}
}

// lowBits prints the low bits of a number: as many as its verb has digits for.
func lowBits(verb string, number uint64) string {
	bits := map[string]int{"%02X": 8, "%02x": 8, "%01X": 4, "%04X": 16, "%04x": 16, "%d": 15, "%03d": 15}[verb]
	if bits == 0 {
		bits = 32
	}
	return fmt.Sprintf(verb, number&(1<<bits-1))
}

func TestRecordedIDsArePrintedAsTheyWere(t *testing.T) {
	buses := map[string]int{}
	for _, line := range lines(t, "recorded.txt") {
		id, err := modalias.Parse(line)
		if err != nil {
			t.Error(err)
			continue
		}
		if id.String() != line {
			t.Errorf("%s is printed as %s", line, id)
		}
		buses[id.Form.Bus]++
	}
	for _, bus := range []string{"acpi", "cpu", "dmi", "hdaudio", "hid", "i2c", "input", "of", "pci", "platform", "scsi", "serio", "usb", "virtio"} {
		if buses[bus] == 0 {
			t.Errorf("testdata has no id of bus %s", bus)
		}
	}
}

// Texts may be divided in more than one way, so the values need not be those
// that were put in.
func TestIDsOfAllFormsAreParsedAndPrinted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := ids(anyForm(t)).Draw(t, "id")
		text := want.String()
		got, err := modalias.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got.Form != want.Form || got.String() != text {
			t.Fatalf("%q is printed as %q, of bus %s", text, got, got.Form.Bus)
		}
	})
}

func TestParseAllocatesItsValuesAlone(t *testing.T) {
	id := "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"
	if n := testing.AllocsPerRun(100, func() { modalias.Parse(id) }); n > 3 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse looks for ids that are not printed as they were.
func FuzzParse(f *testing.F) {
	f.Add("pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00")
	f.Add("of:NserialT(null)Cfsl,imx8mq-uartCfsl,imx6q-uart")
	f.Add("dmi:bvn:bd04/17/2019:svnQEMU:")
	f.Add("tbsvc:kp2pp00000001v00000001r00000001")
	f.Add("of:N" + strings.Repeat("TC", 1000))
	f.Add("dmi:bvn:bvr:bd:br:efr:svn:pn:pvr:rvn:rn:rvr:cvn:ct:cvr:sku:x")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := modalias.Parse(text); err == nil && id.String() != text {
			t.Errorf("%q is printed as %q", text, id)
		}
	})
}
