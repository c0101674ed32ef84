package depmod

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/kmodd/kmodd/modalias"
)

// UpToDate says whether the tables in a directory of the tree's file system are
// all there, and as new as all modules in the tree's directory and all folders in it. It does
// not look at the configuration, nor at external modules.
func (t *Tree) UpToDate(dir string) (bool, error) {
	if damaged, err := t.damaged(dir); damaged || err != nil {
		return false, err
	}
	changed, err := t.changedAtTop(dir)
	if changed || err != nil {
		return false, err
	}
	info, err := t.stat(dir + "/modules.dep")
	if err != nil {
		return false, err
	}
	newer, err := t.newer(t.Dir, info.ModTime())
	return !newer && err == nil, err
}

// damaged says whether a table is not there, or is an index of no bytes, as after a loss of
// power: each begins with a number that tells what it is. Only those of what is built in are
// empty where the kernel has no list of that.
func (t *Tree) damaged(dir string) (bool, error) {
	for _, of := range files {
		info, err := t.stat(dir + "/" + of.name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && of.optional:
		case errors.Is(err, fs.ErrNotExist):
			return true, nil
		case err != nil:
			return false, err
		case of.binary != nil && info.Size() == 0 && !strings.HasPrefix(of.name, "modules.builtin"):
			return true, nil
		}
	}
	return false, nil
}

// changedAtTop says whether a module has come or gone right in the tree's directory: that
// is as new as the tables which are written there, and tells nothing.
func (t *Tree) changedAtTop(dir string) (bool, error) {
	entries, err := t.entries(t.Dir)
	if err != nil {
		return false, err
	}
	there := make(map[string]bool)
	for _, e := range entries {
		if mode, err := t.kind(t.Dir+"/"+e.Name(), e); err == nil && !mode.IsDir() && isModuleFile(e.Name()) {
			there[e.Name()] = true
		}
	}
	text, err := (&Tree{Root: t.Root, Dir: dir}).read("modules.dep")
	if err != nil {
		return false, err
	}
	listed := make(map[string]bool)
	for line := range strings.Lines(text) {
		file, _, _ := strings.Cut(line, ":")
		if !strings.Contains(file, "/") && !there[file] {
			return true, nil
		}
		listed[modalias.ModuleName(path.Base(file))] = true
	}
	for file := range there {
		if !listed[modalias.ModuleName(file)] {
			return true, nil
		}
	}
	return false, nil
}

// newer says whether anything in a directory is newer than a time.
func (t *Tree) newer(dir string, than time.Time) (bool, error) {
	entries, err := t.entries(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if name := e.Name(); name == "build" || name == "source" {
			continue
		}
		newer, err := t.newerEntry(dir+"/"+e.Name(), e, than)
		if newer || err != nil {
			return newer, err
		}
	}
	return false, nil
}

func (t *Tree) newerEntry(file string, e fs.DirEntry, than time.Time) (bool, error) {
	mode, err := t.kind(file, e)
	if err != nil || !mode.IsDir() && !isModuleFile(filepath.Base(file)) {
		return false, nil // a link that leads nowhere is no module
	}
	info, err := t.stat(file)
	if err != nil {
		return false, err
	}
	if info.ModTime().After(than) {
		return true, nil
	}
	if mode.IsDir() {
		return t.newer(file, than)
	}
	return false, nil
}
