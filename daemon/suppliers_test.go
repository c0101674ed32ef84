package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/core"
)

// supplied is a board with a screen, which waits, and what its node refers to: a bus by a
// number that the kernel makes no link for, and a clock that it has linked.
func supplied(t *testing.T) suppliers {
	t.Helper()
	root := t.TempDir()
	for file, content := range map[string]string{
		"sys/kernel/debug/devices_deferred": "3f902000.hdmi\tplatform: wait for supplier\nno.such\n*\n",

		"sys/firmware/devicetree/base/soc/hdmi/ddc":              "\x00\x00\x00\x1c",
		"sys/firmware/devicetree/base/soc/hdmi/hpd-gpios":        "\x00\x00\x00\x02\x00\x00\x00\x04",
		"sys/firmware/devicetree/base/soc/hdmi/name":             "hdmi\x00",
		"sys/firmware/devicetree/base/soc/hdmi/phandle":          "\x00\x00\x00\x03",
		"sys/firmware/devicetree/base/soc/hdmi/port/endpoint/to": "\x00\x00\x00\x31",
		"sys/firmware/devicetree/base/soc/i2c/phandle":           "\x00\x00\x00\x1c",
		"sys/firmware/devicetree/base/soc/panel/in/phandle":      "\x00\x00\x00\x31",
		"sys/firmware/devicetree/base/soc/other/phandle":         "\x00\x00\x00\x03",
		"sys/devices/soc/clk/uevent":                             "",
		"sys/devices/soc/3f902000.hdmi/uevent":                   "",
	} {
		grow(t, filepath.Join(root, file), content)
	}
	for link, to := range map[string]string{
		"sys/devices/soc/3f902000.hdmi/of_node":                        "sys/firmware/devicetree/base/soc/hdmi",
		"sys/devices/soc/3f902000.hdmi/supplier:platform:clk/supplier": "sys/devices/soc/clk",
		"sys/bus/platform/devices/3f902000.hdmi":                       "sys/devices/soc/3f902000.hdmi",
		"sys/devices/soc/i2c/of_node":                                  "sys/firmware/devicetree/base/soc/i2c",
		"sys/devices/soc/panel/of_node":                                "sys/firmware/devicetree/base/soc/panel",
		"sys/devices/soc/other/of_node":                                "sys/firmware/devicetree/base/soc/other",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(root, to), filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return suppliers{root}
}

func TestADeviceThatWaitsNamesItsSuppliersByLinksAndByItsNode(t *testing.T) {
	s := supplied(t)
	need := func(path string) core.Need { return core.Need{Device: "/devices/soc/3f902000.hdmi", Supplier: path} }
	for name, tt := range map[string]struct {
		held []string
		want []core.Need
	}{
		"nothing is held back":         {nil, nil},
		"what is in no tree":           {[]string{"/devices/nowhere"}, nil},
		"what it does not refer to":    {[]string{"/devices/soc/other"}, nil},
		"the kernel has linked it":     {[]string{"/devices/soc/clk"}, []core.Need{need("/devices/soc/clk")}},
		"its node refers to it":        {[]string{"/devices/soc/i2c"}, []core.Need{need("/devices/soc/i2c")}},
		"a node below to one below it": {[]string{"/devices/soc/panel"}, []core.Need{need("/devices/soc/panel")}},
		"several of several":           {[]string{"/devices/soc/i2c", "/devices/soc/other", "/devices/soc/clk"}, []core.Need{need("/devices/soc/clk"), need("/devices/soc/i2c")}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, s.lookFor(tt.held).Needs); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := (suppliers{t.TempDir()}).lookFor([]string{"/devices/soc/i2c"}); got.Needs != nil {
		t.Errorf("without debugfs: %+v", got)
	}
}

// grow makes a file of a tree.
func grow(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
