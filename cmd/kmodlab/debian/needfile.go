package debian

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// NeedFile is Need for a file of the host that is no program, such as a header,
// by its path.
func NeedFile(ctx context.Context, progress io.Writer, file, pkg string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	_, errApt := exec.LookPath("apt-get")
	if err := mayInstall(file, pkg, os.Geteuid() == 0, errApt == nil); err != nil {
		return err
	}
	if err := install(ctx, progress, pkg); err != nil {
		return fmt.Errorf("%s is missing: %w; type %s", file, err, installCommand(pkg))
	}
	return nil
}
