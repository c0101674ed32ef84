package usage

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseMount(t *testing.T) {
	for _, bad := range []string{
		"", "36", "36 35 98:0 /mnt1 /mnt2 rw", "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 -", "36 35 98:0 / / rw -  x y",
		"x 35 98:0 / / rw - ext3 /dev/root rw", "36 35 98 / / rw - ext3 /dev/root rw", "36 35 98:x / / rw - ext3 /dev/root rw",
		"36 35 -1:0 / / rw - ext3 /dev/root rw",
	} {
		if m, ok := parseMount([]byte(bad)); ok {
			t.Errorf("%q is taken for %+v", bad, m)
		}
	}
	for line, want := range map[string]string{
		`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`: `36 {true 98 0} /mnt1 /mnt2 ext3 /dev/root rw,errors=continue`,
		`22 27 0:21 / /proc rw - proc proc rw`:                                           `22 {false 0 21} / /proc proc proc rw`,
		`22 27 8:1 / /a\040- rw shared:1 propagate_from:2 - vfat /dev/x rw`:              `22 {true 8 1} / /a\040- vfat /dev/x rw`,
		`22 27 0:45 / /mnt rw - tmpfs  rw`:                                               `22 {false 0 45} / /mnt tmpfs  rw`,
		`22 27 0:45 / /mnt rw - tmpfs none`:                                              `22 {false 0 45} / /mnt tmpfs none `,
	} {
		m, ok := parseMount([]byte(line))
		got := fmt.Sprintf("%d %v %s %s %s %s %s", m.id, m.number, m.root, m.point, m.fstype, m.source, m.options)
		if !ok || got != want {
			t.Errorf("%s\n%s", line, gocmp.Diff(want, got))
		}
	}
}

// What the kernel writes of a mount is read back, whatever the names are.
func TestMountsAreReadBack(t *testing.T) {
	name := rapid.StringOfN(rapid.RuneFrom([]rune("a/ \t\n\\#-é")), 1, 20, -1)
	rapid.Check(t, func(t *rapid.T) {
		root, point, source := name.Draw(t, "root"), name.Draw(t, "point"), name.Draw(t, "source")
		optional := rapid.SliceOfN(rapid.SampledFrom([]string{"shared:1", "master:2", "unbindable"}), 0, 3).Draw(t, "optional")
		n := number{major: rapid.Uint32Range(0, 4095).Draw(t, "major"), minor: rapid.Uint32().Draw(t, "minor")}
		n.block = n.major != 0
		fields := append([]string{"36", "35", fmt.Sprintf("%d:%d", n.major, n.minor), mangled(root), mangled(point), "rw"}, optional...)
		line := strings.Join(append(fields, "-", "fuse.x", mangled(source), "rw"), " ")
		m, ok := parseMount([]byte(line))
		if !ok || m.number != n || unescape(m.root) != root || unescape(m.point) != point || unescape(m.source) != source || string(m.fstype) != "fuse.x" {
			t.Fatalf("%s is read as %+v", line, m)
		}
	})
}

// mangled escapes as mangle in fs/proc_namespace.c does.
func mangled(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(" \t\n\\#", s[i]) >= 0 {
			fmt.Fprintf(&b, `\%03o`, s[i])
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		``: ``, `plain`: `plain`, `a\040b`: "a b", `\134040`: `\040`, `\0`: `\0`, `\999`: `\999`, `\777`: `\777`, `\`: `\`, `x\011`: "x\t",
	} {
		if got := unescape([]byte(in)); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestParseSwaps(t *testing.T) {
	const text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" +
		"/dev/sda2                               partition\t1048572\t\t0\t\t-2\n" +
		`/swap\040file                            file		1	0	-3` + "\n" +
		`/dev/sdb1\040(deleted)                   partition	1	0	-3` + "\ncut\n"
	var got []string
	parseSwaps([]byte(text), func(file string) { got = append(got, file) })
	if diff := gocmp.Diff([]string{"/dev/sda2", "/swap file", "/dev/sdb1 (deleted)"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseStream(t *testing.T) {
	for _, tt := range []struct {
		text  string
		open  bool
		owner int
	}{
		{"closed\n", false, 0}, {"closed", false, 0},
		{"", true, 0}, // the kernel says nothing: that is not closed
		{"state: RUNNING\nowner_pid   : 1234\n", true, 1234},
		{"state: SETUP\nowner_pid   : -1\n", true, 0},
		{"state: OPEN\n", true, 0},
	} {
		if open, owner := parseStream([]byte(tt.text)); open != tt.open || owner != tt.owner {
			t.Errorf("%q: %v by %d", tt.text, open, owner)
		}
	}
}

func TestParseFlags(t *testing.T) {
	for text, want := range map[string]uint32{"0x1003\n": 0x1003, "0x0": 0, "0x40081": 0x40081, "17": 17} {
		if got, ok := parseFlags([]byte(text)); !ok || got != want {
			t.Errorf("%q is %#x", text, got)
		}
	}
	for _, text := range []string{"", "\n", "x", "-1", "0x", "0x100000000"} {
		if got, ok := parseFlags([]byte(text)); ok {
			t.Errorf("%q is taken for %#x", text, got)
		}
	}
}

func TestParseNamespace(t *testing.T) {
	for link, want := range map[string]string{
		"mnt:[4026531841]": "4026531841", "net:[4026531841]": "", "mnt:[]": "", "mnt:[": "", "mnt:[12": "", "mnt:[x]": "", "/mnt:[1]": "", "": "",
	} {
		if got := parseNamespace([]byte(link)); got != want {
			t.Errorf("%q is %q", link, got)
		}
	}
}

func TestParseMountID(t *testing.T) {
	for text, want := range map[string]int{"pos:\t0\nflags:\t02\nmnt_id:\t25\nino:\t4\n": 25, "mnt_id: 7": 7, "": -1, "mnt_id:\tx\n": -1, "xmnt_id:\t1\n": -1} {
		got, ok := parseMountID([]byte(text))
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestParseInet6(t *testing.T) {
	const text = "00000000000000000000000000000001 01 80 10 80       lo\nfe80000000000000505400fffe123456 02 40 20 80     eth0\n"
	for name, want := range map[string]bool{"lo": true, "eth0": true, "eth": false, "80": false, "": false} {
		if parseInet6([]byte(text), name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// Whatever text comes, no parser is confused by it.
func FuzzParsers(f *testing.F) {
	f.Add([]byte(`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`))
	f.Add([]byte("/dev/sda2\\040 partition 1 2 3"))
	f.Add([]byte("state: RUNNING\nowner_pid   : 1234\n"))
	f.Add([]byte("mnt:[1]"))
	f.Add([]byte("mnt_id:\t1\n0x1003"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, ok := parseMount(text); ok && (len(m.fstype) == 0 || m.number.block != (m.number.major != 0)) {
			t.Errorf("%q is %+v", text, m)
		}
		parseSwaps(text, func(file string) {
			if file == "" {
				t.Errorf("a file without a name in %q", text)
			}
		})
		if _, owner := parseStream(text); owner < 0 {
			t.Errorf("owner %d of %q", owner, text)
		}
		if len(unescape(text)) > len(text) {
			t.Errorf("%q became longer", text)
		}
		parseFlags(text)
		parseInet6(text, "eth0")
		parseNamespace(text)
		parseMountID(text)
	})
}
