package depmod_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
)

// A gardener makes trees by chance.
type gardener struct{ *rapid.T }

func (g gardener) oneOf(what string, of ...string) string {
	return rapid.SampledFrom(of).Draw(g.T, what)
}
func (g gardener) upTo(n int, what string) int    { return rapid.IntRange(0, n).Draw(g.T, what) }
func (g gardener) chance(n int, what string) bool { return g.upTo(n-1, what) == 0 }

// stem is the name of a file without its extension: few, so that they meet.
func (g gardener) stem() string {
	return g.oneOf("stem", "a", "b", "c-d", "c_d", "e", "f.g", "snd-hda", "snd_hda", "x1", "usb-storage", "zz")
}

func (g gardener) dir() string {
	return g.oneOf("dir", "kernel", "kernel/drivers", "kernel/drivers/net", "updates", "updates/dkms", "extra", "weak-updates", "up", ".")
}

func (g gardener) file() string {
	return strings.TrimPrefix(g.dir()+"/"+g.stem()+g.oneOf("extension", ".ko", ".ko", ".ko", ".ko.zst", ".ko.bz2"), "./")
}

// alias is an alias of any form, or none.
func (g gardener) alias() string {
	return rapid.StringMatching(`(devname:[a-z/]{1,4}|(char|block)-major-[0-9]{1,3}-([0-9]{1,3}|\*)|(pci|of):[a-z*?\-_0-9\[\]]{0,8}|[a-z\- _]{0,5})`).Draw(g.T, "alias")
}

// module is the nth one of a tree. What it needs, only those before it have, so that
// there are no cycles, which kmod does not always survive.
func (g gardener) module(n int) string {
	m := kofiletest.Module{Bits: 64, Order: binary.LittleEndian, Machine: 62}
	if g.chance(4, "other machine") {
		m.Bits, m.Order, m.Machine = 32, binary.BigEndian, 8
	}
	for range g.upTo(4, "fields") {
		m.Info = append(m.Info, g.oneOf("key", "alias", "alias", "alias", "softdep", "license", "depends", "aliased")+"="+g.alias())
	}
	for i := range g.upTo(3, "exports") {
		m.Exports = append(m.Exports, kofile.Export{Name: symbolOf(n, i), CRC: uint64(g.upTo(3, "crc")), GPL: g.chance(2, "GPL")})
	}
	m.Needs = append(m.Needs, kofile.Need{Name: "printk"})
	for range g.upTo(5, "needs") {
		m.Needs = append(m.Needs, kofile.Need{Name: symbolOf(g.upTo(n, "of")-1, g.upTo(2, "which")), Weak: g.chance(4, "weak")})
	}
	for i := range g.upTo(3, "versions") { // each once: of others kmod speaks twice
		m.Versions = append(m.Versions, kofile.Version{Name: symbolOf(g.upTo(n, "of")-1, i), CRC: uint64(g.upTo(3, "crc"))})
	}
	return m.String()
}

// symbolOf is a symbol of the nth module, or for -1 of none.
func symbolOf(n, i int) string {
	return fmt.Sprintf("%ssymbol_%d_%d", []string{"", "_", "the_", ".", "a_very_long_name_of_a_"}[(n+1+i)%3], n, i)
}

func (g gardener) tree(tb testing.TB) tree {
	all := tree{}
	for n := range g.upTo(12, "modules") {
		path, file := g.file(), g.module(n)
		switch {
		case strings.HasSuffix(path, ".zst"):
			file = zstandard(tb, file)
		case g.chance(12, "broken"):
			file = file[:g.upTo(100, "length")]
		}
		all[path] = file
	}
	if !g.chance(6, "no order") {
		all["modules.order"] = g.order()
	}
	all["modules.builtin"] = g.lines(func() string { return "kernel/" + g.stem() + ".ko" })
	var modinfo strings.Builder
	for range g.upTo(5, "builtin") {
		fmt.Fprintf(&modinfo, "%s.%s=%s\x00", strings.ReplaceAll(g.stem(), ".", ""), g.oneOf("key", "alias", "license"), g.alias())
	}
	all["modules.builtin.modinfo"] = modinfo.String()
	return all
}

func (g gardener) order() string {
	order := g.lines(func() string { return strings.TrimSuffix(g.file(), ".zst") })
	if g.chance(8, "no end") {
		order += "kernel/a.ko"
	}
	return order
}

func (g gardener) lines(line func() string) string {
	var b strings.Builder
	for range g.upTo(10, "lines") {
		b.WriteString(line() + "\n")
	}
	return b.String()
}

// config is a file of depmod.d.
func (g gardener) config(root string) string {
	return g.lines(func() string {
		switch g.oneOf("command", "search", "override", "external", "exclude", "junk") {
		case "search":
			return "search " + g.oneOf("where", "updates", "extra built-in", "kernel/drivers updates", "external", "built-in external updates", "kernel . up")
		case "override":
			return "override " + g.stem() + " " + g.oneOf("kernel", "*", "^6", "5") + " " + g.dir()
		case "external":
			return "external " + g.oneOf("kernel", "*", "^6", "5") + " " + root + g.oneOf("outside", "/opt", "/opt/deep", "/missing", "/lib/modules/"+release+"/extra")
		case "exclude":
			return "exclude " + g.oneOf("what", "net", "dkms", "a.ko", "up")
		}
		return g.oneOf("junk", "", "# comment", "junk", "override a", "search", "\t")
	})
}

// memory is a directory in memory, if there is one: tables wait for the disk.
func memory() string {
	const dir = "/dev/shm"
	if unix.Access(dir, unix.W_OK) == nil {
		return dir
	}
	return ""
}

func TestTablesOfAnyTreeAreKmods(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	rapid.Check(t, func(r *rapid.T) {
		g := gardener{r}
		root, err := os.MkdirTemp(memory(), "kmodd-depmod-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		g.tree(t).into(r, root)
		for range g.upTo(2, "outside") {
			tree{"../../../opt/" + g.file(): g.module(0)}.into(r, root)
		}
		conf, mapFile := filepath.Join(root, "test.conf"), filepath.Join(root, "System.map")
		if err := os.WriteFile(conf, []byte(g.config(root)), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(mapFile, []byte(systemMap), 0o644); err != nil {
			t.Fatal(err)
		}
		args := []string{"-C", conf, release}
		for _, option := range []string{"-v", "-w", "-e", "-F" + mapFile, "-P_"} {
			if g.chance(3, option) {
				args = append(args, option)
			}
		}
		theirs, ours := p.both(r, root, args...)
		same(r, theirs, ours)
	})
}
