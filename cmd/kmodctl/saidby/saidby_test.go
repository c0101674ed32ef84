package saidby

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kmodd/kmodd/daemon/kmsg"
)

// sysfs makes a tree in which loop, hello and usb_storage are in the kernel, the latter two
// with a driver each, one of which has another name than its module, and usbcore.
func sysfs(t *testing.T) string {
	t.Helper()
	sys := t.TempDir()
	for _, module := range []string{"loop", "hello", "usb_storage", "usbcore", "sd_mod"} {
		if err := os.MkdirAll(filepath.Join(sys, "module", module), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sys, "module", module, "initstate"), []byte("live\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for driver, module := range map[string]string{"usb/drivers/usb-storage": "usb_storage", "scsi/drivers/sd": "sd_mod"} {
		dir := filepath.Join(sys, "bus", driver)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../../../module/"+module, filepath.Join(dir, "module")); err != nil {
			t.Fatal(err)
		}
	}
	return sys
}

func TestALineIsOfTheModuleThatWroteItOrIsComplainedAbout(t *testing.T) {
	g := Register{Sys: sysfs(t), Installed: func(module string) bool { return module == "not_in" }}
	for _, test := range []struct{ text, device, want string }{
		{"", "", ""},
		{" ", "", ""},
		{"boot loop detected", "", ""},
		{"Modules linked in: hello(O+) loop", "", ""},
		{"stranger: hello", "", ""},
		{"../hello: x", "", ""},
		{"pci 0000:01:00.0: BAR 0 of hello", "+pci:0000:01:00.0", ""},
		{"*: x", "", ""},
		{"hello", "", ""}, // somebody's greeting
		{"RIP: 0010:stranger+0x5/0x1000 [stranger]", "", ""},
		{"hello: here", "", "hello"},
		{"hello: version magic '6.1' should be '6.2'", "", "hello"},
		{"module hello: .gnu.linkonce.this_module section size must match", "", "hello"},
		{"not-in: unknown parameter 'x' ignored", "", "not_in"},
		{"sd 0:0:0:0: [sda] Attached SCSI disk", "+scsi:0:0:0:0", "sd_mod"},
		{"usb-storage 1-1:1.0: USB Mass Storage device detected", "+usb:1-1:1.0", "usb_storage"},
		{"usbcore: registered new interface driver usb-storage", "", "usb_storage"},
		{"usbcore: deregistering interface driver usb-storage", "", "usb_storage"},
		{"usbcore: nothing more", "", "usbcore"},
		{"RIP: 0010:hello_exit+0x5/0x1000 [hello]", "", "hello"},
		{" ? hello_exit+0x5/0x1000 [hello 0123456789abcdef]", "", "hello"},
	} {
		r := kmsg.Record{Text: []byte(test.text), Device: []byte(test.device)}
		for range 2 { // the second time it is remembered
			if got := g.Module(r); got != test.want {
				t.Errorf("%q is of %q, want %q", test.text, got, test.want)
			}
		}
	}
}

func FuzzModule(f *testing.F) {
	f.Add("RIP: 0010:hello_exit+0x5/0x1000 [hello]", "")
	f.Add("hello: here", "+pci:0000:01:00.0")
	f.Add("[[*?\\: ", "c1:3")
	f.Fuzz(func(t *testing.T, text, device string) {
		g := Register{Sys: "/nonexistent", Installed: func(module string) bool { return module == "hello" }}
		if got := g.Module(kmsg.Record{Text: []byte(text), Device: []byte(device)}); got != "" && got != "hello" {
			t.Errorf("%q is of %q, which nobody knows", text, got)
		}
	})
}
