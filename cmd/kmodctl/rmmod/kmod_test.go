package rmmod

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodctl/kmodtest"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/match/index"
)

// The names are of no kernel's modules: those that nothing stands against, the
// running kernel is asked to take out.
const files = `
-- sys/module/kmodd_test_held/initstate --
live
-- sys/module/kmodd_test_held/refcnt --
1
-- sys/module/kmodd_test_held/holders/kmodd_test_holder --
-- sys/module/kmodd_test_holder/initstate --
live
-- sys/module/kmodd_test_holder/refcnt --
0
-- sys/module/kmodd_test_open/initstate --
live
-- sys/module/kmodd_test_open/refcnt --
3
-- sys/module/kmodd_test_open/holders/.keep --
-- sys/module/kmodd_test_old/initstate --
live
-- sys/module/kmodd_test_old/holders/.keep --
-- sys/module/kmodd_test_idle/initstate --
live
-- sys/module/kmodd_test_idle/refcnt --
0
-- sys/module/kmodd_test_idle/holders/.keep --
-- sys/module/kmodd_test_net/initstate --
live
-- sys/module/kmodd_test_net/refcnt --
1
-- sys/module/kmodd_test_net/holders/.keep --
-- sys/module/kmodd_test_net/drivers/.keep --
-- sys/devices/pci0000:00/0000:00:03.0/uevent --
-- sys/devices/pci0000:00/0000:00:03.0/net/eth7/flags --
0x1003
-- sys/bus/pci/drivers/some-net/bind --
-- sys/bus/pci/devices/.keep --
-- sys/class/net/.keep --
-- proc/self/status --
-- lib/modules/RELEASE/modules.dep --
-- a-file/kmodd-test-open.ko.xz --
`

func cell(t *testing.T) kmodtest.Cell {
	t.Helper()
	c := kmodtest.New(t, files)
	builtins, err := index.Write([]index.Entry{{Key: "kmodd_test_builtin"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Root+"/lib/modules/"+c.Release+"/modules.builtin.bin", builtins, 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

func ours(c kmodtest.Cell, args ...string) kmodtest.Said {
	var stdout, stderr bytes.Buffer
	command := &command{
		kernel:  kernel.System{Sys: c.Root + "/sys", Proc: c.Root + "/proc"},
		users:   usage.System{Sys: c.Root + "/sys", Proc: c.Root + "/proc", Dev: c.Root + "/dev"},
		modules: c.Root + "/lib/modules/" + c.Release,
	}
	exit := command.run(args, "1.0", &stdout, &stderr)
	return kmodtest.Said{Stdout: stdout.String(), Stderr: stderr.String(), Exit: exit}
}

func TestModulesAreRefusedInKmodsWords(t *testing.T) {
	c := cell(t)
	for line := range strings.Lines(`
-x
kmodd_test_absent
kmodd-test-held
kmodd_test_held kmodd_test_open kmodd_test_absent
kmodd_test_open
kmodd_test_open.ko
kmodd_test_old
kmodd_test_builtin
kmodd_test_idle
-f kmodd_test_idle
-f kmodd_test_absent
-v kmodd_test_open
`) {
		t.Run(strings.TrimSpace(line), func(t *testing.T) {
			args := strings.Fields(line)
			want, got := c.Kmod(t, "rmmod", args...), ours(c, append([]string{"--compat=kmod"}, args...)...)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-kmod +kmodd)\n%s", diff)
			}
		})
	}
}

func TestAFileStandsForItsModule(t *testing.T) {
	c := cell(t)
	want := c.Kmod(t, "rmmod", "/a-file/kmodd-test-open.ko.xz")
	got := ours(c, "--compat=kmod", c.Root+"/a-file/kmodd-test-open.ko.xz")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-kmod +kmodd)\n%s", diff)
	}
}

func TestWhoUsesAModuleIsNamed(t *testing.T) {
	c := cell(t)
	for link, target := range map[string]string{
		"devices/pci0000:00/0000:00:03.0/subsystem":          "../../../bus/pci",
		"devices/pci0000:00/0000:00:03.0/driver":             "../../../bus/pci/drivers/some-net",
		"devices/pci0000:00/0000:00:03.0/net/eth7/subsystem": "../../../../../class/net",
		"class/net/eth7":                             "../../devices/pci0000:00/0000:00:03.0/net/eth7",
		"bus/pci/devices/0000:00:03.0":               "../../../devices/pci0000:00/0000:00:03.0",
		"bus/pci/drivers/some-net/0000:00:03.0":      "../../../../devices/pci0000:00/0000:00:03.0",
		"module/kmodd_test_net/drivers/pci:some-net": "../../../bus/pci/drivers/some-net",
	} {
		if err := os.Symlink(target, c.Root+"/sys/"+link); err != nil {
			t.Fatal(err)
		}
	}
	for module, want := range map[string]string{
		"kmodd_test_held": "rmmod: ERROR: Module kmodd_test_held is in use by: kmodd_test_holder\n",
		"kmodd_test_open": "rmmod: ERROR: Module kmodd_test_open is in use\n" +
			"rmmod: kmodd_test_open is in use, by 3 references that are no other module's\n",
		"kmodd_test_net": "rmmod: ERROR: Module kmodd_test_net is in use\n" +
			"rmmod: kmodd_test_net is in use, by a reference that is no other module's\n" +
			"rmmod: eth7 is up (/devices/pci0000:00/0000:00:03.0/net/eth7)\n",
	} {
		if got := ours(c, module); got.Stderr != want || got.Exit != 1 {
			t.Errorf("exit %d\n%swant\n%s", got.Exit, got.Stderr, want)
		}
	}
}
