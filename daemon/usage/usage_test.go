package usage

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// Each archive of testdata is a system, a question about it and its answer, and
// variations of that: a folder for each, whose files are put over those of the
// system. In a folder, or outside of all:
//
//	sys/, proc/, dev/   what is there; a node in dev is a line "block 8:1" or
//	                    "character 188:0", any other file "file on 8:1"
//	kernel/address/IF   is there if the interface has an IPv4 address
//	kernel/hci0         "up" or "down"; without it the kernel does not say
//	places              lines MODULE DIRECTORY
//	links               lines PATH -> TARGET
//	gone                paths that are not there
//	ask                 a line "device PATH" or "module NAME"
//	want                the findings
func TestDetectors(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(archives, err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			for _, variation := range variations(a) {
				t.Run(cmp.Or(variation, "as it is"), func(t *testing.T) {
					s, own := setUp(t, a, variation)
					if diff := gocmp.Diff(own["want"], strings.ReplaceAll(lines(s.ask(t, own["ask"])), s.Proc, "/PROC")); diff != "" {
						t.Errorf("(-want +got)\n%s", diff)
					}
				})
			}
		})
	}
}

var ofSystem = []string{"sys", "proc", "dev", "kernel", "places", "links", "gone", "ask", "want"}

// variations lists the folders of an archive, "" for the system as it is among
// them.
func variations(a *txtar.Archive) []string {
	all := []string{}
	for _, f := range a.Files {
		name := of(f.Name)
		if len(all) == 0 || all[len(all)-1] != name {
			all = append(all, name)
		}
	}
	return all
}

// of says which variation a file is of.
func of(file string) string {
	first, _, _ := strings.Cut(file, "/")
	for _, name := range ofSystem {
		if first == name {
			return ""
		}
	}
	return first
}

// setUp makes a system, varied, and returns its files of words by name.
func setUp(t *testing.T, a *txtar.Archive, variation string) (s System, words map[string]string) {
	t.Helper()
	root := t.TempDir()
	words = map[string]string{}
	for _, dir := range []string{"1", "self", "net"} { // every /proc has them
		must(t, os.MkdirAll(root+"/proc/"+dir, 0o700))
	}
	write(t, root+"/proc/filesystems", nil)
	for _, layer := range []string{"", variation} {
		for _, f := range a.Files {
			if of(f.Name) != layer {
				continue
			}
			name := strings.TrimPrefix(f.Name, layer+"/")
			switch name {
			case "links":
				link(t, root, string(f.Data))
			case "gone":
				for path := range strings.FieldsSeq(string(f.Data)) {
					must(t, os.RemoveAll(filepath.Join(root, path)))
				}
			case "ask", "want", "places":
				words[name] = string(f.Data)
			default:
				write(t, filepath.Join(root, name), f.Data)
			}
		}
		if variation == "" {
			break
		}
	}
	s = System{Sys: root + "/sys", Proc: root + "/proc", Dev: root + "/dev", kernel: pretended{root}}
	if words["places"] != "" {
		s.Place = func(module string) string {
			_, place, _ := strings.Cut(words["places"], module+" ")
			place, _, _ = strings.Cut(place, "\n")
			return place
		}
	}
	return s, words
}

func link(t *testing.T, root, links string) {
	t.Helper()
	for line := range strings.Lines(links) {
		path, target, _ := strings.Cut(strings.TrimSpace(line), " -> ")
		path = filepath.Join(root, path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.RemoveAll(path))
		must(t, os.Symlink(target, path))
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, content, 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s System) ask(t *testing.T, question string) []Finding {
	t.Helper()
	what, name, _ := strings.Cut(strings.TrimSpace(question), " ")
	switch what {
	case "device":
		return s.Device(name)
	case "module":
		return s.Module(name)
	}
	t.Fatalf("%q is no question", question)
	return nil
}

// lines shows findings as the archives do.
func lines(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		never := ""
		if f.Never {
			never = "!"
		}
		fmt.Fprintf(&b, "%-10s %s%s: %s\n", f.State, f.Kind, never, f.Says)
	}
	return b.String()
}

// A pretended kernel answers from the files of a system below root.
type pretended struct{ root string }

var _ kernel = pretended{}

func (p pretended) address(name string, index int) (bool, error) {
	if index == 0 {
		return false, errElsewhere
	}
	_, err := os.Stat(p.root + "/kernel/address/" + name)
	return err == nil, nil
}

func (p pretended) bluetooth(n int) (bool, error) {
	state, err := os.ReadFile(fmt.Sprintf("%s/kernel/hci%d", p.root, n))
	if err != nil {
		return false, unix.EPERM
	}
	return string(state) == "up\n", nil
}

func (p pretended) stat(at int, name string) (f file, err error) {
	if at != unix.AT_FDCWD {
		var target [256]byte
		n, err := kernfs.Readlinkat(at, nul(name), target[:])
		if err != nil {
			return f, err
		}
		name = p.root + string(target[:n])
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return f, err
	}
	words := strings.Fields(string(text))
	n, ok := parseNumber([]byte(words[len(words)-1]))
	if !ok {
		return f, errors.ErrUnsupported
	}
	switch words[0] {
	case "block":
		n.block = true
		return file{node: n, kind: unix.S_IFBLK}, nil
	case "character":
		return file{node: n, kind: unix.S_IFCHR}, nil
	}
	n.block = n.major != 0
	return file{on: n, kind: unix.S_IFREG}, nil
}
