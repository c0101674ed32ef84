// Package dropin finds and reads the files of configuration directories such
// as modprobe.d: small files that packages, administrators and programs drop
// into directories of their own.
//
// # Which files
//
// The directories of one kind lie in five places below a root. Of files with one
// name only that in the first of them counts, so that an administrator's file
// takes the place of a package's:
//
//	/etc
//	/run
//	/usr/local/lib
//	/usr/lib
//	/lib
//
// Files have the suffix of their kind, .conf as a rule, and are read in the order
// of their names, whatever directory they are in. A link to /dev/null is an empty file, which is how an
// administrator has a package's file not count.
package dropin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/regular"
)

var places = [...]string{"etc", "run", "usr/local/lib", "usr/lib", "lib"}

// Directories returns the directories of one kind, such as modprobe.d, below a
// root ("" for "/"), those that don't exist included: what to watch for changes.
func Directories(root, kind string) []string {
	dirs := make([]string, len(places))
	for i, place := range places {
		dirs[i] = filepath.Join("/", root, place, kind)
	}
	return dirs
}

// Files returns the paths of the files with a suffix that count in some
// directories, the one that takes precedence first, in reading order. warn is told of a directory
// that is there and can't be read.
func Files(dirs []string, suffix string, warn func(dir string, err error)) []string {
	var files []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			warn(dir, Bare(err))
		}
		for _, e := range entries {
			name := e.Name()
			known := func(path string) bool { return filepath.Base(path) == name }
			if e.IsDir() || !strings.HasSuffix(name, suffix) || name[0] == '.' || slices.ContainsFunc(files, known) {
				continue
			}
			files = append(files, filepath.Join(dir, name))
		}
	}
	SortByName(files)
	return files
}

// FilesAt is Files for paths somebody has given: what is no directory is a file that
// counts, whatever its name.
func FilesAt(paths []string, suffix string, warn func(dir string, err error)) []string {
	var files []string
	for _, path := range paths {
		found := []string{path}
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			found = Files(found, suffix, warn)
		}
		for _, file := range found {
			if !slices.ContainsFunc(files, func(known string) bool { return filepath.Base(known) == filepath.Base(file) }) {
				files = append(files, file)
			}
		}
	}
	SortByName(files)
	return files
}

// SortByName puts paths into reading order. There are few, and the daemon is to
// be small.
func SortByName(files []string) {
	for i := range files {
		for j := i; j > 0 && filepath.Base(files[j]) < filepath.Base(files[j-1]); j-- {
			files[j], files[j-1] = files[j-1], files[j]
		}
	}
}

// null is the device number of /dev/null (mem_fops in drivers/char/mem.c).
const null = 1<<8 | 3

// Read reads a regular file. What is linked to /dev/null is empty.
func Read(path string) (string, error) {
	text, stat, err := regular.Read(path)
	if err == regular.ErrNot && stat.Mode&unix.S_IFMT == unix.S_IFCHR && uint64(stat.Rdev) == null {
		return "", nil
	}
	return text, err
}

// Bare returns the part of an error of package os that does not name the file.
func Bare(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
