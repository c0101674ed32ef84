package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestAnAliasThatIsNoNodesIsNotTakenForOne(t *testing.T) {
	for _, alias := range []string{
		"", "char-major-", "char-major-81", "char-major-81-", "char-major-81-x", "char-major--1", "char-major-81-0-1",
		"char-major-81-+1", "char-major-4294967296-0", "char-major-81-4294967296", "block-major-8", "net-major-8-0",
		"xchar-major-81-0", NetAlias("eth0"), NetAlias("char-major-81-0"), "uvcvideo",
	} {
		if n, ok := NodeOf(Opening{Alias: alias, Name: "x"}); ok {
			t.Errorf("%q is taken for %+v", alias, n)
		}
	}
}

func TestANodeAndItsAliasSayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Node{Name: rapid.String().Draw(t, "name"), Block: rapid.Bool().Draw(t, "block"), Major: rapid.Uint32().Draw(t, "major"), Minor: rapid.Uint32().Draw(t, "minor")}
		if got, ok := NodeOf(Opening{Alias: n.Alias(), Name: n.Name}); !ok || got != n {
			t.Errorf("%q is %+v, %v; want %+v", n.Alias(), got, ok, n)
		}
		alias := rapid.StringMatching(`(char|block)-major-(0|[1-9][0-9]{0,3})-(0|[1-9][0-9]{0,3})`).Draw(t, "alias")
		if got, ok := NodeOf(Opening{Alias: alias}); !ok || got.Alias() != alias {
			t.Errorf("%q is %+v, %v", alias, got, ok)
		}
	})
}

