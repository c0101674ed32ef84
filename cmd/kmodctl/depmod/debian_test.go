package depmod_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/match/index"
)

// debians is a root with the modules of a Debian kernel, or with those in one of
// its folders, all of which are links or copies: the cache is never written to.
func debians(t *testing.T, arch debian.Architecture, folder string) (root, version string) {
	t.Helper()
	kernel, err := arch.LoadKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	from, to := filepath.Join(kernel.Root, "lib/modules", kernel.Version), filepath.Join(root, "lib/modules", kernel.Version)
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range inputs {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if folder == "" {
		err = os.Symlink(filepath.Join(from, "kernel"), filepath.Join(to, "kernel"))
	} else {
		err = os.CopyFS(filepath.Join(to, folder), os.DirFS(filepath.Join(from, folder)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return root, kernel.Version
}

func TestTablesOfDebiansKernelsAreKmods(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	for _, arch := range []debian.Architecture{debian.AMD64, debian.ARM64, debian.ARMHF} {
		t.Run(string(arch), func(t *testing.T) {
			root, version := debians(t, arch, "")
			theirs, ours := p.both(t, root, version)
			differ(t, theirs, ours)
			if n := strings.Count(ours.Tables["modules.dep"], "\n"); n < 3000 || theirs.Exit != 0 || len(theirs.Levels) > 0 {
				t.Errorf("%d modules, exit %d, %d messages", n, theirs.Exit, len(theirs.Levels))
			}
		})
	}
}

// differ names the tables that differ: cmp.Diff would take minutes over a megabyte.
func differ(t *testing.T, theirs, ours result) {
	t.Helper()
	for name := range theirs.Tables {
		if theirs.Tables[name] != ours.Tables[name] {
			t.Errorf("%s differs", name)
		}
	}
	sizes := func(r result) map[string]int {
		sizes := map[string]int{"stdout": len(r.Stdout), "exit": r.Exit, "messages": len(r.Levels)}
		for name, text := range r.Tables {
			sizes[name] = len(text)
		}
		return sizes
	}
	if diff := cmp.Diff(sizes(theirs), sizes(ours)); diff != "" {
		t.Errorf("sizes (-kmod +kmodd)\n%s", diff)
	}
}

const packedFolder = "kernel/net/netfilter"

// packages are where programs are.
var packages = map[string]string{"gzip": "gzip", "xz": "xz-utils", "zstd": "zstd"}

func TestTablesOfCompressedModulesAreKmods(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	for _, packer := range [][]string{{"xz", "-0", "--check=crc32"}, {"zstd", "-q", "--rm"}} {
		t.Run(packer[0], func(t *testing.T) {
			root, version := debians(t, debian.AMD64, packedFolder)
			pack(t, filepath.Join(root, "lib/modules", version), packer)
			theirs, ours := p.both(t, root, version)
			differ(t, theirs, ours)
			if !strings.Contains(ours.Tables["modules.dep"], "/nf_tables.ko."+packer[0][:2]) {
				t.Error("no compressed modules")
			}
		})
	}
}

// Debian's depmod does not read gzip: the tables are those of the modules before
// they were compressed, with other names of files.
func TestModulesCompressedByGzipHaveTheTablesOfOthers(t *testing.T) {
	p := newPeer(t)
	root, version := debians(t, debian.AMD64, packedFolder)
	theirs := p.run(t, root, version)
	pack(t, filepath.Join(root, "lib/modules", version), []string{"gzip", "-1"})
	_, ours := p.both(t, root, version)
	for _, name := range []string{"modules.dep", "modules.dep.bin"} {
		lines := func(r result) string {
			if name == "modules.dep" {
				return r.Tables[name]
			}
			return entries(t, r.Tables[name])
		}
		if strings.ReplaceAll(lines(theirs), ".ko", ".ko.gz") != lines(ours) {
			t.Errorf("%s differs in more than names", name)
		}
		delete(theirs.Tables, name)
		delete(ours.Tables, name)
	}
	differ(t, theirs, ours)
}

// entries are what an index holds, in a text.
func entries(t *testing.T, data string) string {
	t.Helper()
	x, err := index.New([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := x.Each(func(key []byte, v index.Value) { b.WriteString(string(key) + " " + string(v.Text) + "\n") }); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// pack compresses all modules below a directory.
func pack(t *testing.T, dir string, packer []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".ko") {
			packer = append(packer, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	program, err := debian.Need(t.Context(), os.Stderr, packer[0], packages[packer[0]])
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, packer[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
