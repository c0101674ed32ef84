package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// metaPackage depends on Debian's newest kernel for this architecture.
const metaPackage = "linux-image-amd64"

// A Kernel is Debian's kernel, unpacked.
type Kernel struct {
	Version string // as uname -r says, such as 6.1.0-56-amd64
	Root    string // a folder with lib/modules/VERSION, tables of depmod included
	Vmlinuz string // the compressed image
	ID      string // names the package and its version
}

// LoadKernel returns Debian's kernel, and fetches it if the cache has none;
// progress says what is fetched. Safe for concurrent use, by processes too.
func LoadKernel(ctx context.Context, progress io.Writer) (*Kernel, error) {
	shelf, err := openShelf("kernel", metaPackage)
	if err != nil {
		return nil, err
	}
	root, err := shelf.fill(ctx, progress, func(scratch string) (string, string, error) {
		return fetchKernel(ctx, progress, scratch)
	})
	if err != nil {
		return nil, fmt.Errorf("get Debian's kernel: %w", err)
	}
	return findKernel(root)
}

// findKernel says what an unpacked kernel package holds.
func findKernel(root string) (*Kernel, error) {
	images, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil {
		return nil, err
	}
	if len(images) != 1 {
		return nil, fmt.Errorf("%s/boot holds %d kernels, want one; remove the folder to fetch it again", root, len(images))
	}
	_, version, _ := strings.Cut(filepath.Base(images[0]), "-")
	return &Kernel{Version: version, Root: root, Vmlinuz: images[0], ID: filepath.Base(root)}, nil
}

// fetchKernel downloads and unpacks the kernel and makes its tables.
func fetchKernel(ctx context.Context, progress io.Writer, scratch string) (name, tree string, err error) {
	userland, err := LoadUserland(ctx, progress) // its depmod
	if err != nil {
		return "", "", err
	}
	debs, err := fetch(ctx, progress, scratch, func(a apt) ([]string, error) {
		found, err := a.show(ctx, metaPackage)
		if err != nil {
			return nil, err
		}
		image, err := found[0].imagePackage()
		return []string{image}, err
	})
	if err != nil {
		return "", "", err
	}
	tree = filepath.Join(scratch, "tree")
	if err := unpack(ctx, progress, tree, debs); err != nil {
		return "", "", err
	}
	kernel, err := findKernel(tree)
	if err != nil {
		return "", "", err
	}
	fmt.Fprintf(progress, "making the module tables of %s\n", kernel.Version)
	err = userland.depmod(ctx, kernel)
	return strings.TrimSuffix(filepath.Base(debs[0]), ".deb"), tree, err
}

// fetch downloads the packages that choose names: with the system's package
// lists, and if these don't know the packages, or the mirror has moved on
// since, with lists of our own.
func fetch(ctx context.Context, progress io.Writer, dir string, choose func(apt) ([]string, error)) ([]string, error) {
	archive := apt{progress: progress}
	debs, err := archive.fetch(ctx, dir, choose)
	if err == nil || ctx.Err() != nil {
		return debs, err
	}
	private, errLists := archive.withPrivateLists(ctx)
	if errLists != nil {
		return nil, errors.Join(err, errLists)
	}
	return private.fetch(ctx, dir, choose)
}

func (a apt) fetch(ctx context.Context, dir string, choose func(apt) ([]string, error)) ([]string, error) {
	packages, err := choose(a)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.progress, "fetching %s\n", strings.Join(packages, " "))
	return a.download(ctx, dir, packages...)
}

// unpack unpacks packages over each other into tree. Debian 13 and later ship
// everything below usr; depmod and readers of the tree expect a lib.
func unpack(ctx context.Context, progress io.Writer, tree string, debs []string) error {
	fmt.Fprintf(progress, "unpacking %d package(s)\n", len(debs))
	for _, deb := range debs {
		if _, err := output(command(ctx, "", "dpkg", "-x", deb, tree)); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(tree, "lib")); errors.Is(err, os.ErrNotExist) {
		return os.Symlink("usr/lib", filepath.Join(tree, "lib"))
	}
	return nil
}
