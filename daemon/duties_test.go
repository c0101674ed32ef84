package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match"
)

func TestNobodyDoesTwiceWhatAnotherOneDoes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  duties
	}{
		{"systemd", map[string]string{"run/systemd/system/x": "", "run/udev/control": ""}, duties{}},
		{"systemd before its udevd has started", map[string]string{"run/systemd/system/x": ""}, duties{}},
		{"systemd's files without systemd", map[string]string{"run/systemd/x": "", "run/udev/x": ""}, duties{true, true, true}},
		{"eudev", map[string]string{"run/udev/control": ""}, duties{modulesLoad: true}},
		{"mdev that the kernel starts", map[string]string{"proc/sys/kernel/hotplug": "/sbin/mdev\n"}, duties{modulesLoad: true, nodes: true}},
		{"a kernel that could start a helper", map[string]string{"proc/sys/kernel/hotplug": "\n"}, duties{true, true, true}},
		{"nothing at all", nil, duties{true, true, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for name, content := range tt.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := dutiesBelow(root); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestNodesAreForRootAloneAndFoldersForEverybody(t *testing.T) {
	dev := t.TempDir()
	if err := unix.Mknod(filepath.Join(dev, "probe"), unix.S_IFCHR, int(unix.Mkdev(10, 200))); err != nil {
		t.Skipf("this process may not make device nodes: %v; the scenario standalone makes some", err)
	}
	if err := os.WriteFile(filepath.Join(dev, "fuse"), nil, 0o640); err != nil {
		t.Fatal(err)
	}
	defer unix.Umask(unix.Umask(0o077))
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	tun, ram := unix.Mkdev(10, 200), unix.Mkdev(1, 0)
	makeNodes(dev, []match.Node{
		{Path: "fuse/below", Number: tun, Module: "bad"},
		{Path: "fuse", Number: tun},
		{Path: "net/tun", Number: tun},
		{Path: "ram0", Block: true, Number: ram},
	}, log)
	for name, want := range map[string]unix.Stat_t{
		"net": {Mode: unix.S_IFDIR | 0o755}, "fuse": {Mode: unix.S_IFREG | 0o640},
		"net/tun": {Mode: unix.S_IFCHR | 0o600, Rdev: tun}, "ram0": {Mode: unix.S_IFBLK | 0o600, Rdev: ram},
	} {
		var got unix.Stat_t
		if err := unix.Stat(filepath.Join(dev, name), &got); err != nil {
			t.Fatal(err)
		}
		if got.Mode != want.Mode || got.Rdev != want.Rdev {
			t.Errorf("%s: mode %o, device %x; want %o, %x", name, got.Mode, got.Rdev, want.Mode, want.Rdev)
		}
	}
	if lines := strings.Count(said.String(), "\n"); lines != 1 || !strings.Contains(said.String(), "module=bad") {
		t.Errorf("it says %q", said.String())
	}
}

func TestOnlyWhoseDutyItIsAnswersRequestsForFirmware(t *testing.T) {
	sys := t.TempDir()
	path := "/devices/virtual/misc/x/vendor!file.bin"
	loading := filepath.Join(sys, path, "loading")
	if err := os.MkdirAll(filepath.Dir(loading), 0o755); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	duties{firmware: true}.answerFirmware(sys, path+"-gone", "vendor/gone", log)
	if !strings.Contains(said.String(), "level=WARN") || !strings.Contains(said.String(), "vendor/gone") {
		t.Errorf("of a request that is no more it says %q", said.String())
	}
	for answers, want := range map[bool]string{false: "0", true: "-1"} {
		if err := os.WriteFile(loading, []byte("0"), 0o644); err != nil {
			t.Fatal(err)
		}
		duties{firmware: answers}.answerFirmware(sys, path, "vendor/file.bin", log)
		if got, err := os.ReadFile(loading); string(got) != want || err != nil {
			t.Errorf("whose duty it is %v: %q %v, want %q", answers, got, err, want)
		}
	}
}
