package match

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseNodes(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       Node
	}{
		{"too few words", "tun net/tun", Node{}},
		{"too many", "tun net/tun c10:200 x", Node{}},
		{"no type", "tun net/tun 10:200", Node{}},
		{"another type", "tun net/tun p10:200", Node{}},
		{"no minor", "tun net/tun c10", Node{}},
		{"a major beyond the kernel's", "tun net/tun c4096:0", Node{}},
		{"a minor beyond the kernel's", "tun net/tun c10:1048576", Node{}},
		{"less than nothing", "tun net/tun c-1:0", Node{}},
		{"a way out of /dev", "tun ../etc/passwd c10:200", Node{}},
		{"a way round", "tun net/./tun c10:200", Node{}},
		{"an absolute path", "tun /net/tun c10:200", Node{}},
		{"a folder", "tun net/ c10:200", Node{}},
		{"a character device", "fuse fuse c10:229", Node{"fuse", false, unix.Mkdev(10, 229), "fuse"}},
		{"one below a folder", "tun net/tun c10:200", Node{"net/tun", false, unix.Mkdev(10, 200), "tun"}},
		{"a block device", "brd ram0 b1:0", Node{"ram0", true, unix.Mkdev(1, 0), "brd"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nodes, faults := ParseNodes("# comment\n\n" + tt.line + "\n")
			if tt.want == (Node{}) {
				if len(nodes) != 0 || len(faults) != 1 || !strings.HasPrefix(faults[0], "3: not ") {
					t.Errorf("nodes %v, faults %q", nodes, faults)
				}
				return
			}
			if diff := cmp.Diff([]Node{tt.want}, nodes); diff != "" || len(faults) != 0 {
				t.Errorf("%s%q", diff, faults)
			}
		})
	}
}

func TestNodesNamesTheFileOfWhatItSkips(t *testing.T) {
	dir := t.TempDir()
	if nodes, warnings := Nodes(dir); len(nodes)+len(warnings) != 0 {
		t.Errorf("without modules.devname: %v %q", nodes, warnings)
	}
	file := filepath.Join(dir, "modules.devname")
	if err := os.WriteFile(file, []byte("bad\nfuse fuse c10:229\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	nodes, warnings := Nodes(dir)
	if len(nodes) != 1 || len(warnings) != 1 || !strings.HasPrefix(warnings[0], file+":1: ") {
		t.Errorf("%v %q", nodes, warnings)
	}
}

func FuzzParseNodes(f *testing.F) {
	f.Add("fuse fuse c10:229\ntun net/tun c10:200\n")
	f.Add("x . c0:0\nx .. b1:1\nx a//b c1:1\n")
	f.Fuzz(func(t *testing.T, text string) {
		nodes, _ := ParseNodes(text)
		for _, n := range nodes {
			if !filepath.IsLocal(n.Path) || n.Path == "." {
				t.Errorf("the path %q leaves /dev", n.Path)
			}
		}
	})
}
