package ids_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/ids"
	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// text is a list with all that may be in one.
var text = strings.Join([]string{
	"# vendor  comment",
	"0627  Adomax Technology Co., Ltd",
	"\t0001  QEMU Tablet",
	"\t\t00  an interface",
	"# in between",
	"",
	"\t0002  " + strings.Repeat("x", 5000),
	"\t0003  after a long line\r",
	"0628  " + strings.Repeat("y", 5000),
	"\t0001  of the vendor with the long name, or of nobody",
	"062G  no number",
	"0629  no products",
	"062a",
	"\t0001  of nobody",
	"0627  a second time",
	"\t0009  never found",
	"C 03  Human Interface Device",
	"\t01  Boot Interface Subclass",
	"\t\t02  Mouse",
	"\t02  another",
	"\t\t03  not in the first",
	"HUT 01  Generic",
	"\t030  X",
	"C 08  Mass \xffStorage",
}, "\n")

func read(t *testing.T, content string) *ids.List {
	t.Helper()
	u, err := ids.Read(strings.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestNames(t *testing.T) {
	u := read(t, text)
	for _, tt := range []struct {
		name      string
		got, want []string
	}{
		{"an unknown vendor", u.Device("FFFF", "0001"), nil},
		{"a heading of another list", u.Device("HUT ", "030"), nil},
		{"a code that is no number", u.Device("062G", ""), nil},
		{"a name that is too long", u.Device("0628", ""), []string{strings.Repeat("y", 250)}},
		{"a vendor without a name", u.Device("062A", "0001"), nil},
		{"an unknown product", u.Device("0627", "7777"), []string{"Adomax Technology Co., Ltd"}},
		{"an interface for a product", u.Device("0627", "00"), []string{"Adomax Technology Co., Ltd"}},
		{"a product whose name is too long", u.Device("0627", "0002"), []string{"Adomax Technology Co., Ltd", strings.Repeat("x", 249)}},
		{"a product of the next vendor's", u.Device("0629", "0001"), []string{"no products"}},
		{"a vendor that is there twice", u.Device("0627", "0009"), []string{"Adomax Technology Co., Ltd"}},
		{"a product", u.Device("0627", "0001"), []string{"Adomax Technology Co., Ltd", "QEMU Tablet"}},
		{"a product after a long line", u.Device("0627", "0003"), []string{"Adomax Technology Co., Ltd", "after a long line"}},
		{"a protocol", u.Class("03", "01", "02"), []string{"Human Interface Device", "Boot Interface Subclass", "Mouse"}},
		{"a protocol of the next subclass", u.Class("03", "01", "03"), []string{"Human Interface Device", "Boot Interface Subclass"}},
		{"a subclass", u.Class("03", "01", ""), []string{"Human Interface Device", "Boot Interface Subclass"}},
		{"a class without a newline, in no encoding", u.Class("08", "06", "50"), []string{"Mass \uFFFDStorage"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// broken fails to be read after some bytes.
type broken struct{ text string }

func (b broken) ReadAt(p []byte, at int64) (int, error) {
	if at > int64(len(b.text)) {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, b.text[at:])
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	if _, err := ids.Read(broken{text}, 1<<20); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}

// A file that is replaced while it is open has other names, or none.
func TestAFileThatShrinksHasNoNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "usb.ids")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := ids.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	if names := u.Device("0627", "0001"); names != nil {
		t.Errorf("names %q", names)
	}
}

func TestFilesThatAreNoListsOfNamesAreRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := write("huge", "")
	if err := os.Truncate(huge, 1<<30); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, want string }{
		{filepath.Join(dir, "missing"), "no such file or directory"},
		{fifo, "not a regular file"},
		{dir, "not a regular file"},
		{huge, "1073741824 bytes are too many"},
		{write("empty", ""), "no vendor and no class is in it"},
		{write("words", "# hello\n"), "no vendor and no class is in it"},
	} {
		if _, err := ids.Open(tt.file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.file, err, tt.want)
		}
	}
}

// Lines without what belongs there are passed over.
func TestLinesThatAreNoEntriesLoseNoOthers(t *testing.T) {
	for _, text := range []string{"80\n", "8086  Intel\n\t1\n", "C\n", "\t1000  of nobody\n", "8086  Intel\n\t1000  x\n\t\t1af4\n"} {
		if names := read(t, text+"1af4  Red Hat\n\t1000  card\n").Device("1AF4", "1000"); len(names) != 2 {
			t.Errorf("%q: names %q", text, names)
		}
	}
}

func TestACompressedListIsUnpacked(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pci.ids.gz")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(text))
	z.Close()
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := ids.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if names := l.Device("0627", "0001"); len(names) != 2 {
		t.Errorf("names %q", names)
	}
	for name, content := range map[string][]byte{"half.gz": packed.Bytes()[:packed.Len()/2], "plain.gz": []byte(text)} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ids.Open(file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFindSaysWhichPackageHasAFile(t *testing.T) {
	root := t.TempDir()
	_, err := ids.Find(root, ids.USBFile)
	var missing *ids.MissingError
	if !errors.As(err, &missing) || missing.Name != "usb.ids" || !strings.Contains(err.Error(), "Debian's package usb.ids") {
		t.Errorf("error %v", err)
	}
	want := filepath.Join(root, "usr/share/misc/pci.ids.gz")
	if err := errors.Join(os.MkdirAll(filepath.Dir(want), 0o700), os.WriteFile(want, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if file, err := ids.Find(root, ids.PCIFile, ids.PCIFile+".gz"); file != want {
		t.Errorf("found %q, %v", file, err)
	}
}

func TestDebiansFilesHaveNames(t *testing.T) {
	root, err := debian.Unpacked(t.Context(), os.Stderr, "pci.ids", "usb.ids")
	if err != nil {
		t.Fatal(err)
	}
	pciFile, err1 := ids.Find(root, ids.PCIFile)
	usbFile, err2 := ids.Find(root, ids.USBFile)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	p, err := ids.Open(pciFile)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	u, err := ids.Open(usbFile)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for _, tt := range []struct {
		name      string
		got, want []string
	}{
		{"PCI device", p.Device("8086", "100E"), []string{"Intel Corporation", "82540EM Gigabit Ethernet Controller"}},
		{"PCI vendor", p.Device("8086", ""), []string{"Intel Corporation"}},
		{"PCI board", []string{p.Subsystem("8086", "100E", "1AF4", "1100")}, []string{"QEMU Virtual Machine"}},
		{"no PCI board", []string{p.Subsystem("8086", "100E", "1AF4", "FFFE")}, []string{""}},
		{"PCI class", p.Class("0C", "03", "30"), []string{"Serial bus controller", "USB controller", "XHCI"}},
		{"no PCI class", p.Class("EE", "", ""), nil},
		{"USB device", u.Device("0627", "0001"), []string{"Adomax Technology Co., Ltd", "QEMU Tablet"}},
		{"USB class", u.Class("03", "01", "02"), []string{"Human Interface Device", "Boot Interface Subclass", "Mouse"}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// FuzzList looks for files that make it panic, or that have names which are not
// in them.
func FuzzList(f *testing.F) {
	f.Add("0627  a\n\t0001  b\r\n\t\t00  c\n\n# d\n0628\nHUT 01  e\n\t01  f", "0627", "0001", "00")
	f.Add("C 03  x\n\t01  y\n\t\t02  z", "03", "01", "02")
	f.Fuzz(func(t *testing.T, text, first, second, third string) {
		u, err := ids.Read(strings.NewReader(text), int64(len(text)))
		if err != nil {
			return
		}
		for _, name := range append(u.Device(first, second), u.Class(first, second, third)...) {
			if name == "" || !strings.Contains(strings.ToValidUTF8(text, "\uFFFD"), name) {
				t.Errorf("%q is not in the file", name)
			}
		}
	})
}
