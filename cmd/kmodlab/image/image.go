// Package image makes what a guest boots from: an initramfs, and a kernel that
// needs no unpacking.
//
// # The initramfs
//
// An [Image] is a set of files by their path in the guest. It is written as an
// uncompressed cpio archive, which the kernel unpacks faster than it inflates
// (Documentation/driver-api/early-userspace/buffer-format.rst). As on every
// Debian since 2019, /bin, /sbin, /lib and /lib64 are links into /usr; packages
// that still name them are filed below /usr without being asked.
//
// # The kernel
//
// [Vmlinux] takes the ELF image out of a compressed one. QEMU starts that by
// PVH in the kernel's own 64-bit entry, which saves the guest from inflating it
// under emulation: 4 of 11 s.
package image

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cavaliergopher/cpio"
)

// An Image is the content of a guest's root file system.
type Image struct {
	files map[string]file // by path in the guest, without a leading slash
}

// A file is one entry: a folder, a link whose content is its target, or a file
// with content of ours or of a file of the host.
type file struct {
	mode    cpio.FileMode
	content string
	host    string // a file of the host, "" for content
	size    int64  // of either
	changed time.Time
}

// merged are the folders that live below usr.
var merged = []string{"bin", "lib", "lib64", "sbin"}

// New returns an image that holds the links into /usr and nothing else.
func New() *Image {
	m := &Image{files: map[string]file{}}
	for _, dir := range merged {
		m.Dir("/usr/" + dir)
		m.Link(dir, "usr/"+dir)
	}
	return m
}

// place is where a path of the guest is filed.
func place(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if first, _, below := strings.Cut(name, "/"); below && slices.Contains(merged, first) {
		return "usr/" + name
	}
	return name
}

// add files an entry and the folders above it.
func (m *Image) add(name string, f file) {
	name = place(name)
	m.files[name] = f
	if dir := path.Dir(name); dir != "." {
		if _, ok := m.files[dir]; !ok {
			m.Dir(dir)
		}
	}
}

// Dir adds an empty folder.
func (m *Image) Dir(name string) {
	m.add(name, file{mode: cpio.TypeDir | 0o755})
}

// Text adds a file with that content.
func (m *Image) Text(name, content string) {
	m.add(name, file{mode: cpio.TypeReg | 0o644, content: content, size: int64(len(content))})
}

// Link adds a symbolic link, unless the image has something of that name.
func (m *Image) Link(name, target string) {
	if _, ok := m.files[place(name)]; !ok {
		m.add(name, file{mode: cpio.TypeSymlink | 0o777, content: target, size: int64(len(target))})
	}
}

// Program adds an executable file with that content.
func (m *Image) Program(name string, content []byte) {
	m.add(name, file{mode: cpio.TypeReg | 0o755, content: string(content), size: int64(len(content))})
}

// File adds a file of the host, with its permission bits. It is read when the
// image is written.
func (m *Image) File(name, host string) error {
	info, err := os.Stat(host)
	if err != nil {
		return err
	}
	m.add(name, file{
		mode:    cpio.TypeReg | cpio.FileMode(info.Mode().Perm()),
		host:    host,
		size:    info.Size(),
		changed: info.ModTime(),
	})
	return nil
}

// Tree adds what lies below a folder of the host to the folder into of the
// guest, but for the paths (relative to host) that skip names. A host that is a
// link is followed; links inside stay links.
func (m *Image) Tree(into, host string, skip func(rel string) bool) error {
	host, err := filepath.EvalSymlinks(host)
	if err != nil {
		return err
	}
	return filepath.WalkDir(host, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(host, name)
		switch {
		case err != nil || rel == ".":
			return err
		case skip(rel) && d.IsDir():
			return filepath.SkipDir
		case skip(rel):
			return nil
		}
		return m.addEntry(path.Join(into, rel), name, d)
	})
}

func (m *Image) addEntry(name, host string, d fs.DirEntry) error {
	switch d.Type() {
	case fs.ModeDir:
		if !slices.Contains(merged, strings.TrimPrefix(name, "/")) {
			m.Dir(name)
		}
	case fs.ModeSymlink:
		target, err := os.Readlink(host)
		if err != nil {
			return err
		}
		m.Link(name, target)
	case 0:
		return m.File(name, host)
	default:
		return fmt.Errorf("add %s: the image holds files, folders and links only, not %s", host, d.Type())
	}
	return nil
}

// Digest names the content of an image: it differs if a file differs. Files of
// the host are taken by their path, size and time of change, so that a digest
// costs no reading of 400 MB.
func (m *Image) Digest() string {
	h := sha256.New()
	for _, name := range m.names() {
		f := m.files[name]
		fmt.Fprintf(h, "%q %o %q %q %d %d\n", name, f.mode, f.content, f.host, f.size, f.changed.UnixNano())
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

func (m *Image) names() []string { return slices.Sorted(maps.Keys(m.files)) }

// WriteTo writes the archive, every folder before what it holds.
func (m *Image) WriteTo(w io.Writer) (int64, error) {
	counted := &counter{w: bufio.NewWriterSize(w, 1<<20)}
	archive := cpio.NewWriter(counted)
	for _, name := range m.names() {
		if err := m.files[name].write(archive, name); err != nil {
			return counted.n, fmt.Errorf("archive %s: %w", name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return counted.n, err
	}
	return counted.n, counted.w.Flush()
}

func (f file) write(archive *cpio.Writer, name string) error {
	h := &cpio.Header{Name: name, Mode: f.mode, Size: f.size, Links: 1}
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	content := io.Reader(strings.NewReader(f.content))
	if f.host != "" {
		from, err := os.Open(f.host)
		if err != nil {
			return err
		}
		defer from.Close()
		content = from
	}
	_, err := io.Copy(archive, content)
	return err
}

type counter struct {
	w *bufio.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
