package modulesload

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// shown is a configuration, a line for each module and warning.
func shown(c Config) string {
	var b strings.Builder
	for _, m := range c.Modules {
		fmt.Fprintf(&b, "%s: %s:%d\n", m.Name, m.File, m.Line)
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(&b, "warning: %v\n", w)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	const cmdline = "kernel command line"
	for _, tt := range []struct {
		name, cmdline string
		initramfs     bool
		text, want    string
	}{
		{"parameters after a name", "", false, "loop max_loop=8\nfuse\n",
			"fuse: f:2\nwarning: f:1: line skipped: a name stands alone; write \"options loop max_loop=8\" into a file of modprobe.d\n"},
		{"nothing", "quiet modules_load root=/dev/sda", false, "\n", ""},
		{"rd. outside of an initramfs", "rd.modules_load=loop", false, "", ""},
		{"no names between commas", "modules_load=,loop,,", false, "", "loop: " + cmdline + ":0\n"},
		{"somebody else's words", "loop.modules_load=fuse xmodules_load=fuse rd.rd.modules_load=fuse", true, "", ""},
		{"comments, blanks and a line without its end", "", false, "# a\n ; b\n\t\n  fuse\t\r\n\nloop", "fuse: f:4\nloop: f:6\n"},
		{"a continued line is none", "", false, "fuse\\\nloop\n", "fuse\\: f:1\nloop: f:2\n"},
		{"twice", "modules_load=loop", false, "fuse\nloop\nfuse\n", "loop: " + cmdline + ":0\nfuse: f:1\n"},
		{"rd. in an initramfs, dashes and quotes", `rd.modules-load="loop,fuse" "modules_load=tun"`, true, "",
			"loop: " + cmdline + ":0\nfuse: " + cmdline + ":0\ntun: " + cmdline + ":0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := shown(Parse(tt.cmdline, tt.initramfs, File{"f", tt.text}))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadReadsTheFilesThatCount(t *testing.T) {
	root := t.TempDir()
	err := txtar.Write(txtar.Parse([]byte(`
-- etc/modules-load.d/b.conf --
tun
-- run/modules-load.d/dir.conf/x --
-- usr/lib/modules-load.d/a.conf --
fuse
-- usr/lib/modules-load.d/b.conf --
never
`)), root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", root+"/etc/modules-load.d/c.conf"); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(shown(Load(root, "modules_load=loop", false)), root, "")
	want := `loop: kernel command line:0
fuse: /usr/lib/modules-load.d/a.conf:1
tun: /etc/modules-load.d/b.conf:1
warning: /etc/modules-load.d/c.conf: not a regular file
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("quiet modules_load=a,b", "a\n#b\n;c\nd e\n")
	f.Add(`"modules_load=a`, "\\\n\x00")
	f.Add(`modules_load=" , b"`, "b")
	f.Fuzz(func(t *testing.T, cmdline, text string) {
		seen := map[string]bool{}
		for _, m := range Parse(cmdline, true, File{"f", text}).Modules {
			if m.Name == "" || strings.ContainsAny(m.Name, " \t\n") || seen[m.Name] {
				t.Errorf("a module %q", m.Name)
			}
			seen[m.Name] = true
		}
	})
}
