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

// A Kernel is Debian's kernel, unpacked.
type Kernel struct {
	Version string // as uname -r says, such as 6.1.0-56-amd64
	Root    string // a folder with lib/modules/VERSION, tables of depmod included
	Vmlinuz string // the image, compressed or not
	ID      string // names the package and its version
}

// LoadKernel returns Debian's kernel for a PC, and fetches it if the cache has
// none; progress says what is fetched. Safe for concurrent use, by processes
// too.
func LoadKernel(ctx context.Context, progress io.Writer) (*Kernel, error) {
	return AMD64.LoadKernel(ctx, progress)
}

// LoadKernel returns Debian's kernel for an architecture, as the function of
// that name does for a PC.
func (a Architecture) LoadKernel(ctx context.Context, progress io.Writer) (*Kernel, error) {
	return a.loadKernel(ctx, progress, a.metaPackage())
}

// LoadRealtimeKernel is LoadKernel for Debian's kernel that is made for real time
// (PREEMPT_RT).
func (a Architecture) LoadRealtimeKernel(ctx context.Context, progress io.Writer) (*Kernel, error) {
	return a.loadKernel(ctx, progress, "linux-image-rt-"+string(a))
}

// loadKernel returns the kernel that a package depends on.
func (a Architecture) loadKernel(ctx context.Context, progress io.Writer, meta string) (*Kernel, error) {
	shelf, err := openShelf("kernel", meta)
	if err != nil {
		return nil, err
	}
	root, err := shelf.fill(ctx, progress, func(scratch string) (string, string, error) {
		return a.fetchKernel(ctx, progress, scratch, meta)
	})
	if err != nil {
		return nil, fmt.Errorf("get Debian's kernel for %s: %w", a, err)
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

// DeviceTree is the file that describes a board, by its name in Linux' sources
// below a boot/dts folder, such as broadcom/bcm2837-rpi-3-b.dtb.
func (k *Kernel) DeviceTree(name string) (string, error) {
	file := filepath.Join(k.Root, "usr/lib", "linux-image-"+k.Version, name)
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("find the device tree in %s: %w", k.ID, err)
	}
	return file, nil
}

// fetchKernel downloads and unpacks the kernel and makes its tables.
func (a Architecture) fetchKernel(ctx context.Context, progress io.Writer, scratch, meta string) (name, tree string, err error) {
	userland, err := LoadUserland(ctx, progress) // its depmod reads modules of any architecture
	if err != nil {
		return "", "", err
	}
	debs, err := a.fetch(ctx, progress, scratch, func(archive apt) ([]string, error) {
		found, err := archive.show(ctx, meta)
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
func (a Architecture) fetch(ctx context.Context, progress io.Writer, dir string, choose func(apt) ([]string, error)) ([]string, error) {
	archive := apt{progress: progress, arch: a}
	var errSystem error
	if a == AMD64 { // the system's apt would have to make its caches anew for another
		debs, err := archive.fetch(ctx, dir, choose)
		if err == nil || ctx.Err() != nil {
			return debs, err
		}
		errSystem = err
	}
	private, errLists := archive.withPrivateLists(ctx)
	// A mirror that is being updated may lack one list of several, and the
	// others may do.
	debs, err := private.fetch(ctx, dir, choose)
	if err != nil {
		return nil, errors.Join(errSystem, errLists, err)
	}
	return debs, nil
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
