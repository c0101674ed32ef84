package depmod

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/kmodd/kmodd/modalias"
)

// extensions are those of module files.
var extensions = [...]string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"}

func isModuleFile(name string) bool {
	for _, extension := range extensions {
		if len(name) > len(extension) && strings.HasSuffix(name, extension) {
			return true
		}
	}
	return false
}

// A walk looks for module files, and decides which of those with one name
// counts.
type walk struct {
	Tree
	Listener
	found map[string]string // the path of each module, by name
}

// search finds the modules in the tree's directory and in those that external
// lines name, of which the last one comes first.
func (w *walk) search() error {
	if err := w.directory(w.Dir); err != nil {
		return fmt.Errorf("look for modules: %w", err)
	}
	externals := w.Config.externals
	for i := range externals {
		dir := externals[len(externals)-1-i]
		if err := w.directory(dir); err != nil {
			w.say(Error, "%v", err)
		}
	}
	return nil
}

// directory goes through a directory as it lies on the disk: of two modules
// that are equal in all else, the order decides.
func (w *walk) directory(dir string) error {
	entries, err := w.entries(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if w.Config.excluded(e.Name()) {
			continue
		}
		file := dir + "/" + e.Name()
		mode, err := w.kind(file, e)
		switch {
		case err != nil:
			w.say(Error, "%v", err)
		case mode.IsDir():
			if err := w.directory(file); err != nil {
				w.say(Error, "%v", err)
			}
		case mode.IsRegular():
			w.file(file)
		default:
			w.say(Error, "%s is passed over: neither a file nor a directory", file)
		}
	}
	return nil
}

// entries reads a directory, in its own order.
func (t *Tree) entries(dir string) ([]fs.DirEntry, error) {
	f, err := t.open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, fmt.Errorf("%s is no directory", dir)
	}
	entries, err := d.ReadDir(-1)
	if err != nil {
		return nil, bare("read", dir, err)
	}
	return entries, nil
}

// kind is what an entry is, or the link that it is leads to.
func (t *Tree) kind(file string, e fs.DirEntry) (fs.FileMode, error) {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Type(), nil
	}
	info, err := t.stat(file)
	if err != nil {
		return 0, err
	}
	if info.IsDir() && t.within(file, info) {
		return 0, fmt.Errorf("%s is passed over: it leads back to a directory that it is in", file)
	}
	return info.Mode().Type(), nil
}

// within says whether a path goes through a directory already.
func (t *Tree) within(file string, directory fs.FileInfo) bool {
	for file = path.Dir(file); strings.HasPrefix(file, "/") && file != "/"; file = path.Dir(file) {
		if info, err := t.stat(file); err == nil && os.SameFile(info, directory) {
			return true
		}
	}
	return false
}

// file takes a file if it is one of a module, and comes before what was found.
func (w *walk) file(file string) {
	if !isModuleFile(path.Base(file)) {
		return
	}
	if strings.Contains(file, "\n") {
		w.say(Error, "%q is passed over: no table can have a line break in a name", file)
		return
	}
	name := modalias.ModuleName(path.Base(file))
	if known, ok := w.found[name]; ok && w.stays(known, file, len(name)) {
		return
	}
	w.found[name] = file
}

// stays says whether a module's known file comes before another one. length is
// that of the module's name.
func (w *walk) stays(known, other string, length int) bool {
	knownStem, otherStem := w.stem(known, length), w.stem(other, length)
	for i := range w.Config.overrides {
		o := w.Config.overrides[len(w.Config.overrides)-1-i]
		switch o {
		case override(otherStem):
			return false
		case override(knownStem):
			return true
		}
	}
	k, o := w.rank(known, knownStem, otherStem), w.rank(other, otherStem, "")
	return o <= k
}

// stem is what an override names: the path below the modules' directory without
// what comes after the module's name. It is "" for a file that is elsewhere.
func (t *Tree) stem(file string, length int) string {
	below, ok := strings.CutPrefix(file, t.Dir+"/")
	if !ok {
		return ""
	}
	return below[:len(below)-len(path.Base(below))+length]
}

// rank is how important the place of a file is: what is searched first has the
// highest. Of a file whose place is that of its rival, too, kmod does not see
// the place, so that the rival wins.
func (w *walk) rank(file, stem, rival string) int {
	searches := w.Config.searches
	if len(searches) == 0 {
		searches = usual
	}
	rank, other, at := -1, -1, 0
	for i := range searches {
		s := searches[len(searches)-1-i]
		switch s.kind {
		case elsewhere:
			other = at
		case inExternals:
			rank, at = w.externalRank(file, rank, at)
		case inDirectory:
			if isBelow(stem, s.dir) && !isBelow(rival, s.dir) {
				rank = at
			}
		}
		at++
	}
	if rank < 0 {
		return other
	}
	return rank
}

// externalRank counts through the external directories.
func (w *walk) externalRank(file string, rank, at int) (int, int) {
	externals := w.Config.externals
	for i := range externals {
		if isBelow(file, externals[len(externals)-1-i]) {
			rank = at
		}
		at++
	}
	return rank, at
}

func isBelow(file, dir string) bool {
	return len(file) > len(dir) && file[len(dir)] == '/' && file[:len(dir)] == dir
}
