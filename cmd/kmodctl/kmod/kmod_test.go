package kmod

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodctl/kmodtest"
	"github.com/kmodd/kmodd/daemon/kernel"
)

const files = `
-- proc/modules --
usb_storage 81920 2 uas, Live 0xffffffffc0a2a000
uas 32768 0 - Live 0xffffffffc0a22000
a_module_with_a_very_long_name 4096 0 - Loading 0x0
gone 1 0 - Live 0x0
odd 8192 1 - Live 0x0
-- sys/module/usb_storage/coresize --
77824
-- sys/module/usb_storage/refcnt --
2
-- sys/module/usb_storage/initstate --
live
-- sys/module/usb_storage/holders/uas --
-- sys/module/usb_storage/holders/ums_realtek --
-- sys/module/usb_storage/holders/ums_alauda --
-- sys/module/uas/refcnt --
0
-- sys/module/uas/initstate --
live
-- sys/module/uas/holders/.keep --
-- sys/module/a_module_with_a_very_long_name/coresize --
123456789
-- sys/module/odd/initstate --
live
-- lib/modules/RELEASE/modules.devname --
# Device nodes to trigger on-demand module loading.
fuse fuse c10:229
snd_seq snd/seq c116:1
loop loop-control b7:0
broken here
tun net/tun c10:200
odd deep/er/node x1:2
-- tmp/x --
`

func ours(c kmodtest.Cell, args ...string) kmodtest.Said {
	var stdout, stderr bytes.Buffer
	s := system{kernel.System{Sys: c.Root + "/sys", Proc: c.Root + "/proc"}, c.Root}
	exit := s.run(args, "1.0", &stdout, &stderr)
	return kmodtest.Said{Stdout: stdout.String(), Stderr: stderr.String(), Exit: exit}
}

// theirs is what kmod says; it opens /dev/stdout by its name, which is a file in the cell.
func theirs(t *testing.T, c kmodtest.Cell, args ...string) kmodtest.Said {
	t.Helper()
	said := c.Kmod(t, "kmod", args...)
	file := filepath.Join(c.Root, "dev/stdout")
	if text, err := os.ReadFile(file); err == nil {
		said.Stdout += string(text)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	return said
}

func TestCommandsAnswerLikeKmods(t *testing.T) {
	c := kmodtest.New(t, files)
	for line := range strings.Lines(`list
list more
static-nodes
static-nodes -f human
static-nodes --format=tmpfiles
static-nodes -fdevname
static-nodes -x
static-nodes -f
-x
--nothing
`) {
		t.Run(strings.TrimSpace(line), func(t *testing.T) {
			args := strings.Fields(line)
			want, got := theirs(t, c, args...), ours(c, args...)
			want.Stderr, got.Stderr = entries(want.Stderr), entries(got.Stderr)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-kmod +kmodd)\n%s", diff)
			}
		})
	}
}

// entries leaves out which lines of a table are broken: kmod quotes them, and we
// tell their numbers.
func entries(stderr string) string {
	var b strings.Builder
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "Error: invalid devname entry: ") {
			line = "Error: invalid devname entry\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestOutputGoesToAFile(t *testing.T) {
	c := kmodtest.New(t, files)
	args := []string{"static-nodes", "--format=tmpfiles", "-o"}
	want := theirs(t, c, append(args, "/run/new/theirs.conf")...)
	got := ours(c, append(args, c.Root+"/run/new/ours.conf")...)
	if want.Exit != got.Exit || got.Stdout != "" {
		t.Errorf("%+v, kmod %+v", got, want)
	}
	a, err1 := os.ReadFile(c.Root + "/run/new/theirs.conf")
	b, err2 := os.ReadFile(c.Root + "/run/new/ours.conf")
	if err1 != nil || err2 != nil || string(a) != string(b) || len(a) == 0 {
		t.Errorf("kmod has written\n%s\nwe\n%s%v %v", a, b, err1, err2)
	}
}

func TestWithoutATableThereAreNoNodes(t *testing.T) {
	c := kmodtest.New(t, "-- proc/modules --\n")
	if diff := cmp.Diff(theirs(t, c, "static-nodes"), ours(c, "static-nodes")); diff != "" {
		t.Errorf("(-kmod +kmodd)\n%s", diff)
	}
}

// With what kmod's own help says, ours can't be compared.
func TestHelpIsPrintedWhereKmodPrintsIt(t *testing.T) {
	c := kmodtest.New(t, "-- proc/x --\n")
	for _, line := range []string{"", "help", "-h", "--help", "-V", "--version", "no-such-command", "static-nodes -h", "static-nodes -f xml", "list"} {
		t.Run(line, func(t *testing.T) {
			args := strings.Fields(line)
			want, got := theirs(t, c, args...), ours(c, args...)
			if got.Stderr != want.Stderr || got.Exit != want.Exit || (got.Stdout == "") != (want.Stdout == "") {
				t.Errorf("%+v\nkmod %+v", got, want)
			}
		})
	}
}
