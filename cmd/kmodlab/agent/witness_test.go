package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatTheWitnessUnderstands(t *testing.T) {
	const path = "/devices/pci0000:00/0000:00:1d.0/usb2/2-1/2-1:1.0"
	for _, tt := range []struct {
		name, event string
		want        note
	}{
		{"a platform path with an @ is more than go-udev takes",
			"add@/devices/platform/soc@0/x\x00ACTION=add\x00DEVPATH=/devices/platform/soc@0/x\x00",
			note{Trouble: "add@/devices/platform/soc@0/x: wrong uevent format"}},
		{"so is a value with an =",
			"add@" + path + "\x00ACTION=add\x00SYNTH_ARG=a=b\x00",
			note{Trouble: "add@" + path + ": wrong uevent format"}},
		{"a plugged device",
			"add@" + path + "\x00ACTION=add\x00DEVPATH=" + path + "\x00MODALIAS=usb:v46F4p0001\x00SEQNUM=7\x00",
			note{Action: "add", Devpath: path, Modalias: "usb:v46F4p0001"}},
		{"an event without a modalias",
			"change@" + path + "\x00ACTION=change\x00",
			note{Action: "change", Devpath: path}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := understand([]byte(tt.event))
			if strings.HasPrefix(got.Trouble, tt.want.Trouble) {
				got.Trouble = tt.want.Trouble // go-udev may say more
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error("note (-want +got):\n" + diff)
			}
		})
	}
}

func TestPatternsOfEvents(t *testing.T) {
	n := note{Action: "add", Devpath: "/devices/pci0000:00/0000:00:1d.0", Modalias: "pci:v00001B36d0000000D"}
	for _, tt := range []struct {
		name, action, pattern string
		want                  bool
	}{
		{"another action", "remove", "pci:*", false},
		{"another modalias", "add", "usb:*", false},
		{"a pattern with an unclosed bracket", "add", "pci:[", false},
		{"the whole modalias or nothing", "add", "pci:v0000", false},
		{"a modalias", "add", "pci:v00001B36d*", true},
		{"a star stands for slashes, too", "add", "/devices/*:1d.0", true},
		{"a path is not matched with the modalias", "add", "/pci*", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := n.matches(tt.action, tt.pattern); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if (note{Action: "add"}).matches("add", "*") {
		t.Error("an event without a modalias matches a pattern for modaliases")
	}
}

func TestSeenPrintsWhatMatchesOrTheTroubles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notes")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	notes := json.NewEncoder(f)
	for _, n := range []note{{Listening: true}, {Trouble: "the witness ended"}, {Action: "add", Devpath: "/d", Modalias: "usb:v1"}} {
		if err := notes.Encode(n); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteString(`{"action":"add","devp`); err != nil { // it is writing right now
		t.Fatal(err)
	}
	f.Close()
	var out strings.Builder
	if err := seen(&out, file, "add", "usb:*"); err != nil || out.String() != "add /d usb:v1\n" {
		t.Errorf("printed %q, %v; want the event", out.String(), err)
	}
	if err := seen(&out, file, "remove", "usb:*"); err == nil || !strings.Contains(err.Error(), "the witness ended") {
		t.Errorf("error %v, want one with the witness's trouble", err)
	}
}

func TestKernelMessagesLookAsInDmesg(t *testing.T) {
	for _, tt := range []struct{ name, record, want string }{
		{"an empty record", "", ""},
		{"another form is kept", "no record\n", "no record\n"},
		{"a time that is no number", "6,339,x,-;text\n", "6,339,x,-;text\n"},
		{"a message", "6,339,5140900,-;NET: Registered\n", "[    5.140900] NET: Registered\n"},
		{"its pairs are left out", "6,7,1000000,-;usb 1-1: new\n SUBSYSTEM=usb\n DEVICE=c189:1\n", "[    1.000000] usb 1-1: new\n"},
		{"a semicolon in the text", "6,7,1,c;a;b\n", "[    0.000001] a;b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := formatRecord([]byte(tt.record)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
