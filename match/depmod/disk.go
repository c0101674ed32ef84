package depmod

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/kmodd/kmodd/match/kofile/unpack"
)

// Disk is the file system that the process sees.
type Disk struct{}

var _ fs.StatFS = Disk{}

// disk does what Disk has in common with others.
var disk = os.DirFS("/").(fs.StatFS)

// Open opens a file.
func (Disk) Open(name string) (fs.File, error) { return disk.Open(name) }

// Stat looks at a file, or what a link leads to.
func (Disk) Stat(name string) (fs.FileInfo, error) { return disk.Stat(name) }

// Image opens a module's file, with half of the system calls that Open would
// need.
func (Disk) Image(name string) (*unpack.Image, error) { return unpack.Open("/" + name) }

// image opens a module's file. Call done after use.
func (t *Tree) image(name string) (image *unpack.Image, done func() error, err error) {
	if d, ok := t.Root.(Disk); ok {
		if image, err = d.Image(inRoot(name)); err != nil {
			return nil, nil, bare("open", name, err)
		}
		return image, image.Close, nil
	}
	f, err := t.open(name)
	if err != nil {
		return nil, nil, err
	}
	if image, err = imageOf(f); err != nil {
		f.Close()
		return nil, nil, err
	}
	return image, func() error { return errors.Join(image.Close(), f.Close()) }, nil
}

func imageOf(f fs.File) (*unpack.Image, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	at, ok := f.(io.ReaderAt)
	if !ok {
		return nil, fmt.Errorf("%s can only be read from its beginning", info.Name())
	}
	return unpack.New(at, info.Size())
}
