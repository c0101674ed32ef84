package debian

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Need returns the path of a program of the host. If it isn't there, Need
// installs the package that holds it where it may (root, with apt-get), and
// says what to type where it may not.
func Need(ctx context.Context, progress io.Writer, program, pkg string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	_, errApt := exec.LookPath("apt-get")
	if err := mayInstall(program, pkg, os.Geteuid() == 0, errApt == nil); err != nil {
		return "", err
	}
	if err := install(ctx, progress, pkg); err != nil {
		return "", fmt.Errorf("%s is missing: %w; type %s", program, err, installCommand(pkg))
	}
	return exec.LookPath(program)
}

func installCommand(pkg string) string { return "apt-get install -y --no-install-recommends " + pkg }

// mayInstall says what to type where a missing program can't be installed from
// here.
func mayInstall(program, pkg string, root, apt bool) error {
	switch {
	case !apt:
		return fmt.Errorf("%s is missing, and so is apt-get to install it: install your system's package of it (Debian calls it %s)", program, pkg)
	case !root:
		return fmt.Errorf("%s is missing and only root can install it: type sudo %s", program, installCommand(pkg))
	}
	return nil
}

// install installs a package, after fetching package lists if the system has
// none that know it.
func install(ctx context.Context, progress io.Writer, pkg string) error {
	fmt.Fprintf(progress, "installing %s\n", pkg)
	archive := apt{progress: progress, arch: AMD64}
	if _, err := archive.show(ctx, pkg); err != nil {
		if err := visibly(ctx, progress, "apt-get", "-q", "update"); err != nil {
			return err
		}
	}
	return visibly(ctx, progress, "apt-get", "-q", "install", "-y", "--no-install-recommends", pkg)
}

// visibly runs a program whose output is the progress.
func visibly(ctx context.Context, progress io.Writer, name string, args ...string) error {
	cmd := command(ctx, "", name, args...)
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
