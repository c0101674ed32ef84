package scenario

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

// complain compares an error with what it should contain, "" for none.
func complain(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("error %v, want none", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestBootIsRead(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		want       lab.Options
		err        string
	}{
		{name: "a word that is none", args: "slowly", err: `"slowly" is no way to boot; usage: boot [board=NAME] [debian|debian-kmodd] [full]`},
		{name: "append without words", args: "append", err: `"append" is no way`},
		{name: "a board that is none", args: "board=c64", err: "no board is called c64; there are pc, pc-rt, virt, rpi3, sabrelite, orangepi-pc, buses; usage: boot"},
		{name: "the template", args: ""},
		{name: "a board", args: "board=rpi3 append quiet", want: lab.Options{Board: "rpi3", Append: []string{"quiet"}}},
		{name: "systemd and udevd", args: "debian full", want: lab.Options{Root: lab.Debian, Full: true}},
		{name: "systemd, udevd and kmodd", args: "debian-kmodd", want: lab.Options{Root: lab.DebianKmodd}},
		{name: "a full boot", args: "full", want: lab.Options{Full: true}},
		{name: "everything after append is for the kernel", args: "busy-pc append full quiet", want: lab.Options{Busy: true, Append: []string{"full", "quiet"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseBoot(strings.Fields(tt.args))
			complain(t, err, tt.err)
			if err == nil {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error("options (-want +got):\n" + diff)
				}
			}
		})
	}
}

func TestPlugIsRead(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		id, kind   string
		props      map[string]any
		err        string
	}{
		{name: "no kind", args: "stick", err: "a name and a kind; usage: plug NAME KIND"},
		{name: "a property without value", args: "stick usb-storage removable", err: `"removable" is no property`},
		{name: "a device", args: "stick usb-storage", id: "stick", kind: "usb-storage", props: map[string]any{}},
		{name: "properties; a value may hold an =", args: "s usb-serial serial=a=b", id: "s", kind: "usb-serial", props: map[string]any{"serial": "a=b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, kind, props, err := ParsePlug(strings.Fields(tt.args))
			complain(t, err, tt.err)
			if diff := cmp.Diff([]any{tt.id, tt.kind, tt.props}, []any{id, kind, props}); diff != "" {
				t.Error("device (-want +got):\n" + diff)
			}
		})
	}
}

func TestGuestIsRead(t *testing.T) {
	run := func(uid uint32, argv ...string) agentwire.Request {
		return agentwire.Request{Op: agentwire.Run, UID: uid, Argv: argv}
	}
	for _, tt := range []struct {
		name, args string
		want       agentwire.Request
		err        string
	}{
		{name: "nothing", args: "", err: "no command; usage: guest [-as UID]"},
		{name: "an option without its value", args: "-bg", err: "no command"},
		{name: "options without a command", args: "-bg kmodd -as 1", err: "no command"},
		{name: "a user's name", args: "-as nobody id", err: `"nobody" is no user's number`},
		{name: "one word", args: "lsmod", want: run(0, "lsmod")},
		{name: "a command's own options stay its own", args: "ps -as", want: run(0, "ps", "-as")},
		{name: "another user", args: "-as 65534 id -u", want: run(65534, "id", "-u")},
		{name: "in the background", args: "-as 1 -bg d kmodd -v", want: agentwire.Request{Op: agentwire.Start, Name: "d", UID: 1, Argv: []string{"kmodd", "-v"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseGuest(strings.Fields(tt.args))
			complain(t, err, tt.err)
			if err == nil {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error("request (-want +got):\n" + diff)
				}
			}
		})
	}
}

func TestTimeoutIsRead(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		want       time.Duration
		rest       []string
		err        string
	}{
		{name: "no time", args: "-timeout", err: "a time such as 30s; usage: wait-for"},
		{name: "a number without unit", args: "-timeout 30 true", err: "a time such as 30s"},
		{name: "a time that has passed", args: "-timeout -1s true", err: "a time such as 30s"},
		{name: "none", args: "test -b /dev/sda", want: defaultTimeout, rest: []string{"test", "-b", "/dev/sda"}},
		{name: "a minute", args: "-timeout 1m true", want: time.Minute, rest: []string{"true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, rest, err := parseTimeout("wait-for", strings.Fields(tt.args))
			complain(t, err, tt.err)
			if diff := cmp.Diff([]any{tt.want, tt.rest}, []any{got, rest}); diff != "" {
				t.Error("time and command (-want +got):\n" + diff)
			}
		})
	}
}

func TestACommandsEndIsJudged(t *testing.T) {
	complain(t, judge(false, 3, "it"), "it failed with exit code 3")
	complain(t, judge(true, 0, "it"), "it succeeded, and should have failed")
	complain(t, judge(false, 0, "it"), "")
	complain(t, judge(true, 1, "it"), "")
}
