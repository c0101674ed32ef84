package debian

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Unpacked returns a folder with these packages unpacked, and fetches them if
// the cache has none; progress says what is fetched. What they depend on is not
// there: it is for programs that run on the host and need no more than libc, and
// whose package, a service's, had better not be installed. Safe for concurrent
// use, by processes too.
func Unpacked(ctx context.Context, progress io.Writer, packages ...string) (root string, err error) {
	shelf, err := openShelf("unpacked", packages...)
	if err != nil {
		return "", err
	}
	root, err = shelf.fill(ctx, progress, func(scratch string) (string, string, error) {
		debs, err := AMD64.fetch(ctx, progress, scratch, func(apt) ([]string, error) { return packages, nil })
		if err != nil {
			return "", "", err
		}
		tree := filepath.Join(scratch, "tree")
		return digest(bases(debs)), tree, unpack(ctx, progress, tree, debs)
	})
	if err != nil {
		return "", fmt.Errorf("get %s: %w", strings.Join(packages, " "), err)
	}
	return root, nil
}
