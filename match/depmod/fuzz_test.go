package depmod

import (
	"strings"
	"testing"
)

func FuzzConfig(f *testing.F) {
	f.Add("search updates extra built-in external\noverride a * b\nexternal ^6 /opt\nexclude c\n")
	f.Add("search a\\\nb\n# c\n\\\n\\")
	f.Add("override a ( b\noverride a\ninclude x\nexternal * a b c\n\t \x00")
	f.Fuzz(func(t *testing.T, text string) {
		var c Config
		messages := c.Read("f", text, "6.1.0")
		lines := strings.Count(text, "\n") + 1
		if len(messages) > lines {
			t.Errorf("%d messages about %d lines", len(messages), lines)
		}
		whole := strings.ReplaceAll(text, "\\", "")
		for _, name := range append(c.externals, c.excludes...) {
			if name == "" || !strings.Contains(strings.ReplaceAll(whole, "\n", ""), strings.ReplaceAll(name, "\n", "")) {
				t.Errorf("%q is made up", name)
			}
		}
		w := walk{Tree: Tree{Dir: "/m", Config: c}}
		if w.stays("/m/a/x.ko", "/m/b/x.ko", 1) && !w.stays("/m/a/x.ko", "/m/b/x.ko", 1) {
			t.Error("it depends on the moment")
		}
	})
}

func FuzzOrder(f *testing.F) {
	f.Add("kernel/a.ko\nkernel/b.ko\n")
	f.Add("a\n\x00b\na\n\n")
	f.Add("a\nb")
	f.Add(strings.Repeat("x", 5000) + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		places, err := readOrder(text)
		if err != nil && len(places) > 0 {
			t.Errorf("%v, and %d places", err, len(places))
		}
		for file, place := range places {
			if place >= 0 || place < -strings.Count(text, "\n")-len(text)/longest-1 || !strings.Contains(text, file+"\n") {
				t.Errorf("%q has place %d", file, place)
			}
		}
	})
}

func FuzzBuiltin(f *testing.F) {
	f.Add("kernel/fs/ext4/ext4.ko\nkernel/lib/crc-32.ko\n")
	f.Add("7.ko\n\nx/\n\x00\nkernel/no end")
	f.Fuzz(func(t *testing.T, text string) {
		modules, faults := readBuiltin(text)
		lines := 0
		for range linesOf(text) {
			lines++
		}
		if len(modules)+len(faults) != lines {
			t.Errorf("%d modules and %d faults in %d lines", len(modules), len(faults), lines)
		}
		for _, module := range modules {
			if strings.ContainsAny(module, "-./\n\x00") {
				t.Errorf("a module called %q", module)
			}
		}
	})
}

func FuzzModinfo(f *testing.F) {
	f.Add("ext4.alias=fs-ext4\x00ext4.license=GPL\x00crc.alias=crypto-crc\x00")
	f.Add("no dot\x00x.no value\x00.alias=x\x00x.alias=\x00cut.alias=short")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range readModinfo(text) {
			if a.module == "" || a.alias == "" || !strings.Contains(text, a.module+".alias="+a.alias+"\x00") {
				t.Errorf("%+v is made up", a)
			}
		}
	})
}

func FuzzKernel(f *testing.F) {
	f.Add("ffffffff81000000 R __ksymtab_printk\n0x12345678\tprintk\tvmlinux\tEXPORT_SYMBOL\n")
	f.Add("a b\n\n\x00\n0x\tx\tvmlinux\t\n-1 x vmlinux y")
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func(string) (Kernel, []Message, error){
			func(text string) (Kernel, []Message, error) { return ReadSystemMap("f", strings.NewReader(text), '_') },
			func(text string) (Kernel, []Message, error) { return ReadSymvers("f", strings.NewReader(text), '_') },
		} {
			k, messages, err := read(text)
			if err != nil || len(messages) > len(text) {
				t.Errorf("%d messages, %v", len(messages), err)
			}
			for name := range k.crcs {
				if name != "__this_module" && name != "_GLOBAL_OFFSET_TABLE_" && name != "TOC." && !strings.Contains(text, name) {
					t.Errorf("%q is made up", name)
				}
			}
		}
	})
}
