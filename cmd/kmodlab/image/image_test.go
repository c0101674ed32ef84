package image

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cavaliergopher/cpio"
	"github.com/google/go-cmp/cmp"
)

// list reads an image back: a line for each entry, in the archive's order.
func list(t *testing.T, m *Image) []string {
	t.Helper()
	var archive bytes.Buffer
	n, err := m.WriteTo(&archive)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(archive.Len()) {
		t.Errorf("WriteTo says %d bytes and wrote %d", n, archive.Len())
	}
	var lines []string
	for r := cpio.NewReader(&archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimRight(h.Mode.String()+" "+h.Name+" "+string(content)+h.Linkname, " "))
	}
}

// tree makes a folder with these files; a name with an arrow is a link.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		name, target, isLink := strings.Cut(name, " -> ")
		file := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if isLink {
			err = errors.Join(err, os.Symlink(target, file))
		} else {
			err = errors.Join(err, os.WriteFile(file, []byte("content of "+name), 0o755))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnImageHoldsWhatWasAddedBelowUsr(t *testing.T) {
	m := New()
	host := tree(t, "bin/kmod", "sbin/modprobe -> /bin/kmod", "usr/lib/x.so", "lib/y.so", "usr/share/doc/unwanted", "etc/udev.conf")
	if err := m.Tree("/", host, func(rel string) bool { return strings.HasPrefix(rel, "usr/share") }); err != nil {
		t.Fatal(err)
	}
	m.Program("/init", []byte("agent"))
	m.Text("/etc/passwd", "root")
	m.Link("/bin/kmod", "busybox") // there is one already
	m.Link("/bin/ls", "busybox")
	m.Dir("/var/empty")
	want := []string{
		"0120777 bin usr/bin",
		"040755 etc",
		"0100644 etc/passwd root",
		"0100755 etc/udev.conf content of etc/udev.conf",
		"0100755 init agent",
		"0120777 lib usr/lib",
		"0120777 lib64 usr/lib64",
		"0120777 sbin usr/sbin",
		"040755 usr",
		"040755 usr/bin",
		"0100755 usr/bin/kmod content of bin/kmod",
		"0120777 usr/bin/ls busybox",
		"040755 usr/lib",
		"0100755 usr/lib/x.so content of usr/lib/x.so",
		"0100755 usr/lib/y.so content of lib/y.so",
		"040755 usr/lib64",
		"040755 usr/sbin",
		"0120777 usr/sbin/modprobe /bin/kmod",
		"040755 var",
		"040755 var/empty",
	}
	if diff := cmp.Diff(want, list(t, m)); diff != "" {
		t.Error("archive (-want +got):\n" + diff)
	}
}

func TestADigestDiffersWithTheContent(t *testing.T) {
	host := tree(t, "file")
	file := filepath.Join(host, "file")
	build := func(change func(*Image)) string {
		m := New()
		if err := m.File("/file", file); err != nil {
			t.Fatal(err)
		}
		m.Text("/etc/hostname", "lab")
		change(m)
		return m.Digest()
	}
	same := func(*Image) {}
	first := build(same)
	if build(same) != first {
		t.Error("the same content has two digests")
	}
	for name, change := range map[string]func(*Image){
		"a text":        func(m *Image) { m.Text("/etc/hostname", "lob") },
		"a new folder":  func(m *Image) { m.Dir("/mnt") },
		"a link":        func(m *Image) { m.Link("/x", "y") },
		"a mode":        func(m *Image) { m.Program("/etc/hostname", []byte("lab")) },
		"a host's file": func(m *Image) { later(t, file, m) },
	} {
		if build(change) == first {
			t.Errorf("%s makes no difference", name)
		}
	}
}

// later adds a file of the host again after it was changed.
func later(t *testing.T, file string, m *Image) {
	t.Helper()
	changed := time.Now().Add(time.Hour)
	if err := errors.Join(os.Chtimes(file, changed, changed), m.File("/file", file)); err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatIsGoneWhenTheImageIsWrittenIsNamed(t *testing.T) {
	file := filepath.Join(tree(t, "file"), "file")
	m := New()
	if err := errors.Join(m.File("/srv/file", file), os.Remove(file)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.WriteTo(io.Discard); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "srv/file") {
		t.Errorf("error %v, want one about srv/file", err)
	}
}
