package debian

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// CacheDir is where everything that the bench keeps between runs lies. It makes
// the folder if it isn't there.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w; set HOME or XDG_CACHE_HOME", err)
	}
	dir := filepath.Join(base, "kmodd")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w; set XDG_CACHE_HOME to a folder that can be written", err)
	}
	return dir, nil
}

// A shelf is one kind of tree in the cache: some finished trees, and a link to
// the one in use for a wish.
type shelf struct {
	dir  string // the kind's folder
	link string // the link's name
}

// openShelf returns the shelf of that name in the cache, for trees made of
// these packages: another version of this program may wish for others.
func openShelf(name string, packages ...string) (shelf, error) {
	cache, err := CacheDir()
	if err != nil {
		return shelf{}, err
	}
	dir := filepath.Join(cache, name)
	return shelf{dir, "current-" + digest(packages)}, os.MkdirAll(dir, 0o755)
}

// digest names a list of packages.
func digest(packages []string) string {
	h := sha256.New()
	for _, name := range packages {
		fmt.Fprintln(h, name)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// current is the tree in use. The error is os.ErrNotExist for none.
func (s shelf) current() (string, error) {
	return filepath.EvalSymlinks(filepath.Join(s.dir, s.link))
}

// fill returns the tree in use, and has fetch make one where there is none.
// fetch works in an empty folder and returns the name that the tree inside is
// to be kept under, and its place in that folder.
func (s shelf) fill(ctx context.Context, progress io.Writer, fetch func(scratch string) (name, tree string, err error)) (string, error) {
	if tree, err := s.current(); err == nil {
		return tree, nil
	}
	unlock, err := Lock(ctx, filepath.Join(s.dir, "lock"), func() {
		fmt.Fprintf(progress, "waiting for another process that fills %s\n", s.dir)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if tree, err := s.current(); err == nil {
		return tree, nil
	}
	scratch, err := os.MkdirTemp(s.dir, ".unpacking-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	name, tree, err := fetch(scratch)
	if err != nil {
		return "", err
	}
	return s.put(name, tree, scratch)
}

// put moves a finished tree to its place and makes it the one in use.
func (s shelf) put(name, tree, scratch string) (string, error) {
	place := filepath.Join(s.dir, name)
	if err := os.RemoveAll(place); err != nil {
		return "", err
	}
	if err := os.Rename(tree, place); err != nil {
		return "", err
	}
	link := filepath.Join(scratch, s.link)
	if err := os.Symlink(name, link); err != nil {
		return "", err
	}
	return place, os.Rename(link, filepath.Join(s.dir, s.link))
}

// Lock takes an exclusive lock on a file, which it makes if it isn't there, and
// returns what gives it back. If somebody else has it, waiting is called once
// (nil for nothing) and Lock waits until ctx ends. The kernel gives the lock
// back when a process dies (flock(2)).
func Lock(ctx context.Context, file string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	unlock = func() { f.Close() }
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return unlock, nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	if waiting != nil {
		waiting()
	}
	if err := await(ctx, f); err != nil {
		return nil, err
	}
	return unlock, nil
}

// await blocks for the lock on f, or until ctx ends. The waiting thread can't
// be called back: it owns a descriptor of its own and gives up its lock at once
// if nobody is there to take it any more.
func await(ctx context.Context, f *os.File) error {
	got := make(chan error)
	go func() {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		select {
		case got <- err:
		case <-ctx.Done():
			f.Close()
		}
	}()
	select {
	case err := <-got:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the lock %s: %w", f.Name(), ctx.Err())
	}
}
