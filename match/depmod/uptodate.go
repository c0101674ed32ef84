package depmod

import (
	"io/fs"
	"path/filepath"
	"time"
)

// UpToDate says whether the tables in a directory of the tree's file system are
// as new as all modules in the tree's directory, and all folders in it. It does
// not look at the configuration, nor at external modules.
func (t *Tree) UpToDate(dir string) (bool, error) {
	info, err := t.stat(dir + "/modules.dep")
	if err != nil {
		return false, err
	}
	newer, err := t.newer(t.Dir, info.ModTime())
	return !newer && err == nil, err
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
