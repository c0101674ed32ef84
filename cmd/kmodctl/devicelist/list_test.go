package devicelist

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/rules"
)

func TestWhatIsNoList(t *testing.T) {
	for _, tt := range []struct{ name, text, says string }{
		{"nothing", "", `it has no line "format 1"`},
		{"comments alone", "# format 1\n\n", `it has no line "format 1"`},
		{"something else", "\x7fELF\x02", `line 1: no list of devices: the first line that says anything is "format 1"`},
		{"a device before the format", "/devices/a pci pci:a\nformat 1\n", "line 1: "},
		{"the format of tomorrow", "# new\nformat 2\n", "line 2: a list of format 2: this program knows format 1"},
		{"another one in the middle", "format 1\nformat 2\n", "line 2: a list of format 2"},
		{"no number", "format\n", "line 1: a list of format "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := Parse(tt.text); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
		})
	}
}

func TestLinesThatAreLeftOut(t *testing.T) {
	const good = "/devices/good pci pci:good"
	for _, tt := range []struct{ name, line, says string }{
		{"an unknown word", "boat yes", `2: there is no word "boat", and a device's path begins with a slash`},
		{"a word that says nothing", "kernel", "2: kernel says nothing"},
		{"a module without a name", "loaded", "2: loaded says nothing"},
		{"a device without a MODALIAS", "/devices/a pci", "2: a device has a path, a subsystem and a MODALIAS, between blanks"},
		{"a variable without a value", "/devices/a pci pci:a DEVTYPE", `2: "DEVTYPE" is no VARIABLE=VALUE; a blank within a field is written \x20`},
		{"a variable without a name", "/devices/a pci pci:a =x", `2: "=x" is no VARIABLE=VALUE; a blank within a field is written \x20`},
		{"an unknown escape", `/devices/a pci pci:\n`, `2: a \ is not followed by x and two hexadecimal digits: write \x5c for one that is meant so`},
		{"half an escape", `cmdline a.b=\x2`, `2: a \ is not followed by x and two hexadecimal digits: write \x5c for one that is meant so`},
		{"an escape of no byte", `/devices/\xgg pci pci:a`, `2: \xgg is no byte: x is followed by two hexadecimal digits`},
		{"a signed byte", `/devices/\x+1 pci pci:a`, `2: \x+1 is no byte: x is followed by two hexadecimal digits`},
		{"a device twice", "/devices/a pci pci:a\n/devices/a usb usb:b", "3: line 2 has a device of that path already"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, mistakes, err := Parse("format 1\n" + tt.line + "\n" + good + "\n")
			if err != nil {
				t.Fatal(err)
			}
			if len(mistakes) != 1 || mistakes[0].String() != tt.says {
				t.Errorf("mistakes %v, want %q", mistakes, tt.says)
			}
			if n := len(l.Devices); n == 0 || l.Devices[n-1].Path != "/devices/good" {
				t.Errorf("the line after it was not read: %v", l.Devices)
			}
		})
	}
}

func TestWhatAPersonWrites(t *testing.T) {
	l, mistakes, err := Parse("\n# mine\n  format 1\r\ncmdline\t loop.max_loop=4 \ncmdline a.b=\"c d\"\n" +
		"loaded vfat\n/devices/a\tpci  pci:a\n/devices/b - of:b DEVTYPE= DRIVER=c OF_NAME=\\x41=b\n/devices/c \\x2d c:d")
	if err != nil || mistakes != nil {
		t.Fatal(mistakes, err)
	}
	want := &List{
		CommandLine: []string{"loop.max_loop=4", `a.b="c d"`},
		Loaded:      []string{"vfat"},
		Devices: []rules.Device{
			{Path: "/devices/a", Subsystem: "pci", Modalias: "pci:a"},
			{Path: "/devices/b", Modalias: "of:b", Driver: "c", Env: []string{"DEVTYPE=", "OF_NAME=A=b"}},
			{Path: "/devices/c", Subsystem: "-", Modalias: "c:d"},
		},
	}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Error(diff)
	}
}

