package depmod

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// A Tree is what tables are made of.
type Tree struct {
	// Root is the file system: os.DirFS("/"), or one of a test. The files in it that are
	// modules must be io.ReaderAts.
	Root fs.FS
	// Dir is the directory of the modules in it, an absolute path such as
	// /lib/modules/6.1.0-56-amd64. Messages name files below it by this path.
	Dir string
	// Config is what depmod.d says.
	Config Config
	// Only are the paths of the modules that count, nil for all in Dir and where
	// Config says.
	Only []string

	// Prefix is what the architecture puts before the names of symbols, 0 for
	// nothing. No architecture has done so since Linux 4.17.
	Prefix byte
	// Kernel is what the kernel itself exports.
	Kernel Kernel
	// Missing has Listener.Say told of symbols that nothing exports, and of those
	// that have other versions than the module wants if Kernel has versions.
	Missing bool
	// Duplicates has Listener.Say told of what a module says twice.
	Duplicates bool
}

// inRoot is a path as fs.FS has it.
func inRoot(file string) string {
	file = strings.TrimPrefix(path.Clean("/"+file), "/")
	if file == "" {
		return "."
	}
	return file
}

func (t *Tree) open(file string) (fs.File, error) {
	f, err := t.Root.Open(inRoot(file))
	if err != nil {
		return nil, bare("open", file, err)
	}
	return f, nil
}

func (t *Tree) stat(file string) (fs.FileInfo, error) {
	info, err := fs.Stat(t.Root, inRoot(file))
	if err != nil {
		return nil, bare("look at", file, err)
	}
	return info, nil
}

// read reads one of the files that the kernel's makefiles leave beside the modules.
func (t *Tree) read(name string) (string, error) {
	file := t.Dir + "/" + name
	f, err := t.open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return "", bare("read", file, err)
	}
	return string(text), nil
}

// bare is an error about a file under the name that people know it by.
func bare(what, file string, err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		err = of.Err
	}
	return fmt.Errorf("%s %s: %w", what, file, err)
}
