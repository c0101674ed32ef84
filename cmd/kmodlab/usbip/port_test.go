package usbip

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const heading = "hub port sta spd dev      sockfd local_busid\n"

func TestPortsAreRead(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []port
		err        string
	}{
		{name: "too few columns", text: heading + "hs  0000 004\n", err: `"hs  0000 004" is no port: it has 3 of 7 columns`},
		{name: "a state that is no number", text: heading + "hs  0000 x 000 00000000 000000 0-0\n", err: "is no port"},
		{name: "nothing", text: ""},
		{name: "no port", text: heading},
		{name: "one used, one free, and one for USB 3", text: heading +
			"hs  0000 006 003 00000001 000007 3-1\nhs  0001 004 000 00000000 000000 0-0\nss  0008 004 000 00000000 000000 0-0\n",
			want: []port{{true, 0, portUsed, "3-1"}, {true, 1, portFree, "0-0"}, {false, 8, portFree, "0-0"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePorts(strings.NewReader(tt.text))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(port{})); diff != "" {
				t.Error("ports (-want +got):\n" + diff)
			}
		})
	}
}

func TestADeviceGoesIntoTheFirstFreePort(t *testing.T) {
	c := Controller(t.TempDir())
	if _, err := c.Plug(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a controller: %v, want %v", err, fs.ErrNotExist)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(string(c), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("attach", "")
	write("status", heading+"ss  0000 004 000 00000000 000000 0-0\nhs  0001 006 003 00000001 000007 3-1\n")
	if _, err := c.Plug(); err == nil || !strings.Contains(err.Error(), "none of 2 ports is free") {
		t.Errorf("with all ports taken: %v", err)
	}
	write("status.1", heading+"hs  0016 004 000 00000000 000000 0-0\n")
	p, err := c.Plug()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	words, err := os.ReadFile(filepath.Join(string(c), "attach"))
	if f := strings.Fields(string(words)); err != nil || p.Port != 16 || len(f) != 4 || f[0] != "16" || f[3] != "3" {
		t.Errorf("port %d, written %q, %v; want port 16 at speed 3", p.Port, words, err)
	}
}
