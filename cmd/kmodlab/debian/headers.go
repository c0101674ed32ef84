package debian

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// LoadHeaders returns the folder that modules for this kernel are built
// against (make -C), and fetches it if the cache has none. They are of the very
// package that the kernel is of: another version's would give modules that the kernel
// refuses.
func LoadHeaders(ctx context.Context, progress io.Writer, kernel *Kernel) (string, error) {
	headers := "linux-headers-" + kernel.Version
	shelf, err := openShelf("headers", kernel.ID)
	if err != nil {
		return "", err
	}
	root, err := shelf.fill(ctx, progress, func(scratch string) (string, string, error) {
		debs, err := AMD64.fetch(ctx, progress, scratch, func(a apt) ([]string, error) {
			return headerPackages(ctx, a, headers)
		})
		if err != nil {
			return "", "", err
		}
		tree := filepath.Join(scratch, "tree")
		return kernel.ID, tree, unpack(ctx, progress, tree, debs)
	})
	if err != nil {
		return "", fmt.Errorf("get the headers of Debian's kernel %s: %w; if Debian has a newer one by now, remove the bench's cache to get both", kernel.ID, err)
	}
	dir := filepath.Join(root, "usr/src", headers)
	return dir, relocate(dir)
}

// headerPackages are the packages of a kernel's headers: its own, those that it
// has in common with the kernel's other flavours, and the programs that
// build modules. The compiler is the host's.
func headerPackages(ctx context.Context, a apt, headers string) ([]string, error) {
	found, err := a.show(ctx, headers)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the package lists do not know %s", headers)
	}
	packages := []string{headers}
	for _, name := range found[0].depends() {
		if strings.HasPrefix(name, "linux-headers-") || strings.HasPrefix(name, "linux-kbuild-") {
			packages = append(packages, name)
		}
	}
	return packages, nil
}

// relocate has the headers' Makefile include its other half where that lies:
// the package has the path of an installed one.
func relocate(dir string) error {
	name := filepath.Join(dir, "Makefile")
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	here := strings.ReplaceAll(string(content), "include /usr/src/", "include "+filepath.Dir(dir)+"/")
	if here == string(content) {
		return nil
	}
	return os.WriteFile(name, []byte(here), 0o644)
}
