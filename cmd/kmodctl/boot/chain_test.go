package boot

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/daemon/control"
)

const ms = time.Millisecond

// base is a boot whose kmodd begins after 1 s, and has scanned sysfs after 2 s.
func base(loads []control.BootLoad, devices ...control.BootDevice) *Report {
	return New(control.Boot{Started: 1000 * ms, Scan: 1200 * ms, Scanned: 2000 * ms, Now: time.Hour, Loads: loads, Devices: devices})
}

// load is a critical one, of a device that has its name. Its times are in milliseconds:
// when it was wanted, began, was handed to the kernel and was live.
func load(name string, times [4]time.Duration, needs ...string) control.BootLoad {
	return control.BootLoad{Name: name, For: "/devices/" + name, Stage: control.Critical, Needs: needs,
		Wanted: times[0] * ms, Began: times[1] * ms, Read: times[1] * ms, Called: times[2] * ms, Live: times[3] * ms, Returned: times[3] * ms}
}

// device is one that a module of its driver's name matches.
func device(path, driver string, seen, bound time.Duration) control.BootDevice {
	return control.BootDevice{Path: path, Driver: driver, Modules: []string{driver}, Seen: seen * ms, Bound: bound * ms}
}

// at is a load for the device of another path.
func at(path string, l control.BootLoad) control.BootLoad {
	l.For = path
	return l
}

func as(stage control.Stage, l control.BootLoad) control.BootLoad {
	l.Stage = stage
	return l
}

