package boot

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/control"
)

func TestWhatIsNoReportIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, says string }{
		{"nothing", "", "unexpected end"},
		{"a list", "[]", "cannot unmarshal"},
		{"another answer of kmodd's", `{"version": "0.1.0", "started_ns": 5, "now_ns": 6}`, "it holds no report"},
		{"a boot without a beginning", `{"loads": []}`, "it holds no report"},
		{"a time in words", `{"loads": [{"name": "a", "live_ns": "soon"}], "started_ns": 1}`, "cannot unmarshal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

func TestALoadEndsWithTheLastDeviceThatWasThere(t *testing.T) {
	l := load("a", [4]time.Duration{2000, 2100, 2150, 2300})
	r := base([]control.BootLoad{l}, device("/devices/a", "a", 1500, 2900), device("/devices/b", "a", 1600, 2200), device("/devices/late", "a", 5000, 5100), device("/devices/none", "a", 1500, 0))
	a := r.Loads[0]
	if len(a.Devices) != 2 || a.End() != 2900*ms || a.Waited() != 100*ms || a.Reading() != 50*ms || a.Init() != 150*ms || a.Probe() != 600*ms || a.Took() != 800*ms {
		t.Errorf("%d devices; ends at %v: waited %v, read %v, init %v, probe %v, all %v", len(a.Devices), a.End(), a.Waited(), a.Reading(), a.Init(), a.Probe(), a.Took())
	}
}

// Two modules match a device, and a third one has its driver.
func TestADeviceIsTheWorkOfTheModuleThatIsCalledLikeItsDriver(t *testing.T) {
	loads := []control.BootLoad{
		load("usb_storage", [4]time.Duration{2000, 2000, 2000, 2100}), load("uas", [4]time.Duration{2000, 2200, 2200, 2300}), load("later", [4]time.Duration{2000, 5000, 5000, 5100}),
	}
	for _, tt := range []struct {
		driver  string
		modules []string
		bound   time.Duration
		want    string
	}{
		{"usb-storage", []string{"uas", "usb_storage"}, 2400, "usb_storage"},
		{"of_another_name", []string{"uas", "usb_storage"}, 2400, "uas"},
		{"of_another_name", []string{"later", "usb_storage"}, 2400, "usb_storage"},
		{"of_another_name", []string{"later"}, 2400, ""},
		{"builtin", nil, 2400, ""},
		{"uas", []string{"uas"}, 1500, ""}, // since before
		{"", []string{"uas"}, 0, ""},
	} {
		d := control.BootDevice{Path: "/devices/d", Driver: tt.driver, Modules: tt.modules, Seen: 1500 * ms, Bound: tt.bound * ms}
		got := ""
		if l := base(loads, d).Devices[0].Load; l != nil {
			got = l.Name
		}
		if got != tt.want {
			t.Errorf("%s for %v at %d: %q, want %q", tt.driver, tt.modules, tt.bound, got, tt.want)
		}
	}
}

func TestEachPartOfTheBootEndsWithItsLastLoad(t *testing.T) {
	b := control.Boot{Started: 1000 * ms, Scanned: 2000 * ms, Complete: 8000 * ms, Loads: []control.BootLoad{
		load("disk", [4]time.Duration{2000, 2000, 2000, 2100}),
		as(control.Normal, load("pcspkr", [4]time.Duration{2000, 2000, 2000, 3000})),
		as(control.Late, load("snd", [4]time.Duration{8000, 8000, 8000, 8400})),
		{Name: "initramfs", Stage: control.Critical, Earlier: true, Wanted: 1, Began: 2, Live: 900 * ms},
		{Name: "refused", Stage: control.Critical, Wanted: 2000 * ms, Error: "needs x"},
	}, Devices: []control.BootDevice{
		device("/devices/disk", "disk", 1500, 2600), device("/devices/pcspkr", "pcspkr", 1500, 3200), device("/devices/snd", "snd", 1500, 8600),
		device("/devices/snd/codec", "codec", 8500, 8700), device("/devices/bridge", "pcieport", 1500, 1500),
	}}
	want := Stages{Critical: 2600 * ms, Normal: 3200 * ms, Deferred: 8600 * ms, Loaded: 3000 * ms, Bound: 3200 * ms}
	if diff := cmp.Diff(want, New(b).Stages()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAComparisonNamesWhatDiffersMost(t *testing.T) {
	before := base([]control.BootLoad{
		load("same", [4]time.Duration{2000, 2000, 2000, 2100}), load("faster", [4]time.Duration{2000, 2000, 2000, 2900}), load("slower", [4]time.Duration{2000, 2000, 2050, 2100}), load("gone", [4]time.Duration{2000, 2000, 2000, 2100}),
	}, device("/devices/same", "same", 1500, 2150))
	after := base([]control.BootLoad{
		load("same", [4]time.Duration{2000, 2500, 2500, 2600}), load("faster", [4]time.Duration{2000, 2000, 2000, 2200}), load("slower", [4]time.Duration{2000, 2000, 2250, 2300}), load("new", [4]time.Duration{2000, 2000, 2000, 2100}),
		{Name: "gone", Stage: control.Critical, Earlier: true, Wanted: 1, Began: 2, Live: 3},
	}, device("/devices/same", "same", 1500, 2650))
	c := Compare(before, after)
	want := []Difference{
		{Name: "faster", A: 900 * ms, B: 200 * ms, Most: "init"},
		{Name: "slower", A: 100 * ms, B: 300 * ms, Most: "read"},
		{Name: "same", A: 150 * ms, B: 150 * ms},
	}
	if diff := cmp.Diff(want, c.Modules); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"gone"}, {"new"}}, [][]string{c.OnlyA, c.OnlyB}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	totals := make(map[string][2]time.Duration)
	for _, total := range c.Totals {
		totals[total.What] = [2]time.Duration{total.A / ms, total.B / ms}
	}
	wantTotals := map[string][2]time.Duration{
		"until kmodd began": {1000, 1000}, "from there until sysfs was scanned": {1000, 1000},
		"until what is critical was there": {1900, 1650}, "until all was loaded that did not wait": {1900, 1600}, "until the last device of these was bound": {1150, 1650},
		"waits of all loads": {0, 500}, "reading": {50, 250}, "init": {1150, 450}, "probes": {50, 50},
	}
	if diff := cmp.Diff(wantTotals, totals); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzReports(f *testing.F) {
	text, err := os.ReadFile("testdata/busy-pc.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"started_ns": 1, "loads": [{"name": "a", "needs": ["a"], "for": "a", "began_ns": 2, "live_ns": 3}], "devices": [{"path": "a", "modules": ["a"], "seen_ns": 1, "bound_ns": 9}]}`))
	f.Add([]byte(`{"started_ns": 9223372036854775807, "loads": [{"wanted_ns": -9223372036854775808, "began_ns": 1}], "devices": []}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		drawn(t, r, noWords)
		Compare(r, r)
	})
}