// anyBytes are those that a device may call itself by, too.
func anyBytes(least int) *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), least, 20), func(b []byte) string { return string(b) })
}

func lists() *rapid.Generator[*List] {
	variable := rapid.Custom(func(t *rapid.T) string {
		return rapid.StringMatching(`[A-Z_]{1,8}`).Filter(func(s string) bool { return s != "DRIVER" }).Draw(t, "name") +
			"=" + anyBytes(0).Draw(t, "value")
	})
	device := rapid.Custom(func(t *rapid.T) rules.Device {
		return rules.Device{
			Path:      "/" + anyBytes(0).Draw(t, "path"),
			Subsystem: rapid.OneOf(rapid.Just("-"), anyBytes(0)).Draw(t, "subsystem"),
			Modalias:  anyBytes(1).Draw(t, "modalias"),
			Driver:    anyBytes(0).Draw(t, "driver"),
			Env:       rapid.SliceOf(variable).Draw(t, "env"),
		}
	})
	return rapid.Custom(func(t *rapid.T) *List {
		return &List{
			Tool:        anyBytes(0).Draw(t, "tool"),
			Kernel:      anyBytes(0).Draw(t, "kernel"),
			Machine:     anyBytes(0).Draw(t, "machine"),
			CommandLine: rapid.SliceOf(anyBytes(1)).Draw(t, "words"),
			Loaded:      rapid.SliceOf(anyBytes(1)).Draw(t, "loaded"),
			Devices:     rapid.SliceOfDistinct(device, func(d rules.Device) string { return d.Path }).Draw(t, "devices"),
		}
	})
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := lists().Draw(t, "list")
		text := want.Append(nil)
		got, mistakes, err := Parse(string(text))
		if err != nil || mistakes != nil {
			t.Fatal(mistakes, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		for _, c := range text {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Errorf("byte %#x is no printable ASCII:\n%s", c, text)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("format 1\nkernel 6.1\ncmdline a.b=c\n/devices/a pci pci:a DRIVER=x DEVTYPE=y\n")
	f.Add("format 1\n/devices/a - \\x41\\\n/devices/a\n")
	f.Add("format 2")
	f.Fuzz(func(t *testing.T, text string) {
		l, mistakes, err := Parse(text)
		if err != nil {
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, m := range mistakes {
			if m.Line < 1 || m.Line > lines || m.Says == "" {
				t.Errorf("mistake %v in %d lines", m, lines)
			}
		}
		again, mistakes, err := Parse(string(l.Append(nil)))
		if diff := cmp.Diff(l, again); diff != "" || mistakes != nil || err != nil {
			t.Errorf("what was read is not read again: %v %v\n%s", mistakes, err, diff)
		}
	})
}

func TestMask(t *testing.T) {
	for _, tt := range []struct{ name, modalias, path, want string }{
		{"a chip's serial number", "w1:a", "/devices/w1_bus_master1/28-0000052e8e5b/hwmon/hwmon0", "/devices/w1_bus_master1/28-~1/hwmon/hwmon0"},
		{"a network interface", "mdio:a", "/devices/pci0000:00/usb1/1-1/1-1:1.0/net/enx001122334455/phy", "/devices/pci0000:00/usb1/1-1/1-1:1.0/net/enx~1/phy"},
		{"a MAC address", "x:a", "/devices/b/00:11:22:aa:BB:cc/d-00-11-22-aa-BB-cd", "/devices/b/~2/d-~1"},
		{"a WWN", "scsi:t-0x00", "/devices/css0/0x500507630300c562/0x4011400000000000/0:0:0:0", "/devices/css0/0x~2/0x~1/0:0:0:0"},
		{"an instance of Hyper-V", "vmbus:635161f83edfc546913ff2d2f965ed0e", "/devices/VMBUS:01/000d3a1b-2c3d-000d-3a1b-2c3d000d3a1b", "/devices/VMBUS:01/~1"},

		{"a kind of mei", "mei::55213584-9A29-4916-BADF-0FB7ED682AEB:01:", "/devices/pci0000:00/0000:00:16.0/0000:00:16.0-55213584-9a29-4916-badf-0fb7ed682aeb", ""},
		{"a kind that the MODALIAS writes without dashes", "wmi:05901221D56611D1B2F000A0C9062910", "/devices/wmi_bus/05901221-D566-11D1-B2F0-00A0C9062910", ""},
		{"an address of memory", "of:a", "/devices/platform/soc@840000000000/848000000000.pci", ""},
		{"numbers of buses", "pci:a", "/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/0003:046D:C52B.0001", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			devices := []rules.Device{{Path: tt.path, Modalias: tt.modalias}}
			Mask(devices)
			want := tt.want
			if want == "" {
				want = tt.path
			}
			if got := devices[0].Path; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// The numbers are in the order of what they stand for, and a device stays below
// its bus.
func TestMaskKeepsOrder(t *testing.T) {
	var devices []rules.Device
	for i := range 12 {
		devices = append(devices, rules.Device{Path: fmt.Sprintf("/devices/bus/28-%012x", 1000-i), Modalias: "w1:a"})
	}
	devices = append(devices, rules.Device{Path: devices[0].Path + "/below", Modalias: "w1:a"})
	Mask(devices)
	if first, last := devices[0].Path, devices[11].Path; first != "/devices/bus/28-~12" || last != "/devices/bus/28-~01" {
		t.Errorf("the last number is %s, and the first one %s", first, last)
	}
	if got := devices[12].Path; got != "/devices/bus/28-~12/below" {
		t.Errorf("below it is %s", got)
	}
}

func TestKeep(t *testing.T) {
	got := Keep([]string{
		"DRIVER=hid-generic", "MODALIAS=hid:b0005g0001v0000046Dp0000B342", "HID_NAME=Anna's keyboard", "HID_UNIQ=00:1f:20:ab:cd:ef",
		"HID_PHYS=a0:b1:c2:d3:e4:f5", "HID_ID=0005:0000046D:0000B342", "DEVTYPE=usb_interface", "PRODUCT=46d/b342/1", "UNIQ=x", "junk",
		"OF_COMPATIBLE_0=fsl,imx8mq-uart", "OF_FULLNAME=/soc@840000000000/pci", "INTERFACE=enx001122334455", "SERIAL=1", "W1_SLAVE_ID=28-0000052e8e5b",
	})
	want := []string{"HID_ID=0005:0000046D:0000B342", "DEVTYPE=usb_interface", "PRODUCT=46d/b342/1",
		"OF_COMPATIBLE_0=fsl,imx8mq-uart", "OF_FULLNAME=/soc@840000000000/pci"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeepWords(t *testing.T) {
	known := func(module string) bool {
		return slices.Contains([]string{"loop", "netconsole", "smsc95xx", "nfs", "spl"}, module)
	}
	words, left := KeepWords("root=UUID=0b1c2d3e-1111-2222-3333-444455556666 rd.luks.uuid=1 systemd.hostname=anna luks.key=x loop.max_loop=4 "+
		"netconsole.netconsole=@10.0.0.1/,@10.0.0.2/ smsc95xx.macaddr=B8:27:EB:11:22:33 nfs.nfs4_unique_id=123456789abc "+
		"nfs.callback=fe80::1 spl.spl_hostid=0x1 modprobe.blacklist=a,b module_blacklist=c quiet", known)
	if diff := cmp.Diff([]string{"loop.max_loop=4", "modprobe.blacklist=a,b", "module_blacklist=c"}, words); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"netconsole.netconsole", "smsc95xx.macaddr", "nfs.nfs4_unique_id", "nfs.callback", "spl.spl_hostid"}, left); diff != "" {
		t.Error(diff)
	}
}

// What the documentation shows is what is written.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/plan.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range kept {
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/plan.md does not name the variable %s", name)
		}
	}
}
