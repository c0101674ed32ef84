package keep

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/rules/modprobed"
)

// tree is a system of a text archive, with a kernel command line.
func tree(t testing.TB, archive, cmdline string) System {
	t.Helper()
	root := t.TempDir()
	if err := txtar.Write(txtar.Parse([]byte(archive)), root); err != nil {
		t.Fatal(err)
	}
	return System{Root: root, Read: func() (*modprobed.Config, error) {
		return modprobed.Load(root, filepath.Join(root, "lib/modules/1"), cmdline), nil
	}}
}

// files are those below a directory, as an archive.
func files(t *testing.T, root string) string {
	t.Helper()
	var a txtar.Archive
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		a.Files = append(a.Files, txtar.File{Name: strings.TrimPrefix(path, root+"/"), Data: text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(txtar.Format(&a))
}

func TestNothingIsWrittenThatWouldNotCount(t *testing.T) {
	for _, test := range []struct{ name, archive, cmdline, value, says string }{
		{"a quote", "", "", `a"b`, "can't be written into modprobe.d"},
		{"the kernel command line", "", "quiet hello.n=3", "5", "the kernel command line says"},
		{"a later file of the distribution", "-- usr/lib/modprobe.d/z.conf --\noptions hello n=3\n", "", "5", "usr/lib/modprobe.d/z.conf:1 counts more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := tree(t, test.archive, test.cmdline)
			if _, err := s.Save("hello", "n", test.value); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %s", err, test.says)
			}
			if diff := cmp.Diff(test.archive, files(t, s.Root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestALineIsWrittenWhereItCounts(t *testing.T) {
	for _, test := range []struct{ name, archive, want, place string }{
		{"there is none", "", "-- etc/modprobe.d/hello.conf --\noptions hello n=5\n", "etc/modprobe.d/hello.conf:1"},
		{"the operator's own line", "-- etc/modprobe.d/mine.conf --\n# mine\noptions hello n=2 m=1\noptions other n=2\n",
			"-- etc/modprobe.d/mine.conf --\n# mine\noptions hello n=5 m=1\noptions other n=2\n", "etc/modprobe.d/mine.conf:2"},
		{"one of two, the last", "-- etc/modprobe.d/mine.conf --\noptions hello n=2\noptions hello n=3",
			"-- etc/modprobe.d/mine.conf --\noptions hello n=2\noptions hello n=5\n", "etc/modprobe.d/mine.conf:2"},
		{"a line that is continued", "-- etc/modprobe.d/mine.conf --\noptions hello \\\n  n=2\n",
			"-- etc/modprobe.d/mine.conf --\noptions hello \\\n  n=2\noptions hello n=5\n", "etc/modprobe.d/mine.conf:3"},
		{"a file that ends in the middle of a line", "-- etc/modprobe.d/hello.conf --\noptions hello m=2 \\\n",
			"-- etc/modprobe.d/hello.conf --\noptions hello m=2 \\\n\noptions hello n=5\n", "etc/modprobe.d/hello.conf:3"},
		{"the distribution's line, read before", "-- usr/lib/modprobe.d/a.conf --\noptions hello n=2\n",
			"-- etc/modprobe.d/hello.conf --\noptions hello n=5\n-- usr/lib/modprobe.d/a.conf --\noptions hello n=2\n", "etc/modprobe.d/hello.conf:1"},
		{"a file of the distribution that must not be hidden", "-- usr/lib/modprobe.d/hello.conf --\noptions hello n=2 m=1\n",
			"-- etc/modprobe.d/hello_local.conf --\noptions hello n=5\n-- usr/lib/modprobe.d/hello.conf --\noptions hello n=2 m=1\n", "etc/modprobe.d/hello_local.conf:1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := tree(t, test.archive, "")
			setting, err := s.Save("hello", "n", "5")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, files(t, s.Root)); diff != "" {
				t.Error(diff)
			}
			if got := strings.TrimPrefix(setting.Place(), s.Root+"/"); got != test.place || setting.Value != "5" {
				t.Errorf("%s sets %q, want %s", got, setting.Value, test.place)
			}
		})
	}
}

// A link, such as one into a repository of configuration, stays one.
func TestALinkStays(t *testing.T) {
	s := tree(t, "-- etc/modprobe.d/other --\n-- srv/hello.conf --\noptions hello n=1\n", "")
	link := filepath.Join(s.Root, "etc/modprobe.d/hello.conf")
	if err := os.Symlink("../../srv/hello.conf", link); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save("hello", "n", "5"); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(filepath.Join(s.Root, "srv/hello.conf"))
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 || string(text) != "options hello n=5\n" {
		t.Errorf("%v, %v, %q", info, err, text)
	}
}

func TestWhatIsSavedIsWhatCounts(t *testing.T) {
	names := rapid.SampledFrom([]string{"n", "m", "an_array"})
	values := rapid.StringMatching(`[a-z0-9 #=,.$*-]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp("", "keep-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		s := System{Root: root, Read: func() (*modprobed.Config, error) { return modprobed.Load(root, root+"/modules", ""), nil }}
		want := make(map[string]string)
		for range rapid.IntRange(1, 8).Draw(t, "saves") {
			name, value := names.Draw(t, "name"), values.Draw(t, "value")
			want[name] = value
			if _, err := s.Save("hello", name, value); err != nil {
				t.Fatal(err)
			}
		}
		config, _ := s.Read()
		for name, value := range want {
			if got := Next(config, "hello", name); got == nil || got.Value != value {
				t.Errorf("%s is %+v, want %q", name, got, value)
			}
		}
	})
}
