package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/cmd/kmodlab/sample"
)

// Sample returns the content of a sample module (testdata/modules), built for
// the kernel of this build.
func (b *Build) Sample(ctx context.Context, name string) ([]byte, error) {
	dir, err := sample.Load(ctx, b.progress, b.Kernel)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(dir, name+".ko"))
	if err != nil {
		return nil, fmt.Errorf("sample module %s: %w", name, err)
	}
	return content, nil
}
