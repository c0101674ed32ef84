package words_test

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodctl/words"
	"github.com/kmodd/kmodd/modalias"
)

// few has a name for each of a few numbers.
type few struct{}

func (few) PCIDevice(vendor, device string) (names []string) {
	switch {
	case vendor+device == "80860100":
		return []string{"Intel", "Bridge"}
	case vendor == "8086" || vendor == "1AF4":
		return []string{map[string]string{"8086": "Intel", "1AF4": "Red Hat"}[vendor]}
	}
	return nil
}

func (few) PCISubsystem(vendor, device, boardVendor, board string) string {
	if vendor+device+boardVendor+board == "808601001AF41100" {
		return "Machine"
	}
	return ""
}

func (few) PCIClass(class, subclass, protocol string) []string {
	if class != "06" {
		return nil
	}
	return []string{"Bridge", "Host bridge"}
}

func (few) USBDevice(vendor, device string) []string {
	if vendor != "046D" {
		return nil
	}
	return []string{"Logitech"}
}

func (few) USBClass(class, subclass, protocol string) []string { return nil }

// said are the fields that have words, a line for each.
func said(d words.Description) (all []string) {
	for _, f := range d.Fields {
		if f.Says != "" {
			all = append(all, f.Name+" "+f.Value+": "+f.Says)
		}
	}
	return all
}

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		modalias, name string
		said           []string
	}{
		{"pci:v00008086d00000100sv00001AF4sd00001100bc06sc00i00", "Intel Bridge", []string{
			"vendor 00008086: Intel", "device 00000100: Bridge", "subsystem's vendor 00001AF4: Red Hat",
			"subsystem's device 00001100: Machine", "class 06: Bridge", "subclass 00: Host bridge"}},
		{"pci:v00009999d00000100sv00000000sd00000000bc06sc00i00", "Host bridge", []string{"class 06: Bridge", "subclass 00: Host bridge"}},
		{"usb:v046DpC52Bd1203dc00dsc00dp00ic03isc01ip01in00", "Logitech (Human Interface Device)", []string{
			"vendor 046D: Logitech", "release 1203: 12.03", "device's class 00: (Defined at Interface level)",
			"interface's class 03: Human Interface Device"}},
		{"hid:b0005g0001v0000046Dp0000B342", "on Bluetooth", []string{"bus 0005: Bluetooth", "group 0001: generic"}},
		{"input:b0003v0001p0002e0111-e0,1,11,k71,72,+,ramlsfw", "keys", []string{
			"bus 0003: USB", "events 0,1,11,: synchronisation, keys, lights", "keys 71,72,+,: keys"}},
		{"input:b0019v0000p0005e0000-e0,5,kramlsfw0,", "", []string{
			"bus 0019: the mainboard", "events 0,5,: synchronisation, switches", "switches 0,: lid"}},
		{"serio:ty02pr1Cid00ex00", "RS-232 port Gunze touchscreen", []string{"type 02: RS-232 port", "protocol 1C: Gunze touchscreen"}},
		{"acpi:IBM0068:PNP0C0A:", "battery", []string{"compatible PNP0C0A: battery"}},
		{"acpi:IBM0068:", "IBM0068", nil},
		{"pnp:dPNP0501", "serial port, 16550A", []string{"id PNP0501: serial port, 16550A"}},
		{"virtio:d00000002v00001AF4", "disk", []string{"device 00000002: disk", "vendor 00001AF4: Red Hat"}},
		{"sdio:c07v02D0dA9A6", "Broadcom Wi-Fi", []string{"class 07: Wi-Fi", "vendor 02D0: Broadcom"}},
		{"mmc:block", "memory card", []string{"card block: a memory card, or an eMMC chip"}},
		{"ssb:v4243id0812rev10", "Broadcom Wi-Fi", []string{"vendor 4243: Broadcom", "core 0812: Wi-Fi"}},
		{"hdaudio:v8086280Br00100000a01", "Intel codec 280B", []string{"vendor 8086: Intel", "API 01: for snd_hda_intel and the like"}},
		{"typec:idFF01m01", "DisplayPort", []string{"standard or vendor FF01: DisplayPort"}},
		{"ieee1394:ven00001234mo00000001sp0000609Ever00010483", "storage", []string{
			"specifier 0000609E: NCITS, for SBP-2", "version 00010483: SBP-2: a disk, or the like"}},
		{"dmi:bvn:bd04/17/2019:svnQEMU:pnPC:ct10:", "QEMU PC", []string{"chassis type 10: notebook"}},
		{"mdio:00000000001000100001010101100010", "with id 0x00221562", []string{"PHY id 00000000001000100001010101100010: 0x00221562"}},
		{"amba:d00241011", "Arm PL011, UART", []string{"peripheral id 00241011: Arm PL011, UART, revision 2"}},
		{"amba:d00080180", "", []string{"peripheral id 00080180: part 180 of designer 80, revision 0"}},
		{"cpu:type:x86,ven0002fam0017mod0001:feature:,0000,0001", "AMD x86", []string{
			"vendor 0002: AMD", "family 0017: 23", "model 0001: 1", "features ,0000,0001: 2 features"}},
		{"auxiliary:mlx5_core.eth", "mlx5_core.eth", []string{"name mlx5_core.eth: eth, made by module mlx5_core"}},
		{"scsi:t-0x05", "CD or DVD", []string{"type 05: CD or DVD"}},
		{"vmbus:635161f83edfc546913ff2d2f965ed0e", "network card", []string{"class 635161f83edfc546913ff2d2f965ed0e: network card"}},
		{"of:NserialT(null)Cfsl,imx8mq-uartCfsl,imx6q-uart", "fsl,imx8mq-uart", []string{
			"type (null): none", "compatible fsl,imx8mq-uart: the most specific"}},
		{"of:Nl-lanTnetworkCIBM,l-lanCIBM,vethABC1", "IBM,l-lan", []string{"compatible IBM,l-lan: the most specific"}},
		{"platform:pcspkr", "pcspkr", nil},
		{"spi:tpm_tis-spi", "tpm_tis-spi", nil},
	} {
		t.Run(tt.modalias, func(t *testing.T) {
			d, err := words.Of(tt.modalias, few{})
			if err != nil {
				t.Fatal(err)
			}
			if d.Name != tt.name || d.Pattern {
				t.Errorf("called %q, pattern %v; want %q", d.Name, d.Pattern, tt.name)
			}
			if diff := cmp.Diff(tt.said, said(d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatAPatternLeavesOpenIsAny(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		any           []string
	}{
		{"virtio:d*v*", "", []string{"device", "vendor"}},
		{"virtio:d00000002v*", "disk", []string{"vendor"}},
		{"of:N*T*Cfsl,imx6q-uartC*", "fsl,imx6q-uart", []string{"name", "type", "compatible"}},
		{"dmi*:svn*Acer*:pn*:", "", []string{"product name"}},
		{"dmi:*:*Acer*:pnAOA*:", "", nil},
		{"acpi*:PNP0C0A:*", "battery", nil},
		{"usb:v04B8p0202d01[0-9]*dc*dsc*dp*icFFisc*ip*in*", "Vendor Specific Class", []string{
			"device's class", "device's subclass", "device's protocol", "interface's subclass", "interface's protocol", "interface's number"}},
	} {
		t.Run(tt.pattern, func(t *testing.T) {
			d, err := words.Of(tt.pattern, few{})
			if err != nil {
				t.Fatal(err)
			}
			if !d.Pattern || d.Name != tt.name {
				t.Errorf("called %q, pattern %v; want %q", d.Name, d.Pattern, tt.name)
			}
			var open []string
			for _, f := range d.Fields {
				if f.Any {
					open = append(open, f.Name)
				}
			}
			if diff := cmp.Diff(tt.any, open); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNoModaliasIsRefused(t *testing.T) {
	for _, text := range []string{"", "i2c:", "nobody:x", "nobody:*", "virtio:d1v2", "crypto-*"} {
		var form *modalias.FormError
		if d, err := words.Of(text, few{}); !errors.As(err, &form) {
			t.Errorf("%q: %v, error %v", text, d, err)
		}
	}
}

// examples are the ids in docs/buses.md, one of each form, and the recorded ones.
func examples(t *testing.T) (all []string) {
	t.Helper()
	docs, err1 := os.ReadFile(filepath.Join("..", "..", "..", "docs", "buses.md"))
	recorded, err2 := os.Open(filepath.Join("..", "..", "..", "modalias", "testdata", "recorded.txt"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer recorded.Close()
	for line := range strings.Lines(string(docs)) {
		if cells := strings.Split(line, " | "); len(cells) == 4 && strings.HasPrefix(cells[2], "`") {
			all = append(all, strings.Trim(cells[2], "`"))
		}
	}
	for lines := bufio.NewScanner(recorded); lines.Scan(); {
		if line := lines.Text(); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

func TestEveryBusHasWords(t *testing.T) {
	described := map[string]bool{}
	for _, text := range examples(t) {
		d, err := words.Of(text, few{})
		if err != nil {
			t.Error(err)
			continue
		}
		described[d.Bus] = true
		if d.Is == "" || strings.HasPrefix(d.Is, "a device of bus ") || len(d.Fields) == 0 || d.Pattern {
			t.Errorf("%s is %q: %v", text, d.Is, d.Fields)
		}
	}
	for f := range modalias.Forms() {
		if !described[f.Bus] {
			t.Errorf("no example of bus %s", f.Bus)
		}
	}
}

// FuzzOf looks for what makes it panic, and for values that are not in the text.
func FuzzOf(f *testing.F) {
	f.Add("of:N*T*Cfsl,imx6q-uartC*")
	f.Add("acpi:::")
	f.Add("hdaudio:v[0-9]???0022r*a*")
	f.Add("input:b0003v0001p0002e0111-e0,1,k71,72,+,ramlsfw")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := words.Of(text, few{})
		if err != nil {
			return
		}
		for _, field := range d.Fields {
			if field.Value != "*" && !strings.Contains(text, field.Value) {
				t.Errorf("%q has no %q", text, field.Value)
			}
		}
	})
}