func TestTheChainGoesBackFromTheLastCriticalDevice(t *testing.T) {
	for _, tt := range []struct {
		name   string
		report *Report
		want   []string // after the scan, if there is anything
	}{
		{"nothing was loaded", base(nil, device("/devices/d", "builtin", 1500, 1500)), nil},
		{"all was loaded before", base([]control.BootLoad{{Name: "a", Earlier: true, Wanted: 1, Began: 2, Live: 3}}), nil},
		{"only what is deferred", base([]control.BootLoad{as(control.Late, load("a", [4]time.Duration{9000, 9000, 9000, 9500}))}), nil},
		{"nothing went in", base([]control.BootLoad{{Name: "a", Stage: control.Critical, Wanted: 2000 * ms, Began: 2000 * ms, Returned: 2500 * ms, Error: "no"}}), nil},
		{"a module that drives nothing", base([]control.BootLoad{load("a", [4]time.Duration{2000, 2000, 2010, 2300})}),
			[]string{"2300 +300 load a: waited 0, read 10, init 290"}},
		{"a probe within its init", base([]control.BootLoad{load("a", [4]time.Duration{2000, 2000, 2010, 2300})}, device("/devices/a", "a", 1500, 2200)),
			[]string{"2300 +300 load a: waited 0, read 10, init 290"}},
		{"a probe that ends later", base([]control.BootLoad{load("a", [4]time.Duration{2000, 2000, 2010, 2300})}, device("/devices/a", "a", 1500, 2900)),
			[]string{"2300 +300 load a: waited 0, read 10, init 290", "2900 +600 probe /devices/a by a"}},
		{"what it needs", base([]control.BootLoad{
			load("a", [4]time.Duration{2000, 2400, 2410, 2600}, "b", "c"), load("b", [4]time.Duration{2000, 2000, 2010, 2100}), load("c", [4]time.Duration{2000, 2000, 2010, 2400})}),
			[]string{"2400 +400 load c: waited 0, read 10, init 390", "2600 +200 load a: waited 0, read 10, init 190"}},
		{"its turn, which another one had", base([]control.BootLoad{
			load("a", [4]time.Duration{2000, 2500, 2500, 2600}), load("b", [4]time.Duration{2000, 2000, 2000, 2500}), load("c", [4]time.Duration{2000, 2000, 2000, 2400})}),
			[]string{"2600 +600 load a: waited 500 behind b, read 0, init 100"}},
		{"critical ones, where the driver that brings it is none", base([]control.BootLoad{
			as(control.Normal, load("hub", [4]time.Duration{2000, 2700, 2700, 3000})), load("c", [4]time.Duration{2000, 2200, 2200, 2400}), at("/devices/hub/disk", load("disk", [4]time.Duration{3100, 3100, 3100, 3200}))},
			device("/devices/hub", "hub", 1500, 3000), device("/devices/hub/disk", "disk", 3100, 3200)),
			[]string{"3000 +1000 load hub: waited 700 behind critical drivers, read 0, init 300", "3100 +100 appears /devices/hub/disk by hub", "3200 +100 load disk: waited 0, read 0, init 100"}},
		{"a device that another one's driver has brought", base([]control.BootLoad{
			load("hub", [4]time.Duration{2000, 2000, 2000, 3000}), at("/devices/hub/usb1/1-1/disk", load("disk", [4]time.Duration{4500, 4500, 4500, 4600}))},
			device("/devices/hub", "hub", 1500, 3200), device("/devices/hub/usb1/1-1/disk", "disk", 4500, 4700)),
			[]string{"3000 +1000 load hub: waited 0, read 0, init 1000", "3200 +200 probe /devices/hub by hub", "4500 +1300 appears /devices/hub/usb1/1-1/disk by hub",
				"4600 +100 load disk: waited 0, read 0, init 100", "4700 +100 probe /devices/hub/usb1/1-1/disk by disk"}},
		{"a device that appears within that probe", base([]control.BootLoad{
			load("hub", [4]time.Duration{2000, 2000, 2000, 3000}), at("/devices/hub/disk", load("disk", [4]time.Duration{2600, 2600, 2600, 3400}))},
			device("/devices/hub", "hub", 1500, 3000), device("/devices/hub/disk", "disk", 2600, 3400)),
			[]string{"2600 +600 load hub: waited 0, read 0, init 600", "2600 +0 appears /devices/hub/disk by hub", "3400 +800 load disk: waited 0, read 0, init 800"}},
		{"a device whose driver was there", base([]control.BootLoad{load("a", [4]time.Duration{2000, 2000, 2000, 2100})},
			device("/devices/a", "a", 1500, 2100), device("/devices/other", "a", 5000, 5300)),
			[]string{"5000 +3000 appears /devices/other", "5300 +300 probe /devices/other by a"}},
		{"what somebody took out in between", base([]control.BootLoad{load("a", [4]time.Duration{3000, 3000, 3000, 3100})}, device("/devices/a", "a", 1500, 0)),
			[]string{"3000 +1000 wanted a", "3100 +100 load a: waited 0, read 0, init 100"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			if tt.want != nil {
				want = append([]string{"1000 +1000 kernel", "1200 +200 tables", "2000 +800 scan"}, tt.want...)
			}
			if diff := cmp.Diff(want, shown(tt.report.Chain())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// shown is a chain in short words, in milliseconds.
func shown(links []Link) (lines []string) {
	for _, l := range links {
		says := fmt.Sprintf("%d +%d %s", l.At/ms, l.Took/ms, l.Kind)
		switch {
		case l.Kind == Coming:
			says += fmt.Sprintf(" %s: waited %d", l.Load.Name, l.Waited/ms)
			if l.Behind != "" {
				says += " behind " + l.Behind
			}
			says += fmt.Sprintf(", read %d, init %d", l.Reading/ms, l.Init/ms)
		case l.Device != nil && l.Kind != Wanting:
			says += " " + l.Device.Path
			if l.Load != nil {
				says += " by " + l.Load.Name
			}
		case l.Load != nil:
			says += " " + l.Load.Name
		}
		lines = append(lines, says)
	}
	return lines
}

// recorded is the report of the bench's busy PC.
func recorded(t testing.TB) *Report {
	t.Helper()
	text, err := os.ReadFile("testdata/busy-pc.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheChainOfARealBootIsGapless(t *testing.T) {
	want := []string{
		"20813 +20813 kernel",
		"21369 +555 tables",
		"22626 +1256 scan",
		"26124 +3498 load usb_common: waited 3323 behind pcnet32, read 22, init 151",
		"27031 +906 load usbcore: waited 0, read 55, init 851",
		"30478 +3447 load xhci_hcd: waited 0, read 6, init 3440",
		"33725 +3246 load xhci_pci: waited 0, read 446, init 2800",
		"35988 +2263 appears /devices/pci0000:00/0000:00:1d.0/usb3/3-1/3-1:1.0 by xhci_pci",
		"36922 +933 load hid: waited 0, read 240, init 692",
		"38819 +1896 load usbhid: waited 0, read 135, init 1761",
		"38819 +0 appears /devices/pci0000:00/0000:00:1d.0/usb3/3-1/3-1:1.0/0003:0627:0001.0001 by usbhid",
		"42017 +3198 load hid_generic: waited 0, read 150, init 3047",
		"45082 +3064 load wacom: waited 0, read 151, init 2913",
		"45096 +14 probe /devices/pci0000:00/0000:00:1d.0/usb3/3-4/3-4:1.0/0003:056A:0000.0004 by wacom",
	}
	if diff := cmp.Diff(want, shown(recorded(t).Chain())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Reports come from files. Whatever one says, a chain has an end, and its links are all of
// the time until the last of them.
func TestTheLinksOfAChainAreTheWholeTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := New(anyBoot().Draw(t, "boot"))
		at := time.Duration(0)
		for _, l := range r.Chain() {
			if l.Took < 0 || l.At != at+l.Took {
				t.Fatalf("%v after %v took %v", l.At, at, l.Took)
			}
			at = l.At
		}
	})
}

// anyBoot makes reports of a few modules and devices with any times.
func anyBoot() *rapid.Generator[control.Boot] {
	moment := rapid.Custom(func(t *rapid.T) time.Duration {
		if rapid.IntRange(0, 20).Draw(t, "odd") == 0 {
			return time.Duration(rapid.Int64().Draw(t, "any time"))
		}
		return time.Duration(rapid.IntRange(0, 60_000).Draw(t, "ms")) * ms
	})
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	names := rapid.SliceOfN(name, 0, 3)
	path := rapid.SampledFrom([]string{"", "/", "/devices", "/devices/p", "/devices/p/q", "/devices/p/q/r", "/devices/s", "a", "<&\x00\xff\"'>"})
	load := rapid.Custom(func(t *rapid.T) control.BootLoad {
		return control.BootLoad{
			Name: rapid.OneOf(name, rapid.String()).Draw(t, "name"), For: path.Draw(t, "for"), Needs: names.Draw(t, "needs"), After: names.Draw(t, "after"),
			Stage:   rapid.SampledFrom([]control.Stage{control.Critical, control.Normal, control.Late, "<other>"}).Draw(t, "stage"),
			Earlier: rapid.IntRange(0, 9).Draw(t, "earlier") == 0, Error: rapid.SampledFrom([]string{"", "no <way>"}).Draw(t, "error"),
			Wanted: moment.Draw(t, "wanted"), Began: moment.Draw(t, "began"), Read: moment.Draw(t, "read"), Called: moment.Draw(t, "called"), Live: moment.Draw(t, "live"), Returned: moment.Draw(t, "returned"),
		}
	})
	device := rapid.Custom(func(t *rapid.T) control.BootDevice {
		return control.BootDevice{Path: path.Draw(t, "path"), Driver: name.Draw(t, "driver"), Modules: names.Draw(t, "modules"), Modalias: rapid.String().Draw(t, "modalias"),
			Seen: moment.Draw(t, "seen"), Bound: moment.Draw(t, "bound")}
	})
	return rapid.Custom(func(t *rapid.T) control.Boot {
		return control.Boot{
			Version: rapid.String().Draw(t, "version"), First: moment.Draw(t, "first"), Started: moment.Draw(t, "started"), Now: moment.Draw(t, "now"), Scan: moment.Draw(t, "scan"),
			Scanned: moment.Draw(t, "scanned"), Settled: moment.Draw(t, "settled"), Complete: moment.Draw(t, "complete"),
			Loads: rapid.SliceOfN(load, 0, 12).Draw(t, "loads"), Devices: rapid.SliceOfN(device, 0, 8).Draw(t, "devices"),
		}
	})
}
