package daemon

import (
	"os"
	"strings"
	"testing"
)

func TestMappingsOfAProgramsFile(t *testing.T) {
	const file = "/opt/my board/kmodd (deleted)"
	tests := []struct {
		name, line string
		want       mapping
		ok         bool
	}{
		{"nothing", "", mapping{}, false},
		{"no file", "7efc117e7000-7efc118bb000 rw-p 00000000 00:00 0\n", mapping{}, false},
		{"another file", "00400000-0059c000 r-xp 00000000 08:01 5334 /opt/my board/kmodd\n", mapping{}, false},
		{"no address", "0x00-y r-xp 00000000 08:01 5334 /opt/my board/kmodd (deleted)\n", mapping{}, false},
		{"an empty range", "00400000-00400000 r-xp 00000000 08:01 5334 /opt/my board/kmodd (deleted)\n", mapping{}, false},
		{"variables", "0078f000-007a5000 rw-p 0038f000 08:01 5334 /opt/my board/kmodd (deleted)\n", mapping{}, false},
		{"instructions", "00400000-0059c000 r-xp 00000000 08:01 5334    /opt/my board/kmodd (deleted)\n", mapping{0x400000, 0x59c000}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parseMapping(test.line, file)
			if got != test.want || ok != test.ok {
				t.Errorf("%x, %v", got, ok)
			}
		})
	}
}

// resident is how many bytes of a program's own file are mapped, in kB.
func resident(t *testing.T) (kB int) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	ours := false
	for line := range strings.Lines(string(smaps)) {
		fields := strings.Fields(line)
		switch {
		case strings.Contains(fields[0], "-"):
			_, ours = parseMapping(line, exe)
		case ours && fields[0] == "Rss:":
			for _, digit := range fields[1] {
				kB = 10*kB + int(digit-'0')
			}
			return kB
		}
	}
	return 0
}

func TestAReleasedProgramRunsOnWithFewerPages(t *testing.T) {
	parts := ownFile()
	if len(parts) < 2 {
		t.Fatalf("found %d mappings, want instructions and constants", len(parts))
	}
	before := resident(t)
	for _, m := range parts {
		m.release()
	}
	if after := resident(t); after >= before {
		t.Errorf("%d kB of the program were mapped, now %d kB", before, after)
	}
}
