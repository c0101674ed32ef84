package uevent

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	goudev "github.com/pilebones/go-udev/netlink"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/daemon/uevent/inject"
)

// message puts pieces together, each ended by a NUL.
func message(pieces ...string) []byte {
	return []byte(strings.Join(pieces, "\x00") + "\x00")
}

// parsed is an Event in a form that go-cmp prints well.
type parsed struct {
	Action                                                     Action
	Path, OldPath, Subsystem, Type, Driver, Modalias, Firmware string
	Seqnum                                                     uint64
}

func copied(e *Event) parsed {
	return parsed{e.Action, string(e.Path), string(e.OldPath), string(e.Subsystem),
		string(e.Type), string(e.Driver), string(e.Modalias), string(e.Firmware), e.Seqnum}
}

// usb is a whole event as a 6.1 kernel sends it.
var usb = message("add@/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0",
	"ACTION=add", "DEVPATH=/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0", "SUBSYSTEM=usb",
	"DEVTYPE=usb_interface", "PRODUCT=46f4/1/0", "TYPE=0/0/0", "INTERFACE=8/6/80",
	"MODALIAS=usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00", "SEQNUM=2171")

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name, says string
		message    []byte
	}{
		{"nothing", "header does not end", nil},
		{"a header without an end", "header does not end", []byte("add@/devices/a")},
		{"an empty header", "no ACTION@DEVPATH", message("", "ACTION=add")},
		{"udevd's messages", "udevd's", append([]byte("libudev\x00\xfe\xed\xca\xfe"), make([]byte, 64)...)},
		{"a header without @", "no ACTION@DEVPATH", message("add/devices/a")},
		{"a header without an action", "no ACTION@DEVPATH", message("@/devices/a")},
		{"a header without a path", "not an absolute path", message("add@")},
		{"a relative path", "not an absolute path", message("add@devices/a")},
		{"the root as a path", "not an absolute path", message("add@/")},
		{"an environment cut short", "does not end", []byte("add@/devices/a\x00SUBSYSTEM=usb")},
		{"an empty piece", "not KEY=VALUE", message("add@/devices/a", "")},
		{"a key without a value", "not KEY=VALUE", message("add@/devices/a", "SUBSYSTEM")},
		{"a value without a key", "not KEY=VALUE", message("add@/devices/a", "=usb")},
		{"another action than in the header", "ACTION contradicts", message("add@/devices/a", "ACTION=remove")},
		{"another path than in the header", "DEVPATH contradicts", message("add@/devices/a", "DEVPATH=/devices/b")},
		{"a second path that differs", "DEVPATH contradicts", message("add@/devices/a", "DEVPATH=/devices/a", "DEVPATH=/devices/b")},
		{"a SEQNUM that is no number", "SEQNUM", message("add@/devices/a", "SEQNUM=many")},
		{"a SEQNUM below 0", "SEQNUM", message("add@/devices/a", "SEQNUM=-1")},
		{"a SEQNUM above 64 bits", "SEQNUM", message("add@/devices/a", "SEQNUM=18446744073709551616")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e Event
			err := Parse(tt.message, &e)
			bad, ok := errors.AsType[*MessageError](err)
			if !ok || !errors.Is(err, ErrMalformed) || !strings.Contains(bad.Says, tt.says) {
				t.Fatalf("error %v, want one that is ErrMalformed and says %q", err, tt.says)
			}
			if len(bad.Start) > 64 || !bytes.HasPrefix(tt.message, []byte(bad.Start)) {
				t.Errorf("the error quotes %q", bad.Start)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	tests := []struct {
		name    string
		message []byte
		want    parsed
	}{
		{"a MODALIAS with a line break at its end, as of a codec", message("add@/devices/a", "MODALIAS=hdaudio:v1AF40022r00100101a01\n"),
			parsed{Action: Add, Path: "/devices/a", Modalias: "hdaudio:v1AF40022r00100101a01"}},
		{"a MODALIAS with a line break within, of which a uevent file shows the first line", message("add@/devices/a", "MODALIAS=tbsvc:ka\nb\n"),
			parsed{Action: Add, Path: "/devices/a", Modalias: "tbsvc:ka"}},
		{"a header alone", message("remove@/devices/a"), parsed{Action: Remove, Path: "/devices/a"}},
		{"a whole event", usb, parsed{
			Action: Add, Path: "/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0", Subsystem: "usb", Type: "usb_interface",
			Modalias: "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00", Seqnum: 2171,
		}},
		{"@ in the path", inject.Message("bind", "/devices/platform/soc@0/30800000.bus@1", "DRIVER=imx-uart"),
			parsed{Action: Bind, Path: "/devices/platform/soc@0/30800000.bus@1", Driver: "imx-uart"}},
		{"= in a value", inject.Message("add", "/devices/a", "MODALIAS=platform:a=b="),
			parsed{Action: Add, Path: "/devices/a", Modalias: "platform:a=b="}},
		{"an empty value", inject.Message("add", "/devices/a", "SUBSYSTEM=usb", "DRIVER="),
			parsed{Action: Add, Path: "/devices/a", Subsystem: "usb"}},
		{"a device that moved", inject.Message("move", "/devices/virtual/net/wan", "DEVPATH_OLD=/devices/virtual/net/eth0"),
			parsed{Action: Move, Path: "/devices/virtual/net/wan", OldPath: "/devices/virtual/net/eth0"}},
		{"a request for firmware", inject.Message("add", "/devices/a/b!c.bin", "SUBSYSTEM=firmware", "FIRMWARE=b/c.bin", "TIMEOUT=60"),
			parsed{Action: Add, Path: "/devices/a/b!c.bin", Subsystem: "firmware", Firmware: "b/c.bin"}},
		{"the last of two values", inject.Message("change", "/devices/a", "DRIVER=one", "DRIVER=two"),
			parsed{Action: Change, Path: "/devices/a", Driver: "two"}},
		{"an action of a later kernel", inject.Message("paint", "/devices/a"),
			parsed{Action: "paint", Path: "/devices/a"}},
		{"bytes that are not UTF-8", inject.Message("add", "/devices/\xff\xfe", "MODALIAS=\x80"),
			parsed{Action: Add, Path: "/devices/\xff\xfe", Modalias: "\x80"}},
		{"the greatest SEQNUM", inject.Message("online", "/devices/a", "SEQNUM=18446744073709551615"),
			parsed{Action: Online, Path: "/devices/a", Seqnum: 1<<64 - 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := Event{Driver: []byte("left over"), Seqnum: 7}
			if err := Parse(tt.message, &e); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, copied(&e)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestModuleOfEvent(t *testing.T) {
	tests := []struct {
		name, path, subsystem, want string
		ok                          bool
	}{
		{"not of a device", "/devices/module/a", "module", "", false},
		{"not of what is below a module", "/module/usbcore/drivers", "module", "", false},
		{"not of another subsystem", "/module/usbcore", "drivers", "", false},
		{"of a module", "/module/usb_storage", "module", "usb_storage", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := Event{Path: []byte(tt.path), Subsystem: []byte(tt.subsystem)}
			if name, ok := e.Module(); string(name) != tt.want || ok != tt.ok {
				t.Errorf("Module() = %q, %v, want %q, %v", name, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	var e Event
	if n := testing.AllocsPerRun(100, func() { _ = Parse(usb, &e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// disagreement says in what an event differs from what go-udev made of the
// same message.
func disagreement(e *Event, theirs *goudev.UEvent) string {
	want := map[string]string{"DEVPATH_OLD": "", "SUBSYSTEM": "", "DEVTYPE": "", "DRIVER": "", "MODALIAS": "", "FIRMWARE": "", "SEQNUM": "0"}
	for key := range want {
		if value, ok := theirs.Env[key]; ok {
			want[key] = value
		}
	}
	want["MODALIAS"], _, _ = strings.Cut(want["MODALIAS"], "\n") // as Parse says
	want["SEQNUM"] = strings.TrimLeft(want["SEQNUM"], "0")
	got := map[string]string{"DEVPATH_OLD": string(e.OldPath), "SUBSYSTEM": string(e.Subsystem), "DEVTYPE": string(e.Type),
		"DRIVER": string(e.Driver), "MODALIAS": string(e.Modalias), "FIRMWARE": string(e.Firmware), "SEQNUM": strings.TrimLeft(fmt.Sprint(e.Seqnum), "0")}
	return cmp.Diff(theirs.Action.String()+"@"+theirs.KObj, string(e.Action)+"@"+string(e.Path)) + cmp.Diff(want, got)
}

// TestParseAgreesWithGoUdev makes messages that both parsers must accept.
func TestParseAgreesWithGoUdev(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		action := rapid.SampledFrom([]Action{Add, Remove, Change, Move, Online, Offline, Bind, Unbind}).Draw(t, "action")
		path := rapid.StringMatching(`(/[a-zA-Z0-9:._!-]{1,12}){1,6}`).Draw(t, "path")
		key := rapid.SampledFrom([]string{"SUBSYSTEM", "DEVTYPE", "DRIVER", "MODALIAS", "DEVPATH_OLD", "FIRMWARE", "PCI_ID", "SEQNUM_"})
		pair := rapid.Custom(func(t *rapid.T) string {
			return key.Draw(t, "key") + "=" + rapid.StringMatching(`[^=\x00]{0,40}`).Draw(t, "value")
		})
		env := rapid.SliceOfN(pair, 0, 20).Draw(t, "env")
		env = append(env, fmt.Sprintf("SEQNUM=%d", rapid.Uint64().Draw(t, "seqnum")))
		msg := inject.Message(string(action), path, env...)

		var e Event
		if err := Parse(msg, &e); err != nil {
			t.Fatal(err)
		}
		theirs, err := goudev.ParseUEvent(msg)
		if err != nil {
			t.Fatalf("go-udev: %v", err)
		}
		if diff := disagreement(&e, theirs); diff != "" {
			t.Errorf("(-go-udev +this):\n%s", diff)
		}
	})
}

// TestParseBeyondGoUdev names the events that go-udev loses. A release of it
// that learns to read them fails here, and its case moves to the test above.
func TestParseBeyondGoUdev(t *testing.T) {
	tests := []struct {
		name    string
		message []byte
	}{
		{"@ in DEVPATH", inject.Message("add", "/devices/platform/soc@0/serial", "SUBSYSTEM=platform")},
		{"= in a value", inject.Message("add", "/devices/a", "SUBSYSTEM=platform", "MODALIAS=platform:a=b")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e Event
			if err := Parse(tt.message, &e); err != nil {
				t.Error(err)
			}
			if theirs, err := goudev.ParseUEvent(tt.message); err == nil {
				t.Errorf("go-udev accepts it: %v", theirs)
			}
		})
	}
}

// FuzzParse holds that whatever is accepted has sound fields that all lie in
// the message, and that go-udev, if it accepts the message too, agrees.
func FuzzParse(f *testing.F) {
	f.Add(usb)
	f.Add(message("add@/module/usb_storage", "ACTION=add", "DEVPATH=/module/usb_storage", "SUBSYSTEM=module", "SEQNUM=1"))
	f.Add(inject.Message("move", "/devices/virtual/net/wan", "DEVPATH_OLD=/devices/virtual/net/eth0", "SEQNUM=007"))
	f.Add(inject.Message("bind", "/devices/platform/soc@0/a@b", "MODALIAS=of:N=T=C="))
	f.Add(inject.Message("change", "/devices/a", "SYNTH_UUID=0", "SYNTH_ARG_A=b", "DRIVER=", "DRIVER=x"))
	f.Add([]byte("libudev\x00\xfe\xed\xca\xfe\x28\x00\x00\x00\x28\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("add@/a\x00A=b"))
	f.Add([]byte("@/\x00=\x00\x00"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var e Event
		if err := Parse(msg, &e); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if len(e.Path) < 2 || e.Path[0] != '/' || e.Action == "" || strings.Contains(string(e.Action), "@") {
			t.Errorf("accepted action %q of %q", e.Action, e.Path)
		}
		for _, view := range [][]byte{e.Path, e.OldPath, e.Subsystem, e.Type, e.Driver, e.Modalias, e.Firmware} {
			if bytes.IndexByte(view, 0) >= 0 || !bytes.Contains(msg, view) {
				t.Errorf("%q is not a piece of the message", view)
			}
		}
		if theirs, err := goudev.ParseUEvent(msg); err == nil {
			if diff := disagreement(&e, theirs); diff != "" {
				t.Errorf("(-go-udev +this):\n%s", diff)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var e Event
	b.SetBytes(int64(len(usb)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Parse(usb, &e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseGoUdev is the peer of BenchmarkParse.
func BenchmarkParseGoUdev(b *testing.B) {
	b.SetBytes(int64(len(usb)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := goudev.ParseUEvent(usb); err != nil {
			b.Fatal(err)
		}
	}
}