// withLinks makes links below a directory, LINK -> TARGET on each line.
func withLinks(t *testing.T, dir, links string) {
	t.Helper()
	for line := range strings.Lines(links) {
		name, to, _ := strings.Cut(strings.TrimSpace(line), " -> ")
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.Symlink(to, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServesIsWhoHasANumber(t *testing.T) {
	s := tree(t, "")
	withLinks(t, s.Sys, `dev/char/81:0 -> ../../devices/pci0/video4linux/video0
dev/block/8:0 -> ../../devices/pci0/block/sda
dev/char/9:9 -> ../../elsewhere
`)
	for n, want := range map[Node]string{
		{Major: 81}:              "/devices/pci0/video4linux/video0",
		{Major: 81, Minor: 1}:    "",
		{Major: 81, Block: true}: "",
		{Major: 8, Block: true}:  "/devices/pci0/block/sda",
		{Major: 9, Minor: 9}:     "",
	} {
		if got := s.Serves(n); got != want {
			t.Errorf("%+v is %q, want %q", n, got, want)
		}
	}
}

func TestAFileIsANodeByItsKindAndNumber(t *testing.T) {
	char, block := Node{Major: 81, Minor: 300}, Node{Major: 81, Minor: 300, Block: true}
	for _, tt := range []struct {
		name        string
		st          unix.Stat_t
		char, block bool
	}{
		{"a file", unix.Stat_t{Mode: unix.S_IFREG, Rdev: 0x10512c}, false, false},
		{"another number", unix.Stat_t{Mode: unix.S_IFCHR, Rdev: 0x512c}, false, false},
		{"the character device", unix.Stat_t{Mode: unix.S_IFCHR | 0o660, Rdev: 0x10512c}, true, false},
		{"the block device", unix.Stat_t{Mode: unix.S_IFBLK | 0o660, Rdev: 0x10512c}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := char.IsAt(tt.st); got != tt.char {
				t.Errorf("it is %v that it is %s", got, char.Alias())
			}
			if got := block.IsAt(tt.st); got != tt.block {
				t.Errorf("it is %v that it is %s", got, block.Alias())
			}
		})
	}
}

func TestWhatOpensIsThereAndTheSameDevice(t *testing.T) {
	const usb = "/devices/usb1/1-1/1-1:1.0"
	node := Opening{Alias: Node{Major: 81}.Alias(), Name: "video0"}
	network := Opening{Alias: NetAlias("usb0"), Name: "usb0"}
	for _, tt := range []struct {
		name     string
		links    string
		node     int // the minor number of the one that is there, -1 for none
		devices  []string
		openings []Opening
		works    []string
		other    []string
		says     string
	}{
		{"not yet", "", 0, []string{usb}, []Opening{node}, nil, nil, ""},
		{"the node is missing", "dev/char/81:0 -> ../.." + usb + "/video4linux/video0", -1, []string{usb}, []Opening{node}, nil, nil, ""},
		{"the node is another", "dev/char/81:0 -> ../.." + usb + "/video4linux/video0", 1, []string{usb}, []Opening{node}, nil, nil, ""},
		{"one of two", "dev/char/81:0 -> ../.." + usb + "/video4linux/video0", 0, []string{usb}, []Opening{node, network}, []string{node.Alias}, nil, ""},
		{"another device", "dev/char/81:0 -> ../../devices/pci0/video0", 0, []string{usb, "/devices/b"}, []Opening{node}, nil, []string{node.Alias},
			"video0 is /devices/pci0/video0 now, and was a device of /devices/usb1/1-1/1-1:1.0, /devices/b"},
		{"another device that is called similarly", "dev/char/81:0 -> ../.." + usb + "1/video0", 0, []string{usb}, []Opening{node}, nil, []string{node.Alias},
			"video0 is /devices/usb1/1-1/1-1:1.01/video0 now, and was a device of /devices/usb1/1-1/1-1:1.0"},
		{"another interface, while a node is not yet there", "class/net/usb0 -> ../../devices/pci0/net/usb0", -1, []string{usb}, []Opening{node, network}, nil, []string{network.Alias},
			"usb0 is /devices/pci0/net/usb0 now, and was a device of /devices/usb1/1-1/1-1:1.0"},
		{"the interface works", "class/net/usb0 -> ../.." + usb + "/net/usb0", -1, []string{usb}, []Opening{network}, []string{network.Alias}, nil, ""},
		{"the node works", "dev/char/81:0 -> ../.." + usb + "/video4linux/video0", 0, []string{usb}, []Opening{node}, []string{node.Alias}, nil, ""},
		{"both work, each of another device", "dev/char/81:0 -> ../.." + usb + "\nclass/net/usb0 -> ../../devices/b/net/usb0", 0, []string{"/devices/b", usb}, []Opening{node, network}, []string{node.Alias, network.Alias}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tree(t, "-- dev/null --\n")
			withLinks(t, s.Sys, tt.links)
			if tt.node >= 0 {
				if err := unix.Mknod(s.dev("video0"), unix.S_IFCHR|0o600, int(unix.Mkdev(81, uint32(tt.node)))); err != nil {
					t.Skipf("this process may not make device nodes: %v", err)
				}
			}
			works, other, says := s.Opens(tt.devices, tt.openings)
			if diff := cmp.Diff([]any{tt.works, tt.other, tt.says}, []any{works, other, says}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A link at the node's name may lead to anything.
func TestALinkIsNoNode(t *testing.T) {
	s := tree(t, "-- dev/null --\n")
	if err := unix.Mknod(s.dev("other"), unix.S_IFCHR|0o600, int(unix.Mkdev(81, 0))); err != nil {
		t.Skipf("this process may not make device nodes: %v", err)
	}
	withLinks(t, s.Dev, "video0 -> other")
	withLinks(t, s.Sys, "dev/char/81:0 -> ../../devices/d/video0")
	if works, other, _ := s.Opens([]string{"/devices/d"}, []Opening{{Alias: "char-major-81-0", Name: "video0"}}); works != nil || other != nil {
		t.Errorf("got %v, %v", works, other)
	}
}

// asked is a system whose kernel asks that program.
func asked(t *testing.T, program string) System {
	t.Helper()
	return tree(t, "-- proc/"+modprobe+" --\n"+program+"\n")
}

func TestTheKernelAsksOurHelperAndThenAgainWhomItAsked(t *testing.T) {
	for _, before := range []string{"/sbin/modprobe", "/opt/with a space", ""} {
		s := asked(t, before)
		kept := "nothing"
		err := s.Ask(func(before string) error {
			kept = before
			if now := firstLine(s.proc(modprobe)); now != before {
				t.Errorf("%q is asked before that is kept", now)
			}
			return nil
		})
		if now := firstLine(s.proc(modprobe)); err != nil || now != Helper || kept != before {
			t.Errorf("%q is asked, %q was kept, %v", now, kept, err)
		}
		if err := s.AskAgain(kept); err != nil || read(s.proc(modprobe)) != before+"\n" {
			t.Errorf("in the end %q is asked: %v", read(s.proc(modprobe)), err)
		}
	}
}

func TestOurHelperIsNotKeptAsTheOneBefore(t *testing.T) {
	s := asked(t, Helper)
	if err := s.Ask(func(before string) error { return errors.New("kept " + before) }); err != nil {
		t.Error(err)
	}
}

func TestOurHelperIsAskedThoughTheOneBeforeCanNotBeKept(t *testing.T) {
	s := asked(t, "/sbin/modprobe")
	full := errors.New("no space")
	if err := s.Ask(func(string) error { return full }); !errors.Is(err, full) {
		t.Errorf("it says %v", err)
	}
	if now := firstLine(s.proc(modprobe)); now != Helper {
		t.Errorf("%q is asked", now)
	}
}

func TestAForeignHelperIsLeftAlone(t *testing.T) {
	s := asked(t, "/opt/helper")
	if err := s.AskAgain("/sbin/modprobe"); err != nil || firstLine(s.proc(modprobe)) != "/opt/helper" {
		t.Errorf("%q is asked: %v", firstLine(s.proc(modprobe)), err)
	}
}

func TestAKernelThatHasNoHelperSaysSo(t *testing.T) {
	s := tree(t, "")
	if err := s.Ask(func(string) error { return nil }); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "sys/kernel/modprobe") {
		t.Errorf("it says %v", err)
	}
	if err := s.AskAgain("/sbin/modprobe"); err != nil {
		t.Errorf("to take nothing back: %v", err)
	}
}

// As when another card has come while the driver of this one slept: its stream has the
// number that was a control's.
func TestANodeIsOfTheDeviceThatHasItsNumberAndItsName(t *testing.T) {
	control := Opening{Alias: Node{Major: 116, Minor: 3}.Alias(), Name: "controlC0"}
	stream := Opening{Alias: Node{Major: 116, Minor: 2}.Alias(), Name: "pcmC0D0p"}
	later := Opening{Alias: Node{Major: 116, Minor: 9}.Alias(), Name: "pcmC0D9p"}
	s := tree(t, "-- dev/null --\n-- sys/devices/card/capture/uevent --\nMAJOR=116\nDEVNAME=pcmC0D0c\n-- sys/devices/card/playback/uevent --\nDEVNAME=pcmC0D0p\n")
	withLinks(t, s.Sys, "dev/char/116:3 -> ../../devices/card/capture\ndev/char/116:2 -> ../../devices/card/playback")
	for _, o := range []Opening{control, stream, later} {
		if n, _ := NodeOf(o); s.Has(n) != (o.Name == stream.Name) {
			t.Errorf("%s is there: %v", o.Name, s.Has(n))
		}
	}
	if !s.Lacks([]Opening{later}) || s.Lacks([]Opening{control}) { // whose number another one has
		t.Error("it is not known which node is missing")
	}
	for i, o := range []Opening{control, stream, later} {
		n, _ := NodeOf(o)
		if err := unix.Mknod(s.dev(o.Name), unix.S_IFCHR|0o600, int(n.Rdev())); err != nil {
			t.Skipf("this process may not make device nodes (%d): %v", i, err)
		}
	}
	all := []Opening{control, stream, later, {Alias: NetAlias("eth0"), Name: "null"}}
	if s.Lacks(all) {
		t.Error("one is missing, and all are there")
	}
	works, other, says := s.Opens([]string{"/devices/card"}, []Opening{control, stream})
	if diff := cmp.Diff([]any{[]string{stream.Alias}, []string{control.Alias}, "the number of controlC0 is that of /devices/card/capture now"}, []any{works, other, says}); diff != "" {
		t.Error(diff)
	}
	all[0].Links = []string{"by-path/card", "by-path/other", "../outside"}
	withLinks(t, s.Dev, "by-path/card -> ../controlC0\nby-path/other -> ../pcmC0D0p\n../outside -> dev/controlC0\n")
	for range 2 { // the second time there is nothing to do
		if err := s.Hide(all); err != nil {
			t.Error(err)
		}
	}
	for folder, want := range map[string]string{s.Dev: "by-path/ null pcmC0D0p", s.dev("by-path"): "other", filepath.Dir(s.Dev): "dev/ outside sys/"} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Error(err)
		}
		var left []string
		for _, e := range entries {
			left = append(left, e.Name()+map[bool]string{true: "/"}[e.IsDir()])
		}
		if got := strings.Join(left, " "); got != want {
			t.Errorf("left in %s are %s, want %s", folder, got, want)
		}
	}
}
