package kernfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDriversOfAModule(t *testing.T) {
	sys := t.TempDir()
	for name, target := range map[string]string{
		"bus/usb/drivers/ftdi_sio/module":                  "../../../../module/ftdi_sio",
		"bus/usb-serial/drivers/ftdi_sio/module":           "../../../../module/ftdi_sio",
		"bus/mdio_bus/drivers/SMSC LAN8700/module":         "../../../../module/smsc",
		"bus/mdio_bus/drivers/SMSC LAN8710!LAN8720/module": "../../../../module/smsc",
		"module/ftdi_sio/drivers/usb:ftdi_sio":             "../../../bus/usb/drivers/ftdi_sio",
		"module/ftdi_sio/drivers/usb-serial:ftdi_sio":      "../../../bus/usb-serial/drivers/ftdi_sio",
		"module/library/holders/ftdi_sio":                  "../../ftdi_sio",
	} {
		name = filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	// A list that can't be read to its end: no directory but the kernel's is so.
	list := filepath.Join(sys, "module/smsc/drivers")
	if err := errors.Join(os.Mkdir(filepath.Dir(list), 0o700), os.WriteFile(list, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string][]string{
		"smsc":     {"/bus/mdio_bus/drivers/SMSC LAN8700", "/bus/mdio_bus/drivers/SMSC LAN8710!LAN8720"},
		"ftdi_sio": {"/bus/usb-serial/drivers/ftdi_sio", "/bus/usb/drivers/ftdi_sio"},
		"library":  nil,
		"gone":     nil,
	} {
		got, err := Drivers(sys, module)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got)\n%s", module, err, diff)
		}
	}
}
