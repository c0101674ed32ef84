package lab

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/cmd/kmodlab/image"
)

// withSystemd collects the files of guests that systemd starts.
func (b *Build) withSystemd(ctx context.Context) (*image.Image, error) {
	userland, err := debian.LoadSystemd(ctx, b.progress)
	if err != nil {
		return nil, err
	}
	root, err := b.withPrograms(ctx, userland)
	if err != nil {
		return nil, err
	}
	return root, addSystemd(ctx, root)
}

// debianFiles are the bench's own files, as they lie in the guest.
//
//go:embed debian
var debianFiles embed.FS

// addSystemd adds what makes unpacked packages a system that systemd starts,
// and the project's folder deploy where a package would have it.
func addSystemd(ctx context.Context, root *image.Image) error {
	deploy, err := deployDir(ctx)
	if err != nil {
		return err
	}
	err = errors.Join(
		root.Tree("/usr/lib/systemd/system", filepath.Join(deploy, "systemd"), nothing),
		root.Tree("/usr/share/kmodd", filepath.Join(deploy, "udev"), nothing),
		addEmbedded(root, debianFiles, "debian"))
	root.Link("/etc/systemd/system/default.target", "lab.target")
	for _, unit := range []string{"getty-static.service", "getty@.service", "serial-getty@.service"} {
		root.Link("/etc/systemd/system/"+unit, "/dev/null") // there is nobody to log in
	}
	return err
}

// addEmbedded adds the files below a folder, of which those at its top are
// programs.
func addEmbedded(root *image.Image, files embed.FS, top string) error {
	return fs.WalkDir(files, top, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		place := strings.TrimPrefix(name, top)
		if path.Dir(name) == top {
			root.Program(place, content)
			return err
		}
		root.Text(place, string(content))
		return err
	})
}

// deployDir is the project's folder deploy.
func deployDir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the project's folder: %w", err)
	}
	return filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "deploy"), nil
}
