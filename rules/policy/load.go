package policy

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/rules/dropin"
)

// A File is the text of a file.
type File struct{ Name, Text string }

// Directories returns the directories that files are read from, those that
// don't exist included: what to watch for changes.
func Directories(root string) []string {
	dirs := mains(root)
	return append(dirs, dropIns(dirs)...)
}

func mains(root string) []string {
	var dirs []string
	for _, place := range [...]string{"etc", "run", "usr/local/lib", "usr/lib"} {
		dirs = append(dirs, filepath.Join("/", root, place, "kmodd"))
	}
	return dirs
}

func dropIns(mains []string) []string {
	var dirs []string
	for _, dir := range mains {
		dirs = append(dirs, filepath.Join(dir, "kmodd.toml.d"))
	}
	return dirs
}

// Load reads the policy of a system whose root is in a directory ("" for "/").
// What can't be read or understood is a warning.
func Load(root string) *Policy {
	p := new(Policy)
	dirs := mains(root)
	paths := dropin.Files(dropIns(dirs), ".toml", func(dir string, err error) { p.warn(place{File: dir}, "%v", err) })
	for _, path := range paths {
		if !p.readPath(path) {
			p.warn(place{File: path}, "no such file or directory") // a link to nowhere
		}
	}
	for _, dir := range dirs {
		if p.readPath(filepath.Join(dir, "kmodd.toml")) {
			break
		}
	}
	return p
}

// readPath reads a file, and tells whether there is one.
func (p *Policy) readPath(path string) bool {
	text, err := dropin.Read(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false
	case err != nil:
		p.warn(place{File: path}, "%v", dropin.Bare(err))
	default:
		p.read(File{path, text})
	}
	return true
}

// Parse reads the policy in files, in the order given.
func Parse(files ...File) *Policy {
	p := new(Policy)
	for _, f := range files {
		p.read(f)
	}
	return p
}
