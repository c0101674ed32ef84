package sleep

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/daemon/worker"
)

// A USB camera with a microphone, a sound card, a serial adapter, a disk, a memory
// card, a network card, and a device with nothing that could be opened.
const devices = `
-- sys/devices/usb1/1-1/1-1:1.0/bInterfaceNumber --
00
-- sys/devices/usb1/1-1/1-1:1.0/video4linux/video0/dev --
81:0
-- sys/devices/usb1/1-1/1-1:1.0/video4linux/video0/uevent --
MAJOR=81
MINOR=0
DEVNAME=video0
-- sys/devices/usb1/1-1/1-1:1.0/media0/dev --
241:0
-- sys/devices/usb1/1-1/1-1:1.0/media0/uevent --
MAJOR=241
MINOR=0
DEVNAME=media0
-- sys/devices/usb1/1-1/1-1:1.1/bInterfaceNumber --
01
-- sys/devices/usb1/1-2/1-2:1.0/bInterfaceNumber --
00
-- sys/devices/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0/dev --
188:0
-- sys/devices/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0/uevent --
DEVNAME=ttyUSB0
-- sys/devices/pci0/card/sound/card0/controlC0/dev --
116:2
-- sys/devices/pci0/card/sound/card0/controlC0/uevent --
DEVNAME=snd/controlC0
-- sys/devices/pci0/card/sound/card0/pcmC0D0p/dev --
116:3
-- sys/devices/pci0/card/sound/card0/pcmC0D0p/uevent --
DEVNAME=snd/pcmC0D0p
-- sys/devices/pci0/ahci/block/sda/dev --
8:0
-- sys/devices/pci0/ahci/block/sda/uevent --
DEVNAME=sda
-- sys/devices/pci0/ahci/block/sda/sda1/dev --
8:1
-- sys/devices/pci0/ahci/block/sda/sda1/uevent --
DEVNAME=sda1
-- sys/devices/pci0/ahci/bsg/dev --
8:0
-- sys/devices/pci0/ahci/bsg/uevent --
DEVNAME=bsg/0
-- sys/devices/pci0/mmc/block/mmcblk0/dev --
179:0
-- sys/devices/pci0/mmc/block/mmcblk0/uevent --
DEVNAME=mmcblk0
-- sys/devices/pci0/nic/net/eth0/address --
02:00:00:00:00:01
-- sys/devices/pci0/rng/hwrng/dev --
10:183
-- sys/devices/pci0/rng/hwrng/uevent --
DEVNAME=hwrng
-- sys/devices/pci0/bare/power/control --
auto
-- sys/devices/pci0/broken/a/dev --
81
-- sys/devices/pci0/broken/a/uevent --
DEVNAME=a
-- sys/devices/pci0/broken/b/dev --
81:7
-- sys/devices/pci0/broken/b/uevent --
DEVNAME=../b
-- sys/devices/pci0/broken/c/dev --
81:8
-- sys/module/snd/initstate --
live
-- sys/module/sd_mod/initstate --
live
-- sys/module/mmc_block/initstate --
live
-- run/udev/data/c81:0 --
I:4711
S:v4l/by-path/camera
S:v4l/by-id/camera
S:v4l/by-id/of-another
S:v4l/by-id/gone
S:../outside
E:ID_MODEL=camera
-- run/udev/data/b8:0 --
S:disk/by-id/a
-- links --
sys/devices/usb1/1-1/1-1:1.0/video4linux/video0/subsystem -> ../../../../../../class/video4linux
sys/devices/usb1/1-1/1-1:1.0/video4linux/video0/device -> ../../../1-1:1.0
sys/devices/pci0/ahci/block/sda/subsystem -> ../../../../../class/block
sys/devices/pci0/ahci/block/sda/sda1/subsystem -> ../../../../../../class/block
sys/devices/pci0/mmc/block/mmcblk0/subsystem -> ../../../../../class/block
sys/devices/pci0/nic/net/eth0/subsystem -> ../../../../../class/net
dev/v4l/by-id/camera -> ../../video0
dev/v4l/by-path/camera -> ../../video0
dev/v4l/by-id/of-another -> ../../video1
dev/disk/by-id/a -> ../../sda
`

const (
	camera     = "/devices/usb1/1-1/1-1:1.0"
	microphone = "/devices/usb1/1-1/1-1:1.1"
	adapter    = "/devices/usb1/1-2/1-2:1.0/ttyUSB0"
	pci        = "/devices/pci0/"
)

func TestWhatIsOpenedOfDevicesAndWhatHasToBeOut(t *testing.T) {
	s := machine(t, devices)
	const wouldNot = "nothing of it can be opened to wake it"
	several := func(names string) string {
		return "it has several devices (" + names + `), which may have changed places when it comes back: identity = "any" says that one is as good as another`
	}
	byUdev := video("v4l/by-id/camera", "v4l/by-path/camera")
	control := kernel.Opening{Alias: "char-major-116-2", Name: "snd/controlC0"}
	pcm := kernel.Opening{Alias: "char-major-116-3", Name: "snd/pcmC0D0p"}
	sda := kernel.Opening{Alias: "block-major-8-0", Name: "sda", Links: []string{"disk/by-id/a"}}
	sda1 := kernel.Opening{Alias: "block-major-8-1", Name: "sda1"}
	port := kernel.Opening{Alias: "char-major-188-0", Name: "ttyUSB0"}
	for _, tt := range []struct {
		name    string
		devices []string
		any     bool
		want    worker.Survey
	}{
		{"no device", nil, true, worker.Survey{Says: "no device has its driver"}},
		{"several devices", []string{pci + "ahci", pci + "mmc"}, false, worker.Survey{Says: several("ahci, mmc")}},
		{"two USB devices", []string{camera, microphone, adapter}, false, worker.Survey{Says: several("1-1, 1-2")}},
		{"nothing that can be opened", []string{pci + "bare"}, false, worker.Survey{Says: wouldNot}},
		{"numbers that may be others the next time", []string{pci + "rng"}, false, worker.Survey{Says: wouldNot + ": for hwrng the kernel would not ask"}},
		{"two of these", []string{camera + "/media0", pci + "rng"}, true, worker.Survey{Says: wouldNot + ": for media0, hwrng the kernel would not ask"}},
		{"a character device with the number of a disk", []string{pci + "ahci/bsg"}, false, worker.Survey{Says: wouldNot + ": for bsg/0 the kernel would not ask"}},
		{"nodes that can't be made out", []string{pci + "broken"}, false, worker.Survey{Says: wouldNot}},
		{"a device that has gone", []string{pci + "gone"}, false, worker.Survey{Says: wouldNot}},
		{"a USB device with two interfaces", []string{camera, microphone}, false, worker.Survey{Openings: []kernel.Opening{byUdev}}},
		{"a device and one below it", []string{adapter, "/devices/usb1/1-2/1-2:1.0"}, false, worker.Survey{Openings: []kernel.Opening{port}}},
		{"a port of a USB device", []string{adapter}, false, worker.Survey{Openings: []kernel.Opening{port}}},
		{"a sound card, which takes snd", []string{pci + "card"}, false, worker.Survey{Openings: []kernel.Opening{control, pcm}, Must: []string{"snd"}}},
		{"a disk, which takes sd_mod", []string{pci + "ahci"}, false, worker.Survey{Openings: []kernel.Opening{sda, sda1}, Must: []string{"sd_mod"}}},
		{"a memory card, which takes mmc_block", []string{pci + "mmc"}, false, worker.Survey{Openings: []kernel.Opening{{Alias: "block-major-179-0", Name: "mmcblk0"}}, Must: []string{"mmc_block"}}},
		{"a network interface", []string{pci + "nic"}, false, worker.Survey{Openings: []kernel.Opening{{Alias: "netdev-eth0", Name: "eth0"}}}},
		{"several of which one is as good as another", []string{camera, pci + "card"}, true, worker.Survey{Openings: []kernel.Opening{byUdev, control, pcm}, Must: []string{"snd"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.usage = pretended{devices: tt.devices}
			tt.want.Devices = tt.devices
			if diff := cmp.Diff(tt.want, s.Survey(worker.Question{Module: "m", Any: tt.any})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestADriverStaysIfWhatMustBeOutIsBuiltIn(t *testing.T) {
	s := machine(t, devices)
	s.usage = pretended{devices: []string{pci + "ahci"}}
	must(t, os.Remove(s.Sys+"/module/sd_mod/initstate"))
	const want = "sd_mod is a part of this kernel, which would not ask for its devices"
	if got := s.Survey(worker.Question{Module: "m"}); got.Says != want {
		t.Errorf("got %+v", got)
	}
}

func TestADriverStaysWhoseDevicesWouldComeBackByOtherNames(t *testing.T) {
	s := machine(t, `
-- sys/class/tty/ttyUSB1/dev --
188:1
-- sys/class/tty/ttyUSB0/dev --
188:0
-- sys/class/sound/card1/id --
x
-- sys/class/block/sdb/dev --
8:16
-- sys/class/net/eth1/name_assign_type --
1
-- sys/class/net/lan/name_assign_type --
4
`)
	opening := func(alias, name string) kernel.Opening { return kernel.Opening{Alias: alias, Name: name} }
	for _, tt := range []struct {
		name string
		of   kernel.Opening
		want string
	}{
		{"the second sound card, alone", opening("char-major-116-2", "snd/controlC1"), "snd/controlC1 would come back as snd/controlC0, which is free"},
		{"the second disk, alone", opening("block-major-8-16", "sdb"), "sdb would come back as sda, which is free"},
		{"the second network card, alone", opening("netdev-eth1", "eth1"), "eth1 would come back as eth0, which is free"},
		{"a network card that somebody has renamed", opening("netdev-lan", "lan"), "somebody has renamed lan, and would not when it comes back"},
		{"the third adapter of three", opening("char-major-188-2", "ttyUSB2"), ""},
		{"the first of all", opening("char-major-81-0", "video0"), ""},
		{"a partition", opening("block-major-8-17", "sdb1"), ""},
		{"a name that udevd gives", opening("netdev-enp3s0", "enp3s0"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.renumbered([]kernel.Opening{tt.of}); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	must(t, os.MkdirAll(s.Run+"/udev/control", 0o700))
	if got := s.renumbered([]kernel.Opening{opening("netdev-lan", "lan")}); got != "" {
		t.Errorf("udevd is there, and: %s", got)
	}
}

func TestADriverThatCouldNotComeBackStays(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(s *System, file string)
		says  string // with FILE, HELPER and PROC
	}{
		{"no helper", func(s *System, _ string) { must(t, os.Remove(s.Helper)) }, "HELPER is not installed, which the kernel would ask to wake it"},
		{"a kernel that can't be told of the helper", func(s *System, _ string) { must(t, os.Remove(s.Proc+"/sys/kernel/modprobe")) }, "the kernel could not ask for it: write PROC/sys/kernel/modprobe: no such file or directory"},
		{"a helper that is no program", func(s *System, _ string) { must(t, os.Chmod(s.Helper, 0o600)) }, "HELPER is not installed, which the kernel would ask to wake it"},
		{"no more modules", func(s *System, _ string) {
			must(t, os.MkdirAll(s.Proc+"/sys/kernel", 0o700))
			must(t, os.WriteFile(s.Proc+"/sys/kernel/modules_disabled", []byte("1\n"), 0o600))
		}, "this kernel loads no modules any more (kernel.modules_disabled)"},
		{"a file has gone", func(_ *System, file string) { must(t, os.Remove(file)) }, "it could not come back: open FILE: no such file or directory"},
		{"all is there", func(s *System, _ string) {
			must(t, os.MkdirAll(s.Proc+"/sys/kernel", 0o700))
			must(t, os.WriteFile(s.Proc+"/sys/kernel/modules_disabled", []byte("0\n"), 0o600))
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := machine(t, devices)
			s.usage = pretended{devices: []string{camera}}
			first, second := filepath.Join(t.TempDir(), "a.ko"), filepath.Join(t.TempDir(), "b.ko")
			must(t, os.WriteFile(first, nil, 0o600))
			must(t, os.WriteFile(second, nil, 0o600))
			tt.spoil(&s, second)
			want := strings.NewReplacer("FILE", second, "HELPER", s.Helper, "PROC", s.Proc).Replace(tt.says)
			if got := s.Survey(worker.Question{Module: "m", Files: []string{first, second}}); got.Says != want || (len(got.Openings) > 0) != (want == "") {
				t.Errorf("got %+v, want %q", got, want)
			}
		})
	}
}

func TestWhoStandsAgainstSleep(t *testing.T) {
	s := machine(t, devices)
	finding := func(kind string, state usage.State, never bool) usage.Finding {
		return usage.Finding{Kind: kind, State: state, Never: never, Says: kind}
	}
	idle := finding(usage.KindModule, usage.Idle, false)
	used := finding(usage.KindCharacter, usage.InUse, false)
	unseen := finding(usage.KindWalk, usage.Unknown, false)
	counted := finding(usage.KindModule, usage.InUse, false)
	never := finding(usage.KindNever, usage.Unknown, true)
	console := finding(usage.KindNever, usage.InUse, true)
	wakeup := finding(usage.KindWakeup, usage.InUse, true)
	driver := finding(usage.KindDriver, usage.Unknown, false)
	const forced = ": only a rule that names the module, with force = true, passes over that"
	for _, tt := range []struct {
		name  string
		found []usage.Finding
		force bool
		inUse string
		says  string
	}{
		{"it is in use", []usage.Finding{idle, used}, false, "character", ""},
		{"it is in use, whatever the rule says", []usage.Finding{idle, never, used}, true, "character", ""},
		{"it has references, whoever has them", []usage.Finding{counted, idle}, true, "module", ""},
		{"it has references, and it is known whose", []usage.Finding{counted, idle, used}, false, "character", ""},
		{"it has references, and is never idle", []usage.Finding{counted, never}, false, "", "never" + forced},
		{"it has references, and nobody can tell whose", []usage.Finding{counted, unseen}, false, "module", ""},
		{"nobody can tell", []usage.Finding{unseen}, false, "can't tell: walk", ""},
		{"nobody can tell, whatever the rule says", []usage.Finding{unseen}, true, "can't tell: walk", ""},
		{"nothing tells who uses the driver", []usage.Finding{idle, driver}, false, "can't tell: driver", ""},
		{"nothing tells, and the rule knows", []usage.Finding{idle, driver}, true, "", ""},
		{"it is never idle", []usage.Finding{idle, never, used}, false, "", "never" + forced},
		{"it is never idle, and used", []usage.Finding{console}, false, "", "never" + forced},
		{"it wakes the machine", []usage.Finding{wakeup}, false, "", "wakeup" + forced},
		{"it is never idle, and the rule knows", []usage.Finding{never, console, wakeup, idle}, true, "", ""},
		{"it is idle", []usage.Finding{idle, idle}, false, "", ""},
		{"nothing is found", nil, false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.usage = pretended{devices: []string{camera}, found: tt.found}
			got := s.Survey(worker.Question{Module: "m", Force: tt.force})
			if got.InUse != tt.inUse || got.Says != tt.says {
				t.Errorf("in use: %q, it says %q", got.InUse, got.Says)
			}
			if len(got.Openings) != 1 { // which is to be watched, whoever uses it
				t.Errorf("what is opened: %+v", got.Openings)
			}
		})
	}
}

// The running system's usage is asked if no other is named.
func TestAModuleThatIsNotInTheKernelHasNoDevice(t *testing.T) {
	s := machine(t, devices)
	s.usage = nil
	if got := s.Survey(worker.Question{Module: "m"}); got.Says != "no device has its driver" {
		t.Errorf("got %+v", got)
	}
}

func TestALookAtDevicesIsBounded(t *testing.T) {
	deep := strings.Repeat("/d", maxDepth+1)
	s := machine(t, "-- sys/devices/x"+deep+"/dev --\n81:0\n-- sys/devices/x"+deep+"/uevent --\nDEVNAME=video0\n")
	s.usage = pretended{devices: []string{"/devices/x"}}
	if got := s.Survey(worker.Question{Module: "m"}); len(got.Openings) != 0 || got.Says == "" {
		t.Errorf("got %+v", got)
	}
}
